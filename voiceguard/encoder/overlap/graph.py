"""The overlap network as an ONNX file, from its arrays; torch is not needed.

In: the arrays that ``lab.training.overlap.weights`` writes: of every convolution a weight and a
bias, normalisations folded into them, and of a GRU what torch has. Out: a graph that takes a
spectrogram and gives one logit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voiceguard.encoder.export.graph import FEATURES_INPUT, Graph

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from voiceguard.encoder.overlap.spectrogram import Shape

    Arrays = Mapping[str, NDArray[np.float32]]

LOGIT = "logit"
HALVING_LAYER = 1
"""Of the two-dimensional layers the one that halves time as well."""
FIRST_KERNEL = (7, 3)
KERNEL = (3, 3)
_GATES = (1, 0, 2)
"""ONNX's order, update, reset, new, of torch's: reset, update, new."""
NUM_HEADS = 3
"""Whether two voices sound at a moment, which training alone looks at; how much the moment weighs
in the answer; and what it says."""


def onnx_model(arrays: Arrays, shape: Shape) -> bytes:
    """The file: input ``(num_bins, num_frames)``, output ``(1,)``.

    Raises:
        KeyError: An array is missing.
    """
    graph = Graph()
    x = graph.op("Unsqueeze", FEATURES_INPUT, graph.whole([0, 1]))
    for layer in range(len(shape.stem)):
        kernel = FIRST_KERNEL if layer == 0 else KERNEL
        top, side = kernel[0] // 2, kernel[1] // 2
        x = _convolved(
            graph,
            arrays,
            f"stem.{layer}",
            x,
            strides=[2, 2 if layer == HALVING_LAYER else 1],
            pads=[top, side, top, side],
        )
    # (1, channels, bins, frames) to (1, channels * bins, frames)
    x = graph.op("Reshape", x, graph.whole([1, arrays["project.weight"].shape[1], -1]))
    x = _convolved(graph, arrays, "project", x)
    x = _recurrent(graph, arrays, x)
    head = _convolution(graph, arrays, "head", x)
    _, weights, values = graph.split(head, [1] * NUM_HEADS)
    weighted = graph.op("Mul", graph.op("Softmax", weights, axis=2), values)
    whole = graph.op("ReduceSum", weighted, graph.whole([1, 2]), keepdims=0)
    graph.op("Identity", whole, name=LOGIT)
    return graph.model("overlap", (FEATURES_INPUT, [shape.num_bins, "frames"]), (LOGIT, [1]))


def _recurrent(graph: Graph, arrays: Arrays, x: str) -> str:
    """A GRU in both directions of time: ``(1, inputs, frames)`` to ``(1, 2 hidden, frames)``."""

    def both(kind: str) -> NDArray[np.float32]:
        """``(2, 3 hidden, ...)``, in ONNX's order of gates."""
        names = (f"recurrent.{kind}_l0", f"recurrent.{kind}_l0_reverse")
        gates = [np.split(arrays[name], len(_GATES)) for name in names]
        return np.stack([np.concatenate([each[gate] for gate in _GATES]) for each in gates])

    inputs, recurrent = both("weight_ih"), both("weight_hh")
    biases = np.concatenate([both("bias_ih"), both("bias_hh")], axis=1)
    x = graph.op(
        "GRU",
        graph.op("Transpose", x, perm=[2, 0, 1]),
        *(graph.constant(each) for each in (inputs, recurrent, biases)),
        hidden_size=recurrent.shape[2],
        direction="bidirectional",
        linear_before_reset=1,
    )
    x = graph.op("Transpose", x, perm=[2, 1, 3, 0])  # (1, 2, hidden, frames)
    return graph.op("Reshape", x, graph.whole([1, 2 * recurrent.shape[2], -1]))


def _convolved(
    graph: Graph,
    arrays: Arrays,
    name: str,
    x: str,
    **how: Any,  # noqa: ANN401 - the operator's attributes
) -> str:
    return graph.op("Relu", _convolution(graph, arrays, name, x, **how))


def _convolution(
    graph: Graph,
    arrays: Arrays,
    name: str,
    x: str,
    **how: Any,  # noqa: ANN401 - the operator's attributes
) -> str:
    weight, bias = (graph.constant(arrays[f"{name}.{part}"]) for part in ("weight", "bias"))
    return graph.op("Conv", x, weight, bias, **how)
