"""NeMo's convolutional encoders of speakers, TitaNet and SpeakerNet: mel frames in, embedding out.

A stack of Jasper blocks (depth-wise separable convolutions, residual branches, squeeze and
excitation) and the pooling of ``nemo_decoder``; for inference only.

Source: Koluguri, Park, Ginsburg, "TitaNet", ICASSP 2022, section 2.1; Koluguri, Li, Lavrukhin,
Ginsburg, "SpeakerNet: 1D Depth-wise Separable Convolutional Network for Text-Independent Speaker
Recognition and Verification", 2020, section 3. What the papers leave open follows nemo-toolkit
3.0.0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from voiceguard.encoder.networks.nemo_decoder import (
    SpeakerDecoder,
    SpeakerDecoderConfig,
    padded_frames,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "swish": nn.SiLU,
    "hardtanh": nn.Hardtanh,
}

MOST_LAYERS = 100
"""Of blocks, and of convolutions in one: the published networks have 5 and 3."""

NORM_EPS = 1e-3
"""Of the batch normalisation in Jasper blocks; the decoder has torch's default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JasperBlockConfig:
    """One block: ``repeat`` convolutions, each with batch normalisation, and what goes around."""

    filters: int
    repeat: int
    kernel_size: int
    """Odd."""
    stride: int = 1
    dilation: int = 1
    is_separable: bool = True
    """A convolution per channel and one across channels, instead of one over both."""
    is_residual: bool = False
    """Whether the block's input is added, through a convolution of size 1."""
    has_strided_residual: bool = False
    """Whether the residual branch takes the stride too."""
    has_stride_last: bool = False
    """Only the last of the repeated convolutions takes the stride."""
    se_reduction: int = 0
    """Squeeze and excitation through that many times fewer channels; 0: none."""

    def __post_init__(self) -> None:
        if min(self.filters, self.repeat, self.kernel_size, self.stride, self.dilation) < 1:
            raise ValueError("every size of a block must be at least 1")
        if self.repeat > MOST_LAYERS:
            raise ValueError(f"repeat must be at most {MOST_LAYERS}, not {self.repeat}")
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd to keep the length, not {self.kernel_size}")
        if self.stride > 1 and self.dilation > 1:
            raise ValueError("a block has a stride or a dilation, not both")
        if not 0 <= self.se_reduction <= self.filters:
            raise ValueError(f"se_reduction must be 0 to {self.filters}, not {self.se_reduction}")
        shortcut = self.stride if self.has_strided_residual else 1
        if self.is_residual and self.total_stride != shortcut:
            raise ValueError(
                f"the convolutions of a residual block stride by {self.total_stride} together, "
                f"its residual branch by {shortcut}"
            )

    @property
    def strides(self) -> tuple[int, ...]:
        """Of each convolution."""
        before = 1 if self.has_stride_last else self.stride
        return (before,) * (self.repeat - 1) + (self.stride,)

    @property
    def total_stride(self) -> int:
        """Frames in per frame out."""
        return math.prod(self.strides)


@dataclass(frozen=True, slots=True, kw_only=True)
class NemoConvConfig:
    """Sizes of the network."""

    TYPE: ClassVar[str] = "nemo_conv"

    num_bands: int = 80
    blocks: tuple[JasperBlockConfig, ...]
    activation: str = "relu"
    is_masked: bool = True
    """Whether frames past the audio's end are zeros for every convolution, not only the first."""
    pad_frames_to: int = 16
    """Without ``is_masked``: of how many frames there is a multiple (see ``padded_frames``)."""
    decoder: SpeakerDecoderConfig

    def __post_init__(self) -> None:
        if not 1 <= len(self.blocks) <= MOST_LAYERS:
            raise ValueError(f"there must be 1 to {MOST_LAYERS} blocks, not {len(self.blocks)}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {', '.join(ACTIVATIONS)}, not {self.activation!r}"
            )
        if self.num_bands < 1 or self.pad_frames_to < 0:
            raise ValueError("num_bands must be at least 1, pad_frames_to not negative")
        if self.decoder.num_in != self.blocks[-1].filters:
            raise ValueError(
                f"the decoder takes {self.decoder.num_in} channels, the last block gives "
                f"{self.blocks[-1].filters}"
            )

    @property
    def embedding_dim(self) -> int:
        """Length of the embedding."""
        return self.decoder.embedding_dim

    @property
    def min_frames(self) -> int:
        """The shortest input that leaves enough frames to the pooling after all strides."""
        frames = self.decoder.min_frames
        for block in reversed(self.blocks):
            frames = (frames - 1) * block.total_stride + 1
        return max(frames, 2)  # normalisation of the features divides by one less than there are

    def build(self) -> NemoConv:
        """A network with weights still to be loaded."""
        return NemoConv(self)


