"""An ECAPA-TDNN as the ONNX graph that voiceguard itself runs: one recording, frame by frame.

In: its tensors. Out: an ONNX file that takes ``(frames, num_mels)``. The same embeddings as
``networks.ecapa_tdnn`` in two thirds of the time of ``networks.fused``, on one core with 3 s:

- a frame is a row, so that every layer is a product with a constant matrix on its right, which
  ONNX Runtime lays out for the processor once, when it loads;
- normalisation is nowhere computed (``folding``);
- a dilated convolution gathers its frames, padded by reflection, and is one product;
- pooling works on a quarter of the channels at a time, which stays in the processor's cache.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from voiceguard.encoder.export.folding import Affine, Tensors, joined, sign
from voiceguard.encoder.export.frames import frame_numbers, frames_model, neighbours
from voiceguard.encoder.export.graph import FEATURES_INPUT, OUTPUT, Graph
from voiceguard.encoder.networks.ecapa_config import STD_FLOOR_VARIANCE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

    from voiceguard.encoder.export.folding import Doubles
    from voiceguard.encoder.networks.ecapa_config import EcapaTdnnConfig

_NUM_PARTS = 4
"""Of the pooled channels; 1 takes a tenth longer, 6 no less."""
_MAX_SCORE = 60.0
"""Scores of the attention that stay below it need not be lowered before they are exponents."""


def onnx_model(config: EcapaTdnnConfig, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The file.

    Args:
        config: The network's sizes.
        arrays: Its tensors, of any shape and precision, by their names in ``EcapaTdnn``.

    Returns:
        See ``frames_model``.

    Raises:
        KeyError: A tensor is missing.
        ValueError: A tensor does not fit the sizes.
    """
    network = _Network(config, Tensors(arrays))
    network.embedding(FEATURES_INPUT)
    return frames_model(network.graph, "ecapa_tdnn_frames", config, config.num_mels)


class Taps(NamedTuple):
    """Which frames a convolution sees."""

    kernel_size: int
    dilation: int


NO_TAPS = Taps(1, 1)


