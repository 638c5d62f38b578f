"""CAM++: a densely connected TDNN behind a small 2-D convolutional head, masked by its context.

In: features. Out: embeddings, not normalised. Recordings of several lengths may be one batch: what
pads them to the longest changes nothing.

Source: H. Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using
Context-Aware Masking", Interspeech 2023 (arXiv 2303.00332), sections 2.1 to 2.3 and table 1; what
the paper leaves open (strides, where layers have biases, the unbiased deviation) as the tensors of
3D-Speaker's published weights need it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from voiceguard.encoder.networks.campplus_config import (
    DILATIONS,
    MIN_VARIANCE,
    SEGMENT_FRAMES,
    TIME_STRIDE,
)

if TYPE_CHECKING:
    from voiceguard.encoder.networks.campplus_config import CamPlusPlusConfig


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of each row of a batch is a recording; behind that is padding."""

    num_frames: Tensor
    """``(batch,)``."""
    mask: Tensor | None
    """``(batch, 1, frames)``, true inside; None: there is no padding."""

    @classmethod
    def of(cls, x: Tensor, num_frames: Tensor | None) -> Extent:
        """Of ``(batch, channels, frames)``; without ``num_frames`` all of it."""
        frames = x.shape[2]
        if num_frames is None:
            return cls(torch.full((len(x),), frames, device=x.device), None)
        index = torch.arange(frames, device=x.device)
        return cls(num_frames, (index < num_frames.unsqueeze(1)).unsqueeze(1))

    def strided(self) -> Extent:
        """Behind the input layer."""
        num_frames = (self.num_frames - 1) // TIME_STRIDE + 1
        mask = None if self.mask is None else self.mask[:, :, ::TIME_STRIDE]
        return replace(self, num_frames=num_frames, mask=mask)

    def masked(self, x: Tensor) -> Tensor:
        """``(batch, channels, frames)`` or ``(batch, channels, bands, frames)``, padding zero."""
        if self.mask is None:
            return x
        return x * (self.mask if x.dim() == 3 else self.mask.unsqueeze(1))

    def per_segment(self, num_segments: int) -> Tensor:
        """``(batch, 1, num_segments)``: how many frames each holds, at least one."""
        first = SEGMENT_FRAMES * torch.arange(num_segments, device=self.num_frames.device)
        return (self.num_frames[:, None, None] - first).clamp(1, SEGMENT_FRAMES)


class CamPlusPlus(nn.Module):
    """The whole network."""

    def __init__(self, config: CamPlusPlusConfig) -> None:
        super().__init__()
        self.head = Head(config)
        kernel_size, channels = config.input_kernel_size, config.channels
        self.input_layer = nn.Conv1d(
            config.head_channels * config.num_bands // config.band_stride,
            channels,
            kernel_size,
            stride=TIME_STRIDE,
            padding=kernel_size // 2,
            bias=False,
        )
        self.input_norm = nn.BatchNorm1d(channels)
        self.blocks = nn.ModuleList()
        transitions = zip(config.block_layers, DILATIONS, config.transition_channels, strict=True)
        for num_layers, dilation, num_out in transitions:
            self.blocks.append(Block(config, channels, num_layers, dilation, num_out))
            channels = num_out
        self.output_norm = nn.BatchNorm1d(channels)
        self.projection = nn.Linear(2 * channels, config.embedding_dim, bias=False)
        self.embedding_norm = nn.BatchNorm1d(config.embedding_dim, affine=False)

    def forward(self, features: Tensor, num_frames: Tensor | None = None) -> Tensor:
        """Embeds a batch.

        Args:
            features: ``(batch, num_bands, frames)``.
            num_frames: ``(batch,)`` whole numbers, on the same device: how many of each row's
                frames are a recording. None: all.

        Returns:
            ``(batch, embedding_dim)``.
        """
        extent = Extent.of(features, num_frames)
        return self.embedded(*self.frames(features, extent))

    def frames(self, features: Tensor, extent: Extent) -> tuple[Tensor, Extent]:
        """What is pooled: ``(batch, channels, frames)``, at half the rate, and its extent."""
        x = self.head(extent.masked(features), extent)
        extent = extent.strided()
        x = torch.relu(self.input_norm(self.input_layer(x)))
        for block in self.blocks:
            x = block(x, extent)
        return torch.relu(self.output_norm(x)), extent

    def embedded(self, frames: Tensor, extent: Extent) -> Tensor:
        """``(batch, channels, frames)`` of ``frames`` to ``(batch, embedding_dim)``."""
        embedding: Tensor = self.embedding_norm(self.projection(pool(frames, extent)))
        return embedding


