"""A CAM++ as the ONNX graph that voiceguard itself runs: one recording, frame by frame.

In: its tensors. Out: an ONNX file that takes ``(frames, num_bands)``. The same embeddings as
``networks.campplus``; what makes it fast is what makes ``networks.fused_campplus`` so: behind the
head a frame is a row, rectified normalisation is a maximum whose scale and shift go into the
matrix that follows, and a mask is computed once for a segment, not for a frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voiceguard.encoder.export.folding import Tensors
from voiceguard.encoder.export.frames import frame_numbers, frames_model, neighbours
from voiceguard.encoder.export.graph import FEATURES_INPUT, OUTPUT, Graph
from voiceguard.encoder.networks.campplus_config import (
    DILATIONS,
    MIN_VARIANCE,
    SEGMENT_FRAMES,
    TIME_STRIDE,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from voiceguard.encoder.export.folding import Doubles
    from voiceguard.encoder.networks.campplus_config import CamPlusPlusConfig

_FLOAT = 1
"""float32, as ONNX calls it."""


def onnx_model(config: CamPlusPlusConfig, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The file.

    Args:
        config: The network's sizes.
        arrays: Its tensors, of any shape and precision, by their names in ``config.shapes``.

    Returns:
        See ``frames_model``.

    Raises:
        KeyError: A tensor is missing.
        ValueError: A tensor does not fit the sizes.
    """
    network = _Network(config, Tensors(arrays))
    network.embedding(FEATURES_INPUT)
    return frames_model(network.graph, "campplus_frames", config, config.num_bands)


class _Network:
    """The network of ``networks.campplus``, step by step."""

    def __init__(self, config: CamPlusPlusConfig, tensors: Tensors) -> None:
        self.graph = Graph()
        self._config = config
        self._tensors = tensors

    def embedding(self, features: str) -> None:
        """Everything, to the output."""
        graph, config = self.graph, self._config
        bands = graph.op("Transpose", features, perm=[1, 0])
        x = self._head(graph.op("Unsqueeze", bands, graph.whole([0, 1])))
        padding = config.input_kernel_size // 2
        how = {"strides": [TIME_STRIDE], "pads": [padding, padding]}
        x = self._normalised_conv("input_layer", "input_norm", x, **how)
        x = graph.op("Squeeze", graph.op("Relu", x), graph.whole([0]))
        x = graph.op("Transpose", x, perm=[1, 0])  # (frames, channels) from here on
        time = _Time(graph, x)
        for block, (num_layers, dilation) in enumerate(
            zip(config.block_layers, DILATIONS, strict=True)
        ):
            taps = time.taps(config.kernel_size, dilation)
            for layer in range(num_layers):
                added = self._layer(f"blocks.{block}.layers.{layer}", x, taps, time)
                x = graph.op("Concat", x, added, axis=1)
            weight = self._tensors.matrix(f"blocks.{block}.transition")
            x = self._rectified_product(f"blocks.{block}.transition_norm", x, weight)
        self._pool(x, time)

    # --- the head: (1, channels, bands, frames) ---------------------------------------------

    def _head(self, x: str) -> str:
        """``(1, 1, num_bands, frames)`` to ``(1, head_channels * bands, frames)``."""
        graph, config = self.graph, self._config
        x = graph.op("Relu", self._square("head.conv_in", "head.norm_in", x))
        for stage, num_layers in enumerate(config.head_layers):
            for layer in range(num_layers):
                x = self._residual(f"head.stages.{stage}.{layer}", x, 1 if layer else 2)
        x = graph.op("Relu", self._square("head.conv_out", "head.norm_out", x, stride=2))
        rows = config.head_channels * config.num_bands // config.band_stride
        return graph.op("Reshape", x, graph.whole([1, rows, -1]))

    def _residual(self, name: str, x: str, stride: int) -> str:
        h = self._square(f"{name}.conv1", f"{name}.norm1", x, stride=stride)
        h = self._square(f"{name}.conv2", f"{name}.norm2", self.graph.op("Relu", h))
        if stride > 1:
            names = f"{name}.shortcut.0", f"{name}.shortcut.1"
            x = self._normalised_conv(*names, x, strides=[stride, 1])
        return self.graph.op("Relu", self.graph.op("Add", h, x))

    def _square(self, name: str, norm: str, x: str, *, stride: int = 1) -> str:
        """A convolution over 3 bands and 3 frames, and its normalisation."""
        return self._normalised_conv(name, norm, x, strides=[stride, 1], pads=[1, 1, 1, 1])

    def _normalised_conv(self, name: str, norm: str, x: str, **how: Any) -> str:  # noqa: ANN401 - attributes
        scale, shift = self._tensors.norm(norm)
        weight = self._tensors(f"{name}.weight")
        weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        return self.graph.op("Conv", x, *map(self.graph.constant, (weight, shift)), **how)

    # --- layers: (frames, channels) ---------------------------------------------------------

    def _layer(self, name: str, x: str, taps: str, time: _Time) -> str:
        """``(frames, num_in)`` to ``(frames, growth)``."""
        graph = self.graph
        scale, shift = self._tensors.norm(f"{name}.norm")
        weight = self._tensors.matrix(f"{name}.bottleneck") * scale[:, None]
        product = self._rectified_product(f"{name}.input_norm", x, weight, shift)
        h = graph.op("Relu", product)  # (frames, narrow)
        context = graph.op("MatMul", time.averages, h)  # (segments, narrow)
        hidden = graph.op("Relu", self._product(context, f"{name}.mask_hidden"))
        mask = graph.op("Sigmoid", self._product(hidden, f"{name}.mask"))  # (segments, growth)
        beyond = graph.constant(np.zeros((1, len(weight))))
        seen = graph.op("Gather", graph.op("Concat", h, beyond, axis=0), taps)
        local = self._tensors(f"{name}.local.weight")  # (growth, narrow, kernel_size)
        local = local.transpose(2, 1, 0).reshape(-1, len(local))
        local_product = graph.op("MatMul", graph.op("Flatten", seen, axis=1), graph.constant(local))
        return graph.op("Mul", local_product, graph.op("Gather", mask, time.segments))

    def _product(self, x: str, name: str) -> str:
        """A convolution of width 1 with its bias."""
        parts = self._tensors.matrix(name).T, self._tensors(f"{name}.bias")
        return self.graph.op("Gemm", x, *map(self.graph.constant, parts))

    def _rectified_product(
        self, norm: str, x: str, weight: Doubles, shift: Doubles | None = None
    ) -> str:
        """``relu(normalised x) @ weight.T + shift``."""
        clamped, scale, lacking = self._rectified(norm, x)
        bias = weight @ lacking + (0.0 if shift is None else shift)
        parts = (weight * scale).T, bias
        return self.graph.op("Gemm", clamped, *map(self.graph.constant, parts))

    def _rectified(self, norm: str, x: str) -> tuple[str, Doubles, Doubles]:
        """``relu(normalised x)`` as ``scale * clamped + shift``.

        ``relu(s x + b) = s max(x, -b / s) + b`` for positive ``s``. Where a channel's is not (of
        3D-Speaker's 40,000, seven), its sign is taken out of the clamped value first.
        """
        graph = self.graph
        scale, shift = self._tensors.norm(norm)
        if (scale > 0).all():
            return graph.op("Max", x, graph.constant(-shift / scale)), scale, shift
        scaled = graph.op("Add", graph.op("Mul", x, graph.constant(scale)), graph.constant(shift))
        return graph.op("Relu", scaled), np.ones_like(scale), np.zeros_like(shift)

    def _pool(self, x: str, time: _Time) -> None:
        """Mean and deviation over time, the projection and its normalisation."""
        graph = self.graph
        clamped, scale, shift = self._rectified("output_norm", x)
        mean = graph.op("ReduceMean", clamped, axes=[0], keepdims=1)
        centred = graph.op("Sub", clamped, mean)
        squares = graph.op("ReduceSumSquare", centred, axes=[0], keepdims=1)
        fewer = graph.op("Sub", time.count, graph.constant([1.0]))
        variance = graph.op("Max", graph.op("Div", squares, fewer), graph.constant(MIN_VARIANCE))
        statistics = graph.op("Concat", mean, graph.op("Sqrt", variance), axis=1)
        of_norm, bias = self._tensors.norm("embedding_norm")
        weight = self._tensors.matrix("projection") * of_norm[:, None]
        bias = bias + weight[:, : len(shift)] @ shift
        weight = weight * np.concatenate([scale, np.abs(scale)])
        parts = weight.T, bias
        graph.op("Gemm", statistics, *map(graph.constant, parts), name=OUTPUT)


