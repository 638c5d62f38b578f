"""The same embeddings as ``CamPlusPlus`` in evaluation mode, in 55 % of the time on a CPU.

Part of hop 3, inference only, one recording at a time. What makes it fast, measured on one core
with 3 s of audio:

- the head's convolutions hold their normalisation and lie channels last: 9 ms instead of 15;
- a block's layers write what they add into one buffer, instead of copying all before it; it lies
  frame by frame, for which matrix products are 15 % quicker;
- rectified normalisation is a maximum, ``relu(s x + b) = s max(x, -b / s) + b`` for positive s, and
  scale and shift go into the matrix that follows: one pass over the data instead of three;
- the local convolution is one matrix product whose three parts are added shifted; the context
  is one with a matrix of averages, and its mask is computed once for a segment, not for a frame.

The rest is 1.6 billion multiplications, which run at the speed of the processor.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv2d

from voiceguard.encoder.networks.campplus_config import (
    MIN_VARIANCE,
    SEGMENT_FRAMES,
    TIME_STRIDE,
)
from voiceguard.encoder.networks.fused import Buffers, scale_and_shift

if TYPE_CHECKING:
    from voiceguard.encoder.networks.campplus import (
        Block,
        CamPlusPlus,
        Head,
        MaskedLayer,
        ResidualLayer,
    )


class FusedCamPlusPlus:
    """A copy of a trained network for inference. Not for two threads at the same time."""

    def __init__(self, network: CamPlusPlus) -> None:
        with torch.no_grad():
            self._head = _Head(network.head)
            scale, shift = scale_and_shift(network.input_norm)
            self._input = network.input_layer.weight * scale[:, None, None]
            self._input_bias = shift
            self._input_padding = network.input_layer.padding[0]
            self._blocks = [_Block(block) for block in network.blocks]  # type: ignore[arg-type]
            self._output = _Rectified(network.output_norm)
            self._project(network)
        self._buffers = Buffers(self._projection)
        self._averages: dict[int, tuple[Tensor, Tensor]] = {}

    def _project(self, network: CamPlusPlus) -> None:
        """The normalisations on both sides of the projection, inside it."""
        scale, shift = scale_and_shift(network.embedding_norm)
        weight = network.projection.weight * scale.unsqueeze(1)  # (embedding_dim, 2 * channels)
        means, deviations = weight.chunk(2, dim=1)
        output = self._output
        self._projection = torch.cat(
            [means * output.scale, deviations * output.scale.abs()], dim=1
        ).contiguous()
        self._projection_bias = shift + means @ output.shift  # (embedding_dim,)

    def __call__(self, features: Tensor) -> Tensor:
        """``(num_bands, frames)`` to ``(embedding_dim,)``, not normalised."""
        return self._embedded(self._frames(features))

    def with_frames(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The embedding, and what is pooled to it: ``(channels, frames)``, at half the rate."""
        rectified = self._frames(features)
        frames = (rectified * self._output.scale + self._output.shift).T
        return self._embedded(rectified), frames

    def _frames(self, features: Tensor) -> Tensor:
        """``(frames, channels)`` rectified, in a buffer."""
        x = self._head(features)  # (1, head_channels * bands, frames)
        x = conv1d(
            x, self._input, self._input_bias, stride=TIME_STRIDE, padding=self._input_padding
        )
        x = x[0].T.relu()  # (frames at half the rate, channels)
        averages = self._averaging(len(x), x)
        for block in self._blocks:
            x = block(x, averages, self._buffers)
        return self._output(x, self._buffers.take_frames("rectified", *x.shape))

    def _embedded(self, rectified: Tensor) -> Tensor:
        """``(frames, channels)``, overwritten, to ``(embedding_dim,)``."""
        mean = rectified.mean(dim=0)  # (channels,)
        # Not torch.var: that takes 4 ms for what this does in 0.1.
        length = torch.linalg.vector_norm(rectified.sub_(mean), dim=0)
        std = length.div_((len(rectified) - 1) ** 0.5).clamp_min_(MIN_VARIANCE**0.5)
        return torch.addmv(self._projection_bias, self._projection, torch.cat([mean, std]))

    def _averaging(self, num_frames: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Matrices that take frames to contexts, and contexts to frames; few lengths are met.

        Returns:
            ``(segments, frames)``: each row the mean of all plus that of a segment; and
            ``(frames, segments)``, one where the frame is in the segment.
        """
        found = self._averages.get(num_frames)
        if found is None:
            segment = torch.arange(num_frames, device=like.device) // SEGMENT_FRAMES
            inside = nn.functional.one_hot(segment).to(like.dtype)  # (frames, segments)
            means = inside / inside.sum(dim=0) + 1 / num_frames
            found = (means.T.contiguous(), inside)
            if len(self._averages) >= _KEPT_LENGTHS:
                self._averages.clear()
            self._averages[num_frames] = found
        return found


_KEPT_LENGTHS = 64
"""A stream's windows have a dozen; a corpus' recordings have any."""
_SPARE_CHANNELS = 16
"""Without them rows of the dense buffer lie 4096 bytes apart, all in the same lines of the cache:
6 % slower."""


class _Rectified:
    """Normalisation and ReLU as ``scale * clamped + shift``; calling it gives ``clamped``.

    Where the scale is negative, it is a minimum instead of a maximum: of 3D-Speaker's 40,000
    channels, seven.
    """

    def __init__(self, norm: nn.BatchNorm1d) -> None:
        scale, shift = scale_and_shift(norm)
        is_flat = scale == 0
        self.scale = scale
        self.shift = torch.where(is_flat, shift.clamp_min(0.0), shift)
        self._bound = torch.where(is_flat, torch.zeros_like(shift), -shift / scale)
        self._falling = (scale < 0).nonzero().squeeze(1)

    def __call__(self, x: Tensor, out: Tensor) -> Tensor:
        """``(frames, channels)`` to the same shape."""
        torch.maximum(x, self._bound, out=out)
        if len(self._falling):
            fallen = torch.minimum(x[:, self._falling], self._bound[self._falling])
            out.index_copy_(1, self._falling, fallen)
        return out

    def before(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Of ``(num_out, channels)``, what takes ``clamped``: its transpose, and a bias."""
        return (weight * self.scale).T.contiguous(), weight @ self.shift


class _Block:
    """A Block."""

    def __init__(self, block: Block) -> None:
        layers: list[MaskedLayer] = list(block.layers)  # type: ignore[arg-type]
        self._layers = [_Layer(layer) for layer in layers]
        self._widths = [layer.bottleneck.in_channels for layer in layers]
        self._widths.append(block.transition.in_channels)
        self._rectified = _Rectified(block.transition_norm)
        weight = block.transition.weight.squeeze(2)  # (num_out, num_in)
        self._transition, self._bias = self._rectified.before(weight)

    def __call__(self, x: Tensor, averages: tuple[Tensor, Tensor], buffers: Buffers) -> Tensor:
        """``(frames, num_in)`` to ``(frames, num_out)``, which no buffer holds."""
        num_frames = len(x)
        dense = buffers.take_frames("dense", num_frames, self._widths[-1] + _SPARE_CHANNELS)
        dense[:, : self._widths[0]] = x
        for layer, (width, end) in zip(self._layers, pairwise(self._widths), strict=True):
            layer(dense[:, :width], averages, buffers, out=dense[:, width:end])
        clamped = buffers.take_frames("clamped", num_frames, self._widths[-1])
        self._rectified(dense[:, : self._widths[-1]], clamped)
        return torch.addmm(self._bias, clamped, self._transition)


class _Layer:
    """A MaskedLayer."""

    def __init__(self, layer: MaskedLayer) -> None:
        self._rectified = _Rectified(layer.input_norm)
        scale, shift = scale_and_shift(layer.norm)
        bottleneck, bias = self._rectified.before(layer.bottleneck.weight.squeeze(2))
        self._bottleneck = (bottleneck * scale).contiguous()  # (num_in, narrow)
        self._bias = bias * scale + shift  # (narrow,)
        growth, narrow, self._num_taps = layer.local.weight.shape
        self._num_products = growth * self._num_taps
        self._dilation = layer.local.dilation[0]
        taps = layer.local.weight.detach().permute(1, 2, 0)  # (narrow, kernel_size, growth)
        self._taps = taps.reshape(narrow, -1).contiguous()
        self._hidden, self._hidden_bias = _transposed(layer.mask_hidden)
        self._mask, self._mask_bias = _transposed(layer.mask)

    def __call__(
        self, x: Tensor, averages: tuple[Tensor, Tensor], buffers: Buffers, *, out: Tensor
    ) -> None:
        """``(frames, num_in)`` to ``(frames, growth)``."""
        num_frames, num_in = x.shape
        clamped = self._rectified(x, buffers.take_frames("clamped", num_frames, num_in))
        h = buffers.take_frames("bottleneck", num_frames, len(self._bias))
        torch.addmm(self._bias, clamped, self._bottleneck, out=h).relu_()
        to_contexts, to_frames = averages
        hidden = torch.addmm(self._hidden_bias, to_contexts @ h, self._hidden).relu_()
        mask = torch.addmm(self._mask_bias, hidden, self._mask).sigmoid_()  # (segments, growth)
        self._local(h, buffers, out=out)
        out.mul_(to_frames @ mask)

    def _local(self, h: Tensor, buffers: Buffers, *, out: Tensor) -> None:
        """The convolution over time, zeros beyond both ends."""
        num_frames = len(h)
        products = buffers.take_frames("taps", num_frames, self._num_products)
        torch.mm(h, self._taps, out=products)
        parts = torch.chunk(products, self._num_taps, dim=1)  # (frames, growth) each
        middle = self._num_taps // 2
        out.copy_(parts[middle])
        for tap, part in enumerate(parts):
            ahead = (tap - middle) * self._dilation  # frame t sees frame t + ahead
            if 0 < ahead < num_frames:
                out[:-ahead].add_(part[ahead:])
            elif 0 < -ahead < num_frames:
                out[-ahead:].add_(part[:ahead])


class _Head:
    """A Head."""

    def __init__(self, head: Head) -> None:
        self._conv_in = _Convolution(head.conv_in, head.norm_in)
        self._layers = [_Residual(layer) for stage in head.stages for layer in stage]  # type: ignore[attr-defined]
        self._conv_out = _Convolution(head.conv_out, head.norm_out)

    def __call__(self, features: Tensor) -> Tensor:
        """``(num_bands, frames)`` to ``(1, head_channels * bands, frames)``."""
        x = features[None, None].contiguous(memory_format=torch.channels_last)
        x = self._conv_in(x).relu_()
        for layer in self._layers:
            x = layer(x)
        return self._conv_out(x).relu_().flatten(1, 2)


class _Residual:
    """A ResidualLayer."""

    def __init__(self, layer: ResidualLayer) -> None:
        self._conv1 = _Convolution(layer.conv1, layer.norm1)
        self._conv2 = _Convolution(layer.conv2, layer.norm2)
        self._shortcut = None
        if isinstance(layer.shortcut, nn.Sequential):
            conv, norm = layer.shortcut
            self._shortcut = _Convolution(conv, norm)  # type: ignore[arg-type]

    def __call__(self, x: Tensor) -> Tensor:
        """``(1, channels, bands, frames)``."""
        skipped = x if self._shortcut is None else self._shortcut(x)
        return self._conv2(self._conv1(x).relu_()).add_(skipped).relu_()


class _Convolution:
    """A two-dimensional convolution and its normalisation, channels last."""

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        scale, shift = scale_and_shift(norm)
        weight = conv.weight * scale[:, None, None, None]
        self._weight = weight.contiguous(memory_format=torch.channels_last)
        self._bias = shift
        self._stride: tuple[int, ...] = conv.stride
        self._padding = conv.padding

    def __call__(self, x: Tensor) -> Tensor:
        """``(1, num_in, bands, frames)`` to ``(1, num_out, bands', frames)``."""
        return conv2d(x, self._weight, self._bias, stride=self._stride, padding=self._padding)


def _transposed(conv: nn.Conv1d) -> tuple[Tensor, Tensor]:
    """A convolution of width 1: ``(num_in, num_out)``, and its bias ``(num_out,)``."""
    assert conv.bias is not None
    return conv.weight.detach().squeeze(2).T.contiguous(), conv.bias.detach()