class SqueezeExcitation(nn.Module):
    """Rescales each channel by what the whole utterance says about it.

    NeMo limits the context (``se_context_size``) in training only.
    """

    def __init__(self, channels: int, reduction: int, activation: nn.Module) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // reduction, bias=False)
        self.excite = nn.Linear(channels // reduction, channels, bias=False)
        self.activation = activation

    def forward(self, x: Tensor, length: int) -> Tensor:
        """``(batch, channels, frames)`` to the same shape; frames past ``length`` become zeros."""
        mean = x[:, :, :length].mean(dim=2)
        scales = torch.sigmoid(self.excite(self.activation(self.squeeze(mean))))
        rescaled = x[:, :, :length] * scales.unsqueeze(2)
        return nn.functional.pad(rescaled, (0, x.shape[2] - rescaled.shape[2]))


class ConvNorm(nn.Module):
    """A convolution, separable or not, and batch normalisation."""

    def __init__(self, num_in: int, config: JasperBlockConfig, stride: int) -> None:
        super().__init__()
        is_separable, num_out = config.is_separable, config.filters
        self.conv = nn.Conv1d(
            num_in,
            num_in if is_separable else num_out,
            config.kernel_size,
            stride=stride,
            dilation=config.dilation,
            padding=(config.kernel_size - 1) * config.dilation // 2,
            groups=num_in if is_separable else 1,
            bias=False,
        )
        self.is_scale = is_separable and config.kernel_size == stride == 1
        """One weight per channel is all there is of the convolution."""
        self.across = nn.Conv1d(num_in, num_out, 1, bias=False) if is_separable else None
        self.norm = nn.BatchNorm1d(num_out, eps=NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, num_in, frames)`` to ``(batch, filters, frames // stride)``, rounded up."""
        # The last block has it: 0.1 ms where torch convolves channel by channel for 7 ms.
        x = x * self.conv.weight[:, 0] if self.is_scale else self.conv(x)
        if self.across is not None:
            x = self.across(x)
        normalised: Tensor = self.norm(x)
        return normalised


class JasperBlock(nn.Module):
    """Repeated convolutions, squeeze and excitation, plus the input through a convolution."""

    def __init__(self, num_in: int, config: JasperBlockConfig, activation: nn.Module) -> None:
        super().__init__()
        widths = (num_in, *(config.filters,) * (config.repeat - 1))
        self.layers = nn.ModuleList(
            ConvNorm(width, config, stride)
            for width, stride in zip(widths, config.strides, strict=True)
        )
        self.se = (
            SqueezeExcitation(config.filters, config.se_reduction, activation)
            if config.se_reduction
            else None
        )
        shortcut = JasperBlockConfig(
            filters=config.filters, repeat=1, kernel_size=1, is_separable=False
        )
        self.shortcut = (
            ConvNorm(num_in, shortcut, config.total_stride) if config.is_residual else None
        )
        self.activation = activation

    def forward(self, x: Tensor, length: int) -> Tensor:
        """``(batch, num_in, frames)`` to ``(batch, filters, frames // total_stride)``."""
        h = x
        for index, layer in enumerate(self.layers):
            h = layer(h if index == 0 else self.activation(h))
        if self.se is not None:
            h = self.se(h, length)
        if self.shortcut is not None:
            h = h + self.shortcut(x)
        activated: Tensor = self.activation(h)
        return activated


class NemoConv(nn.Module):
    """The whole network."""

    def __init__(self, config: NemoConvConfig) -> None:
        super().__init__()
        self.config = config
        activation = ACTIVATIONS[config.activation]()
        widths = (config.num_bands, *(block.filters for block in config.blocks))
        self.blocks = nn.ModuleList(
            JasperBlock(num_in, block, activation)
            for num_in, block in zip(widths[:-1], config.blocks, strict=True)
        )
        self.decoder = SpeakerDecoder(config.decoder)

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, num_bands, frames)`` of the audio alone to ``(batch, embedding_dim)``.

        NeMo pads the features with frames of zeros. Where it masks, they stay zeros at every
        convolution and count nowhere else: as if there were none. Where it doesn't, they become
        something that the convolutions carry into the audio's last frames.
        """
        length = features.shape[2]
        x = features
        if not self.config.is_masked:
            padded = padded_frames(length, self.config.pad_frames_to)
            x = nn.functional.pad(features, (0, padded - length))
        for block in self.blocks:
            x = block(x, length)
        embedding: Tensor = self.decoder(x[:, :, :length])
        return embedding