class _Time:
    """What depends on nothing but how many frames there are, behind the stride."""

    def __init__(self, graph: Graph, x: str) -> None:
        self._graph = graph
        sizes = graph.op("Shape", x)
        self._num_frames = graph.op("Gather", sizes, graph.whole([0]))
        self.count = graph.op("Cast", self._num_frames, to=_FLOAT)
        count, one = graph.op("Squeeze", self._num_frames), graph.whole(1)
        self._frames = frame_numbers(graph, self._num_frames)
        self.segments = graph.op("Div", self._frames, graph.whole(SEGMENT_FRAMES))
        """``(frames,)``: which segment each is in."""
        last = graph.op("Div", graph.op("Sub", count, one), graph.whole(SEGMENT_FRAMES))
        there = graph.op("Range", graph.whole(0), graph.op("Add", last, one), one)
        there = graph.op("Unsqueeze", there, graph.whole([1]))
        inside = graph.op("Cast", graph.op("Equal", there, self.segments), to=_FLOAT)
        lengths = graph.op("ReduceSum", inside, graph.whole([1]), keepdims=1)
        whole_mean = graph.op("Reciprocal", self.count)
        self.averages = graph.op("Add", graph.op("Div", inside, lengths), whole_mean)
        """``(segments, frames)``: a row takes the mean of all frames plus that of its segment."""

    def taps(self, kernel_size: int, dilation: int) -> str:
        """``(frames, kernel_size)``: frames that a convolution sees; beyond both ends, one more."""
        graph = self._graph
        index = neighbours(graph, self._frames, kernel_size, dilation)
        is_before = graph.op("Less", index, graph.whole(0))
        inside = graph.op("Where", is_before, self._num_frames, index)
        return graph.op("Min", inside, self._num_frames)
