"""An ECAPA-TDNN, with its log-mel features or without, written down as an ONNX graph.

In: a trained network. Out: an ONNX model of ordinary operators with dynamic batch and time axes.
Written operator by operator rather than traced by ``torch.onnx``: that takes 11 s and a package
more, differs between releases of torch, and keeps paths of this machine's files in the model. For
other programs: any batch, features inside. ``ecapa_frames`` is what voiceguard itself runs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from voiceguard.encoder.export.graph import FEATURES_INPUT, OUTPUT, WAVEFORM_INPUT, Graph
from voiceguard.encoder.frontends.base import centred
from voiceguard.encoder.networks.ecapa_config import STD_FLOOR_VARIANCE
from voiceguard.encoder.networks.ecapa_tdnn import FrameLayer
from voiceguard.types import FRAME_SAMPLES

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from voiceguard.encoder.frontends.log_mel import LogMel
    from voiceguard.encoder.networks.ecapa_tdnn import (
        AttentiveStatisticsPooling,
        EcapaTdnn,
        SERes2Block,
    )


def onnx_model(network: EcapaTdnn, log_mel: LogMel | None) -> bytes:
    """The model.

    Args:
        network: In evaluation mode: its running statistics are used.
        log_mel: The features to put inside; None: the graph takes them.

    Returns:
        The file. Input ``features``, ``(batch, num_mels, frames)``, or ``waveform``,
        ``(batch, samples)``; output ``embedding``, ``(batch, embedding_dim)``, not normalised.
    """
    graph = _Graph()
    name = FEATURES_INPUT if log_mel is None else WAVEFORM_INPUT
    features = name if log_mel is None else _log_mel(graph, log_mel, name)
    graph.op("Identity", _ecapa_tdnn(graph, network, features), name=OUTPUT)
    shape: list[str | int] = ["batch", "samples"]
    if log_mel is None:
        shape = ["batch", network.config.num_mels, "frames"]
    made: tuple[str, list[str | int]] = (OUTPUT, ["batch", network.config.embedding_dim])
    return graph.model("ecapa_tdnn", (name, shape), made)


class _Graph(Graph):
    """A graph with what this network is made of, out of torch's tensors."""

    def constant(self, value: ArrayLike | Tensor) -> str:
        """A float32 array, of any shape."""
        return super().constant(value.detach().cpu() if isinstance(value, Tensor) else value)

    def pad(self, x: str, each_side: int) -> str:
        """The time axis, by reflection."""
        return self.op("Pad", x, self.whole([0, 0, each_side, 0, 0, each_side]), mode="reflect")

    def matrix(self, x: str, weight: Tensor, bias: Tensor | None) -> str:
        """``weight @ x`` of every frame, as a convolution of width 1."""
        parts = [weight.reshape(*weight.shape[:2], 1), *([] if bias is None else [bias])]
        return self.op("Conv", x, *map(self.constant, parts))

    def norm(self, x: str, norm: nn.BatchNorm1d) -> str:
        """Batch normalisation by running statistics."""
        assert norm.running_mean is not None
        assert norm.running_var is not None
        parts = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
        return self.op("BatchNormalization", x, *map(self.constant, parts), epsilon=norm.eps)

    def mean(self, x: str) -> str:
        """Over time, which stays as an axis of size 1."""
        return self.op("ReduceMean", x, axes=[2], keepdims=1)

    def sum(self, x: str) -> str:
        """Likewise."""
        return self.op("ReduceSum", x, self.whole([2]), keepdims=1)

    def root(self, variance: str) -> str:
        """The standard deviation."""
        return self.op("Sqrt", self.op("Max", variance, self.constant(STD_FLOOR_VARIANCE)))

    def square(self, x: str) -> str:
        """Of each value."""
        return self.op("Mul", x, x)


