"""CAM++ with its Kaldi features, or without, written down as an ONNX graph; needs no torch.

In: sizes, and the names of the tensors. Out: an ONNX model of ordinary operators with dynamic batch
and time axes. For other programs; ``campplus_frames`` is what voiceguard itself runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from voiceguard.encoder.export.folding import EPSILON
from voiceguard.encoder.export.graph import FEATURES_INPUT, OUTPUT, WAVEFORM_INPUT, Graph
from voiceguard.encoder.export.kaldi_graph import kaldi_fbank
from voiceguard.encoder.networks.campplus_config import DILATIONS, SEGMENT_FRAMES, TIME_STRIDE

if TYPE_CHECKING:
    from voiceguard.encoder.frontends.kaldi_config import KaldiFbankConfig
    from voiceguard.encoder.networks.campplus_config import CamPlusPlusConfig


class Weights(Protocol):
    """Puts a tensor of the network into the graph."""

    def __call__(self, graph: Graph, name: str) -> str:
        """By its name in ``CamPlusPlusConfig.shapes``; its name in the graph."""
        ...


def onnx_model(
    config: CamPlusPlusConfig, weights: Weights, features: KaldiFbankConfig | None
) -> bytes:
    """The model.

    Args:
        config: The network's sizes.
        weights: Its tensors.
        features: What to put inside; None: the graph takes them.

    Returns:
        The file. Input ``features``, ``(batch, num_bands, frames)``, or ``waveform``,
        ``(batch, samples)``; output ``embedding``, ``(batch, embedding_dim)``, not normalised.
    """
    network = _Network(config, weights)
    name = FEATURES_INPUT if features is None else WAVEFORM_INPUT
    shape: list[str | int] = ["batch", "samples"]
    if features is None:
        shape = ["batch", config.num_bands, "frames"]
    given = name if features is None else kaldi_fbank(network.graph, features, name)
    network.graph.op("Identity", network.embedding(given), name=OUTPUT)
    made: tuple[str, list[str | int]] = (OUTPUT, ["batch", config.embedding_dim])
    return network.graph.model("campplus", (name, shape), made)


class _Network:
    """The network of ``networks.campplus``, step by step."""

    def __init__(self, config: CamPlusPlusConfig, weights: Weights) -> None:
        self.graph = Graph()
        self._config = config
        self._weights = weights

    def embedding(self, features: str) -> str:
        """``(batch, num_bands, frames)`` to ``(batch, embedding_dim)``."""
        graph, config = self.graph, self._config
        x = self._head(graph.op("Unsqueeze", features, graph.whole([1])))
        padding = config.input_kernel_size // 2
        x = self._conv("input_layer", x, strides=[TIME_STRIDE], pads=[padding, padding])
        x = self._rectified("input_norm", x)
        num_frames = self._num_frames(x)  # the same from here on
        segments = self._segments(num_frames)
        for block, (num_layers, dilation) in enumerate(
            zip(config.block_layers, DILATIONS, strict=True)
        ):
            for layer in range(num_layers):
                added = self._layer(f"blocks.{block}.layers.{layer}", x, dilation, segments)
                x = graph.op("Concat", x, added, axis=1)
            x = self._rectified(f"blocks.{block}.transition_norm", x)
            x = self._conv(f"blocks.{block}.transition", x)
        pooled = self._pooled(self._rectified("output_norm", x), num_frames)
        projected = graph.op("Gemm", pooled, self._weight("projection.weight"), transB=1)
        return self._norm("embedding_norm", projected, is_affine=False)

    def _head(self, x: str) -> str:
        """``(batch, 1, num_bands, frames)`` to ``(batch, head_channels * bands, frames)``."""
        graph, config = self.graph, self._config
        x = self._rectified("head.norm_in", self._square("head.conv_in", x))
        for stage, num_layers in enumerate(config.head_layers):
            for layer in range(num_layers):
                x = self._residual(f"head.stages.{stage}.{layer}", x, 1 if layer else 2)
        x = self._rectified("head.norm_out", self._square("head.conv_out", x, stride=2))
        rows = config.head_channels * config.num_bands // config.band_stride
        return graph.op("Reshape", x, graph.whole([0, rows, -1]))

    def _residual(self, name: str, x: str, stride: int) -> str:
        h = self._square(f"{name}.conv1", x, stride=stride)
        h = self._square(f"{name}.conv2", self._rectified(f"{name}.norm1", h))
        h = self._norm(f"{name}.norm2", h)
        if stride > 1:
            x = self._conv(f"{name}.shortcut.0", x, strides=[stride, 1])
            x = self._norm(f"{name}.shortcut.1", x)
        return self.graph.op("Relu", self.graph.op("Add", h, x))

    def _layer(self, name: str, x: str, dilation: int, segments: str) -> str:
        """``(batch, num_in, frames)`` to ``(batch, growth, frames)``."""
        graph = self.graph
        h = self._conv(f"{name}.bottleneck", self._rectified(f"{name}.input_norm", x))
        h = self._rectified(f"{name}.norm", h)
        padding = self._config.kernel_size // 2 * dilation
        local = self._conv(f"{name}.local", h, dilations=[dilation], pads=[padding, padding])
        whole = graph.op("ReduceMean", h, axes=[2], keepdims=1)
        length = [SEGMENT_FRAMES]
        means = graph.op("AveragePool", h, kernel_shape=length, strides=length, ceil_mode=1)
        context = graph.op("Add", whole, means)
        hidden = graph.op("Relu", self._conv(f"{name}.mask_hidden", context, has_bias=True))
        mask = graph.op("Sigmoid", self._conv(f"{name}.mask", hidden, has_bias=True))
        return graph.op("Mul", local, graph.op("Gather", mask, segments, axis=2))

    def _num_frames(self, x: str) -> str:
        """How many frames ``(batch, channels, frames)`` has, a whole number."""
        graph = self.graph
        sizes = graph.op("Shape", x)
        return graph.op("Gather", sizes, graph.whole(2))

    def _segments(self, num_frames: str) -> str:
        """``(frames,)``: which segment each frame is in."""
        graph = self.graph
        frames = graph.op("Range", graph.whole(0), num_frames, graph.whole(1))
        return graph.op("Div", frames, graph.whole(SEGMENT_FRAMES))

    def _pooled(self, x: str, num_frames: str) -> str:
        """``(batch, channels, frames)`` to ``(batch, 2 * channels)``: means, then deviations."""
        graph = self.graph
        mean = graph.op("ReduceMean", x, axes=[2], keepdims=1)
        deviations = graph.op("Sub", x, mean)
        squares = graph.op(
            "ReduceSum", graph.op("Mul", deviations, deviations), graph.whole([2]), keepdims=1
        )
        fewer = graph.op("Sub", num_frames, graph.whole(1))
        variance = graph.op("Div", squares, graph.op("Cast", fewer, to=1))  # 1: float32
        both = graph.op("Concat", mean, graph.op("Sqrt", variance), axis=1)
        return graph.op("Squeeze", both, graph.whole([2]))

    def _square(self, name: str, x: str, *, stride: int = 1) -> str:
        """A convolution over 3 bands and 3 frames."""
        return self._conv(name, x, strides=[stride, 1], pads=[1, 1, 1, 1])

    def _conv(self, name: str, x: str, *, has_bias: bool = False, **how: Any) -> str:  # noqa: ANN401 - attributes
        parts = ("weight", "bias") if has_bias else ("weight",)
        return self.graph.op("Conv", x, *(self._weight(f"{name}.{part}") for part in parts), **how)

    def _rectified(self, name: str, x: str) -> str:
        return self.graph.op("Relu", self._norm(name, x))

    def _norm(self, name: str, x: str, *, is_affine: bool = True) -> str:
        """Batch normalisation by running statistics."""
        dim = self._config.embedding_dim
        if is_affine:
            scale, shift = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        else:
            scale, shift = self.graph.constant(np.ones(dim)), self.graph.constant(np.zeros(dim))
        statistics = (self._weight(f"{name}.{part}") for part in ("running_mean", "running_var"))
        return self.graph.op("BatchNormalization", x, scale, shift, *statistics, epsilon=EPSILON)

    def _weight(self, name: str) -> str:
        return self._weights(self.graph, name)