class Head(nn.Module):
    """The front-end convolution module, section 2.3: time and frequency at full rate in time."""

    def __init__(self, config: CamPlusPlusConfig) -> None:
        super().__init__()
        channels = config.head_channels
        self.conv_in = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.norm_in = nn.BatchNorm2d(channels)
        self.stages = nn.ModuleList(
            nn.ModuleList(ResidualLayer(channels, 1 if index else 2) for index in range(num_layers))
            for num_layers in config.head_layers
        )
        self.conv_out = nn.Conv2d(channels, channels, 3, stride=(2, 1), padding=1, bias=False)
        self.norm_out = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor, extent: Extent) -> Tensor:
        """``(batch, num_bands, frames)`` to ``(batch, head_channels * bands, frames)``."""
        x = extent.masked(torch.relu(self.norm_in(self.conv_in(features.unsqueeze(1)))))
        for stage in self.stages:
            for layer in stage:  # type: ignore[attr-defined]
                x = layer(x, extent)
        return extent.masked(torch.relu(self.norm_out(self.conv_out(x)))).flatten(1, 2)


class ResidualLayer(nn.Module):
    """Two convolutions and a skip; the first of a stage halves the bands."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        strides = (stride, 1)
        self.conv1 = nn.Conv2d(channels, channels, 3, stride=strides, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, channels, 1, stride=strides, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, x: Tensor, extent: Extent) -> Tensor:
        """``(batch, channels, bands, frames)`` to the same, or half the bands."""
        h = extent.masked(torch.relu(self.norm1(self.conv1(x))))
        return extent.masked(torch.relu(self.norm2(self.conv2(h)) + self.shortcut(x)))


class Block(nn.Module):
    """Layers that each see what all before them added; then a transition to fewer channels."""

    def __init__(
        self, config: CamPlusPlusConfig, num_in: int, num_layers: int, dilation: int, num_out: int
    ) -> None:
        super().__init__()
        widths = [num_in + index * config.growth for index in range(num_layers + 1)]
        self.layers = nn.ModuleList(MaskedLayer(config, each, dilation) for each in widths[:-1])
        self.transition_norm = nn.BatchNorm1d(widths[-1])
        self.transition = nn.Conv1d(widths[-1], num_out, 1, bias=False)

    def forward(self, x: Tensor, extent: Extent) -> Tensor:
        """``(batch, num_in, frames)`` to ``(batch, num_out, frames)``."""
        for layer in self.layers:
            x = torch.cat([x, layer(x, extent)], dim=1)
        narrowed: Tensor = self.transition(torch.relu(self.transition_norm(x)))
        return narrowed


class MaskedLayer(nn.Module):
    """A TDNN layer whose output its context masks, section 2.2, equations 1 to 5."""

    def __init__(self, config: CamPlusPlusConfig, num_in: int, dilation: int) -> None:
        super().__init__()
        narrow, hidden = config.bottleneck_channels, config.mask_channels
        self.input_norm = nn.BatchNorm1d(num_in)
        self.bottleneck = nn.Conv1d(num_in, narrow, 1, bias=False)
        self.norm = nn.BatchNorm1d(narrow)
        self.local = nn.Conv1d(
            narrow,
            config.growth,
            config.kernel_size,
            padding=config.kernel_size // 2 * dilation,
            dilation=dilation,
            bias=False,
        )
        self.mask_hidden = nn.Conv1d(narrow, hidden, 1)
        self.mask = nn.Conv1d(hidden, config.growth, 1)

    def forward(self, x: Tensor, extent: Extent) -> Tensor:
        """``(batch, num_in, frames)`` to ``(batch, growth, frames)``."""
        h = torch.relu(self.norm(self.bottleneck(torch.relu(self.input_norm(x)))))
        h = extent.masked(h)
        context = torch.relu(self.mask_hidden(_context(h, extent)))
        mask = torch.sigmoid(self.mask(context))  # (batch, growth, segments)
        per_frame = mask.repeat_interleave(SEGMENT_FRAMES, dim=2)[:, :, : h.shape[2]]
        masked: Tensor = self.local(h) * per_frame
        return masked


def _context(h: Tensor, extent: Extent) -> Tensor:
    """Mean of the whole plus mean of each segment, ``(batch, channels, segments)``."""
    padding = -h.shape[2] % SEGMENT_FRAMES
    segments = pad(h, (0, padding)).reshape(*h.shape[:2], -1, SEGMENT_FRAMES)
    sums = segments.sum(dim=3, dtype=torch.float32)  # half precision would round them
    whole = sums.sum(dim=2, keepdim=True) / extent.num_frames[:, None, None]
    context: Tensor = whole + sums / extent.per_segment(sums.shape[2])
    return context


def pool(x: Tensor, extent: Extent) -> Tensor:
    """``(batch, channels, frames)`` to ``(batch, 2 * channels)``: means, unbiased deviations."""
    num_frames = extent.num_frames[:, None]
    mean = extent.masked(x).sum(dim=2, dtype=torch.float32) / num_frames
    deviations = extent.masked(x - mean.unsqueeze(2))
    variance = deviations.square().sum(dim=2) / (num_frames - 1)
    return torch.cat([mean, variance.clamp_min(MIN_VARIANCE).sqrt()], dim=1)