def _log_mel(graph: _Graph, log_mel: LogMel, samples: str) -> str:
    """``(batch, samples)`` to ``(batch, num_mels, frames)``, as ``LogMel``.

    Frames, window and Fourier transform are one convolution with a stride of 10 ms: a cosine and a
    sine for every bin, each times the window. Runtimes have convolutions; few have transforms.
    """
    config = log_mel.config
    spectrogram: Any = log_mel.mel_power.spectrogram
    mel_scale: Any = log_mel.mel_power.mel_scale
    window = centred(spectrogram.window.double(), config.fft_samples)
    time = torch.arange(config.fft_samples, dtype=torch.float64)
    bins = torch.arange(config.fft_samples // 2 + 1, dtype=torch.float64).unsqueeze(1)
    phase = 2 * math.pi * (bins * time % config.fft_samples) / config.fft_samples
    kernel = (torch.cat([torch.cos(phase), torch.sin(phase)]) * window).unsqueeze(1)
    x = graph.pad(graph.op("Unsqueeze", samples, graph.whole([1])), config.fft_samples // 2)
    x = graph.op("Conv", x, graph.constant(kernel), strides=[FRAME_SAMPLES])
    cosines, sines = graph.split(x, [len(bins), len(bins)])
    power = graph.op("Add", graph.square(cosines), graph.square(sines))  # (batch, bins, frames)
    mel = graph.matrix(power, mel_scale.fb.T, None)
    log_power = graph.op("Log", graph.op("Add", mel, graph.constant(config.floor)))
    return graph.op("Sub", log_power, graph.mean(log_power))


def _ecapa_tdnn(graph: _Graph, network: EcapaTdnn, features: str) -> str:
    """``(batch, num_mels, frames)`` to ``(batch, embedding_dim)``, as ``EcapaTdnn.forward``."""
    x = _layer(graph, network.input_layer, features)
    outputs = []
    for block in network.blocks:
        x = _block(graph, block, x)  # type: ignore[arg-type]
        outputs.append(x)
    h = _layer(graph, network.aggregation, graph.op("Concat", *outputs, axis=1))
    pooled = graph.norm(_pooling(graph, network.pooling, h), network.pooling_norm)
    projection = network.projection
    embedding = graph.matrix(pooled, projection.weight, projection.bias)
    return graph.op("Squeeze", embedding, graph.whole([2]))


def _layer(graph: _Graph, layer: FrameLayer, x: str) -> str:
    kernel_size, dilation = layer.conv.kernel_size[0], layer.conv.dilation[0]
    if kernel_size > 1:
        x = graph.pad(x, (kernel_size - 1) * dilation // 2)
    assert layer.conv.bias is not None
    weights = (graph.constant(layer.conv.weight), graph.constant(layer.conv.bias))
    x = graph.op("Conv", x, *weights, dilations=[dilation])
    return graph.norm(graph.op("Relu", x), layer.norm)


def _block(graph: _Graph, block: SERes2Block, x: str) -> str:
    h = _layer(graph, block.dense_in, x)
    scale = block.res2conv.scale
    width = block.dense_in.conv.out_channels // scale
    first, *groups = graph.split(h, [width] * scale)
    outputs = [first]
    for index, (layer, group) in enumerate(zip(block.res2conv.layers, groups, strict=True)):
        assert isinstance(layer, FrameLayer)
        given = group if index == 0 else graph.op("Add", group, outputs[-1])
        outputs.append(_layer(graph, layer, given))
    h = _layer(graph, block.dense_out, graph.op("Concat", *outputs, axis=1))
    squeeze, excite = block.squeeze_excitation.squeeze, block.squeeze_excitation.excite
    z = graph.op("Relu", graph.matrix(graph.mean(h), squeeze.weight, squeeze.bias))
    scales = graph.op("Sigmoid", graph.matrix(z, excite.weight, excite.bias))
    if isinstance(block.shortcut, nn.Conv1d):
        x = graph.matrix(x, block.shortcut.weight, block.shortcut.bias)
    return graph.op("Add", graph.op("Mul", h, scales), x)


def _pooling(graph: _Graph, pooling: AttentiveStatisticsPooling, h: str) -> str:
    """``(batch, channels, frames)`` to ``(batch, 2 * channels, 1)``, means first."""
    weight, bias = pooling.hidden.conv.weight, pooling.hidden.conv.bias
    channels = pooling.scores.out_channels
    hidden = graph.matrix(h, weight[:, :channels], bias)
    if pooling.global_context:
        mean = graph.mean(h)
        std = graph.root(graph.mean(graph.square(graph.op("Sub", h, mean))))
        context = graph.op("Concat", mean, std, axis=1)
        hidden = graph.op("Add", hidden, graph.matrix(context, weight[:, channels:], None))
    hidden = graph.op("Tanh", graph.norm(graph.op("Relu", hidden), pooling.hidden.norm))
    scores = graph.matrix(hidden, pooling.scores.weight, pooling.scores.bias)
    alpha = graph.op("Softmax", scores, axis=2)
    mean = graph.sum(graph.op("Mul", alpha, h))
    squares = graph.square(graph.op("Sub", h, mean))
    std = graph.root(graph.sum(graph.op("Mul", alpha, squares)))
    return graph.op("Concat", mean, std, axis=1)
