"""NeMo's ``SpeakerDecoder``: what becomes of an encoder's frames until there is an embedding.

Shared by ``nemo_conv`` and ``nemo_ecapa``. In: encoded frames, ``(batch, channels, frames)``;
out: ``(batch, dim)``. The layer that told the training's speakers apart is left out.

Source: Koluguri, Park, Ginsburg, "TitaNet: Neural Model for Speaker Representation with 1D
Depth-wise Separable Convolutions and Global Context", ICASSP 2022, section 2.2 (attention);
Snyder et al., "X-vectors", ICASSP 2018, section 2.1 (mean and standard deviation). What the papers
leave open follows nemo-toolkit 3.0.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

POOLINGS = ("attention", "xvector")

VARIANCE_FLOOR = 1e-10
"""Variances are clamped to it before the square root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerDecoderConfig:
    """Sizes of the decoder."""

    num_in: int
    """Channels of the encoder's frames."""
    pooling: str
    """``attention``: attentive statistics with global context; ``xvector``: mean and deviation."""
    attention_channels: int = 128
    """Of the attention's hidden layer."""
    embedding_sizes: tuple[int, ...]
    """Of the layers after the pooling; the last one's output is the embedding."""

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, not {self.pooling!r}")
        if not self.embedding_sizes:
            raise ValueError("embedding_sizes must name at least one layer")
        if min(self.num_in, self.attention_channels, *self.embedding_sizes) < 1:
            raise ValueError("every size of the decoder must be at least 1")

    @property
    def embedding_dim(self) -> int:
        """Length of the embedding."""
        return self.embedding_sizes[-1]

    @property
    def min_frames(self) -> int:
        """An unbiased standard deviation needs two."""
        return 2 if self.pooling == "xvector" else 1


class TdnnLayer(nn.Module):
    """1-D convolution that keeps the length by padding with zeros, ReLU, batch normalisation."""

    def __init__(
        self, num_in: int, num_out: int, kernel_size: int = 1, dilation: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(
            num_in,
            num_out,
            kernel_size,
            dilation=dilation,
            padding=(kernel_size - 1) * dilation // 2,
            groups=groups,
        )
        self.norm = nn.BatchNorm1d(num_out)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, num_in, frames)`` to ``(batch, num_out, frames)``."""
        normalised: Tensor = self.norm(torch.relu(self.conv(x)))
        return normalised


class AttentivePooling(nn.Module):
    """Mean and deviation, weighted frame by frame and channel by channel."""

    def __init__(self, channels: int, attention_channels: int) -> None:
        super().__init__()
        self.hidden = TdnnLayer(3 * channels, attention_channels)
        self.scores = nn.Conv1d(attention_channels, channels, 1)

    def forward(self, h: Tensor) -> Tensor:
        """``(batch, channels, frames)`` to ``(batch, 2 * channels)``, means first."""
        weight, bias = self.hidden.conv.weight, self.hidden.conv.bias
        frames = nn.functional.conv1d(h, weight[:, : h.shape[1]], bias)
        # The context is the same at every frame: it is multiplied once, not frame by frame.
        context = statistics(h, h.new_full((1, 1, 1), 1 / h.shape[2]))
        frames = frames + (context @ weight[:, h.shape[1] :, 0].T).unsqueeze(2)
        hidden = torch.tanh(self.hidden.norm(torch.relu(frames)))
        return statistics(h, torch.softmax(self.scores(hidden), dim=2))


def statistics(h: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean and deviation of frames.

    Args:
        h: ``(batch, channels, frames)``.
        weights: Of the frames, broadcast to the same shape; they sum to 1.

    Returns:
        ``(batch, 2 * channels)``, means first.
    """
    mean = (weights * h).sum(dim=2, keepdim=True)
    variance = (weights * (h - mean).square()).sum(dim=2)
    return torch.cat([mean[:, :, 0], variance.clamp(VARIANCE_FLOOR).sqrt()], dim=1)


class StatisticsPooling(nn.Module):
    """Mean and unbiased standard deviation over time."""

    def forward(self, h: Tensor) -> Tensor:
        """``(batch, channels, frames)`` to ``(batch, 2 * channels)``, means first."""
        variance, mean = torch.var_mean(h, dim=2, correction=1)
        return torch.cat([mean, variance.clamp(VARIANCE_FLOOR).sqrt()], dim=1)


class EmbeddingLayer(nn.Module):
    """Affine map and batch normalisation, in the order that belongs to the pooling."""

    def __init__(self, num_in: int, num_out: int, *, is_norm_first: bool) -> None:
        super().__init__()
        self.is_norm_first = is_norm_first
        self.linear = nn.Linear(num_in, num_out)
        # What follows the map has neither scale nor shift of its own.
        self.norm = (
            nn.BatchNorm1d(num_in) if is_norm_first else nn.BatchNorm1d(num_out, affine=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, num_in)`` to ``(batch, num_out)``."""
        mapped: Tensor = (
            self.linear(self.norm(x)) if self.is_norm_first else self.norm(self.linear(x))
        )
        return mapped


class SpeakerDecoder(nn.Module):
    """Pooling over time and the layers down to the embedding."""

    def __init__(self, config: SpeakerDecoderConfig) -> None:
        super().__init__()
        is_attention = config.pooling == "attention"
        self.is_attention = is_attention
        self.pooling: nn.Module = (
            AttentivePooling(config.num_in, config.attention_channels)
            if is_attention
            else StatisticsPooling()
        )
        sizes = (2 * config.num_in, *config.embedding_sizes)
        self.layers = nn.ModuleList(
            EmbeddingLayer(num_in, num_out, is_norm_first=is_attention)
            for num_in, num_out in pairwise(sizes)
        )

    def forward(self, h: Tensor) -> Tensor:
        """``(batch, num_in, frames)``, without padding, to ``(batch, embedding_dim)``."""
        x: Tensor = self.pooling(h)
        for index, layer in enumerate(self.layers):
            if index > 0 and not self.is_attention:
                x = torch.relu(x)  # between layers; the embedding itself is taken before it
            x = layer(x)
        return x


def padded_frames(num_frames: int, multiple: int) -> int:
    """How many frames NeMo's features have of which the last ones are zeros.

    The transform gives one frame more than the audio counts for, and the sum is rounded up.

    Args:
        num_frames: Frames of the audio.
        multiple: ``pad_to`` of NeMo's preprocessor; 0 and 1 round nothing.
    """
    num_frames += 1
    return num_frames if multiple == 0 else -(-num_frames // multiple) * multiple