class _Network:
    """The network of ``networks.ecapa_tdnn``, step by step; ``x`` is ``(frames, channels)``."""

    def __init__(self, config: EcapaTdnnConfig, tensors: Tensors) -> None:
        self.graph = Graph()
        self._config = config
        self._tensors = tensors
        graph = self.graph
        self._num_frames = graph.op("Gather", graph.op("Shape", FEATURES_INPUT), graph.whole([0]))
        self._indices: dict[Taps, str] = {}

    def embedding(self, features: str) -> None:
        """Everything, to the output."""
        config, graph = self._config, self.graph
        x, lacking = self._layer("input_layer", features, taps=self._taps(0))
        x = self._complete(x, lacking)
        outputs = []
        for block in range(len(config.channels) - 2):
            x = self._block(f"blocks.{block}", x, self._taps(block + 1))
            outputs.append(x)
        self._pool(graph.op("Concat", *outputs, axis=1))

    def _taps(self, layer: int) -> Taps:
        return Taps(self._config.kernel_sizes[layer], self._config.dilations[layer])

    # --- layers -----------------------------------------------------------------------------

    def _gathered(self, x: str, taps: Taps) -> str:
        """``(frames, channels)`` to ``(frames, kernel_size * channels)``: what each frame sees."""
        if taps.kernel_size == 1:
            return x
        if taps not in self._indices:
            self._indices[taps] = self._index(taps)
        graph = self.graph
        seen = graph.op("Gather", x, self._indices[taps])  # (frames, kernel_size, channels)
        return graph.op("Flatten", seen, axis=1)

    def _index(self, taps: Taps) -> str:
        """``(frames, kernel_size)``, padded by reflection: frame -2 is frame 2."""
        graph = self.graph
        last = graph.op("Sub", self._num_frames, graph.whole([1]))
        index = neighbours(graph, frame_numbers(graph, self._num_frames), *taps)
        from_end = graph.op("Abs", graph.op("Sub", last, graph.op("Abs", index)))
        return graph.op("Sub", last, from_end)

    def _layer(
        self, name: str, x: str, given: Affine | None = None, *, taps: Taps = NO_TAPS
    ) -> tuple[str, Affine]:
        """Convolution, ReLU, normalisation: ``(frames, num_out)``, and what that still lacks."""
        weight, bias, lacking = self._weights(name, given, taps)
        product = self._product(self._gathered(x, taps), weight, bias)
        return self.graph.op("Relu", product), lacking

    def _weights(
        self, name: str, given: Affine | None, taps: Taps
    ) -> tuple[Doubles, Doubles, Affine]:
        """``(num_out, kernel_size * num_in)`` and ``(num_out,)``, what its input lacked inside."""
        weight, bias = self._tensors(f"{name}.conv.weight"), self._tensors(f"{name}.conv.bias")
        if weight.shape[2] != taps.kernel_size:
            raise ValueError(f"{name} is {weight.shape[2]} frames wide, not {taps.kernel_size}")
        if given is not None:
            bias = bias + weight.sum(axis=2) @ given.shift
            weight = weight * given.sign[None, :, None]
        scale, shift = self._tensors.norm(f"{name}.norm")
        size = np.abs(scale)
        flat = weight.transpose(0, 2, 1).reshape(len(weight), -1)
        return flat * size[:, None], bias * size, Affine(sign(scale), shift)

    def _product(self, x: str, weight: Doubles, bias: Doubles | str) -> str:
        """``x @ weight.T + bias``."""
        shift = bias if isinstance(bias, str) else self.graph.constant(bias)
        return self.graph.op("Gemm", x, self.graph.constant(weight.T), shift)

    def _complete(self, x: str, lacking: Affine) -> str:
        """A value that lacks nothing any more."""
        return self.graph.op(
            "Add", self._signed(x, lacking.sign), self.graph.constant(lacking.shift)
        )

    def _signed(self, x: str, signs: Doubles) -> str:
        """Networks that learned well have no negative scale; then nothing is to do."""
        if (signs > 0).all():
            return x
        return self.graph.op("Mul", x, self.graph.constant(signs))

    # --- blocks -----------------------------------------------------------------------------

    def _block(self, name: str, x: str, taps: Taps) -> str:
        """An SE-Res2Block."""
        graph = self.graph
        dense, lacking = self._layer(f"{name}.dense_in", x)
        h, lacking = self._res2conv(f"{name}.res2conv", dense, lacking, taps)
        h, lacking = self._layer(f"{name}.dense_out", h, lacking)
        excite = f"{name}.squeeze_excitation"
        squeezed = self._tensors.matrix(f"{excite}.squeeze")
        bias = self._tensors(f"{excite}.squeeze.bias") + squeezed @ lacking.shift
        mean = graph.op("ReduceMean", h, axes=[0], keepdims=1)
        z = graph.op("Relu", self._product(mean, squeezed * lacking.sign, bias))
        matrix = self._tensors.matrix(f"{excite}.excite")
        scales = self._product(z, matrix, self._tensors(f"{excite}.excite.bias"))
        scales = graph.op("Sigmoid", scales)  # (1, channels)
        if self._tensors.has(f"{name}.shortcut.weight"):
            shortcut = self._tensors.matrix(f"{name}.shortcut")
            x = self._product(x, shortcut, self._tensors(f"{name}.shortcut.bias"))
        shift = graph.op("Mul", scales, graph.constant(lacking.shift))
        rescaled = graph.op("Mul", h, self._signed(scales, lacking.sign))
        return graph.op("Add", rescaled, graph.op("Add", x, shift))

    def _res2conv(self, name: str, x: str, lacking: Affine, taps: Taps) -> tuple[str, Affine]:
        """Group by group, each with the result of the one before; the first stays as it is."""
        graph, scale = self.graph, self._config.res2net_scale
        width = len(lacking.sign) // scale
        groups = graph.split(x, [width] * scale)
        outputs, lacks = [groups[0]], [lacking.part(slice(width))]
        for index in range(scale - 1):
            given = groups[index + 1]
            lack = lacking.part(slice((index + 1) * width, (index + 2) * width))
            if index:
                before = self._signed(outputs[-1], lack.sign * lacks[-1].sign)
                given = graph.op("Add", given, before)
                lack = Affine(lack.sign, lack.shift + lacks[-1].shift)
            output, lack = self._layer(f"{name}.layers.{index}", given, lack, taps=taps)
            outputs.append(output)
            lacks.append(lack)
        return graph.op("Concat", *outputs, axis=1), joined(*lacks)

    # --- pooling ----------------------------------------------------------------------------

    def _pool(self, x: str) -> None:
        """Aggregation, attentive statistics and the projection."""
        graph, taps = self.graph, self._taps(-1)
        x = self._gathered(x, taps)
        weight, bias, lacking = self._weights("aggregation", None, taps)
        channels = len(bias)
        ends = np.linspace(0, channels, min(_NUM_PARTS, channels) + 1).astype(int).tolist()
        parts = [slice(*bounds) for bounds in pairwise(ends)]
        means, stds, centred = [], [], []
        for part in parts:
            h = graph.op("Relu", self._product(x, weight[part], bias[part]))
            means.append(graph.op("ReduceMean", h, axes=[0], keepdims=1))
            centred.append(graph.op("Sub", h, means[-1]))
            stds.append(self._plain_std(centred[-1]))
        hidden = self._hidden(parts, means, stds, centred, lacking)
        offsets, deviations = [], []
        for part, values in zip(parts, centred, strict=True):
            offset, deviation = self._weighted(hidden, part, values)
            offsets.append(offset)
            deviations.append(deviation)
        pooled = [graph.op("Add", *pair) for pair in zip(means, offsets, strict=True)]
        statistics = graph.op("Concat", *pooled, *deviations, axis=1)
        scale, shift = self._tensors.norm("pooling_norm")
        projection = self._tensors.matrix("projection")
        shift = self._tensors("projection.bias") + projection @ shift
        projection = projection * scale
        shift = shift + projection[:, :channels] @ lacking.shift
        projection[:, :channels] *= lacking.sign
        last = self._product(statistics, projection, shift)
        graph.op("Identity", last, name=OUTPUT)

    def _plain_std(self, centred: str) -> str:
        """``(frames, channels)`` about their mean to ``(1, channels)``."""
        graph = self.graph
        squares = graph.op("ReduceSumSquare", centred, axes=[0], keepdims=1)
        count = graph.op("Cast", self._num_frames, to=1)  # 1: float32
        return self._root(graph.op("Div", squares, count))

    def _root(self, variance: str) -> str:
        floor = self.graph.constant(STD_FLOOR_VARIANCE)
        return self.graph.op("Sqrt", self.graph.op("Max", variance, floor))

    def _hidden(
        self,
        parts: list[slice],
        means: list[str],
        stds: list[str],
        centred: list[str],
        lacking: Affine,
    ) -> str:
        """The attention's hidden layer, ``(frames, attention_channels)``.

        What is the same for all frames is multiplied once and becomes the bias: the frames' mean,
        and, with a global context, mean and standard deviation again.
        """
        graph, channels = self.graph, len(lacking.sign)
        weight = self._tensors.matrix("pooling.hidden.conv")
        bias = self._tensors("pooling.hidden.conv.bias")
        of_frame, of_mean = weight[:, :channels], weight[:, :channels]
        given, context = graph.op("Concat", *means, axis=1), []
        if self._config.global_context:
            of_mean = of_mean + weight[:, channels : 2 * channels]
            given = graph.op("Concat", *means, *stds, axis=1)
            context = [weight[:, 2 * channels :]]
        same = np.concatenate([of_mean * lacking.sign, *context], axis=1)
        hidden = self._product(given, same, bias + of_mean @ lacking.shift)
        for part, values in zip(parts, centred, strict=True):
            hidden = self._product(values, of_frame[:, part] * lacking.sign[part], hidden)
        scale, shift = self._tensors.norm("pooling.hidden.norm")
        scaled = graph.op("Mul", graph.op("Relu", hidden), graph.constant(scale))
        return graph.op("Tanh", graph.op("Add", scaled, graph.constant(shift)))

    def _weighted(self, hidden: str, part: slice, centred: str) -> tuple[str, str]:
        """Weighted mean (from the plain one on) and deviation of some channels.

        The bias of the scores is the same for all frames: the softmax over time cancels it.
        """
        graph, over_time = self.graph, self.graph.whole([0])
        matrix = self._tensors.matrix("pooling.scores")[part]
        scores = graph.op("MatMul", hidden, graph.constant(matrix.T))
        if np.abs(matrix).sum(axis=1).max() > _MAX_SCORE:  # a tanh is at most 1
            highest = graph.op("ReduceMax", scores, axes=[0], keepdims=1)
            scores = graph.op("Sub", scores, highest)
        weights = graph.op("Exp", scores)
        total = graph.op("ReduceSum", weights, over_time, keepdims=1)

        def mean(values: str) -> str:
            product = graph.op("Mul", values, weights)
            return graph.op("Div", graph.op("ReduceSum", product, over_time, keepdims=1), total)

        offset = mean(centred)
        deviations = graph.op("Sub", centred, offset)
        return offset, self._root(mean(graph.op("Mul", deviations, deviations)))
