"""NeMo's variant of ECAPA-TDNN: mel frames in, embedding out.

Its blocks have one grouped convolution where the paper's have a hierarchy of small ones, and
their squeeze and excitation is normalised; for inference only.

Source: Dawalatabad et al., "ECAPA-TDNN Embeddings for Speaker Diarization", Interspeech 2021,
section 2. What the paper leaves open follows nemo-toolkit 3.0.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from voiceguard.encoder.networks.nemo_decoder import (
    SpeakerDecoder,
    SpeakerDecoderConfig,
    TdnnLayer,
    padded_frames,
)

SE_CHANNELS = 128
"""Of every squeeze and excitation; NeMo has no setting for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NemoEcapaConfig:
    """Sizes of the network.

    The first entry of each tuple is the input layer's, the last the aggregation's, those between
    belong to one block each.
    """

    TYPE: ClassVar[str] = "nemo_ecapa"

    num_bands: int = 80
    channels: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    dilations: tuple[int, ...]
    num_groups: int = 8
    """Of a block's grouped convolution."""
    pad_frames_to: int = 16
    """The features are padded to a multiple of so many frames (see ``padded_frames``)."""
    decoder: SpeakerDecoderConfig

    def __post_init__(self) -> None:
        lengths = {len(self.channels), len(self.kernel_sizes), len(self.dilations)}
        if len(lengths) != 1 or min(lengths) < 3:  # input, block, aggregation
            raise ValueError(
                "channels, kernel_sizes and dilations must have one entry per layer, at least 3, "
                f"not {len(self.channels)}, {len(self.kernel_sizes)} and {len(self.dilations)}"
            )
        sizes = (*self.channels, *self.kernel_sizes, *self.dilations)
        if min(self.num_bands, self.num_groups, *sizes) < 1 or self.pad_frames_to < 0:
            raise ValueError("every size of the network must be at least 1, the padding 0")
        if any(size % 2 == 0 for size in self.kernel_sizes):
            raise ValueError(f"kernel_sizes must be odd to keep the length: {self.kernel_sizes}")
        width, last = self.channels[0], self.channels[-1]
        if set(self.channels[:-1]) != {width} or width % self.num_groups:
            raise ValueError(
                f"channels of all layers but the last, {self.channels[:-1]}, must be the same "
                f"multiple of {self.num_groups} groups"
            )
        if last != width * (len(self.channels) - 2) or self.decoder.num_in != last:
            raise ValueError(
                f"the aggregation's channels, {last}, and the decoder's, {self.decoder.num_in}, "
                f"must be those of all blocks together, {width * (len(self.channels) - 2)}"
            )

    @property
    def embedding_dim(self) -> int:
        """Length of the embedding."""
        return self.decoder.embedding_dim

    @property
    def min_frames(self) -> int:
        """The shortest input; normalising the features needs two frames."""
        return 2

    def build(self) -> NemoEcapa:
        """A network whose weights are still to be loaded."""
        return NemoEcapa(self)


class SqueezeExcitation(nn.Module):
    """Rescales each channel by what the whole utterance says about it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, SE_CHANNELS)
        self.norm = nn.BatchNorm1d(SE_CHANNELS)
        self.excite = nn.Linear(SE_CHANNELS, channels)

    def forward(self, x: Tensor, length: int) -> Tensor:
        """``(batch, channels, frames)`` to the same shape; the mean is of ``length`` frames."""
        mean = x[:, :, :length].mean(dim=2)
        hidden = self.norm(torch.relu(self.squeeze(mean)))
        return x * torch.sigmoid(self.excite(hidden)).unsqueeze(2)


class Block(nn.Module):
    """Dense layer, grouped convolution, dense layer, squeeze and excitation, skip."""

    def __init__(self, channels: int, kernel_size: int, dilation: int, num_groups: int) -> None:
        super().__init__()
        self.dense_in = TdnnLayer(channels, channels)
        self.grouped = TdnnLayer(channels, channels, kernel_size, dilation, num_groups)
        self.dense_out = TdnnLayer(channels, channels)
        self.se = SqueezeExcitation(channels)

    def forward(self, x: Tensor, length: int) -> Tensor:
        """``(batch, channels, frames)`` to the same shape."""
        h = self.dense_out(self.grouped(self.dense_in(x)))
        rescaled: Tensor = self.se(h, length) + x
        return rescaled


class NemoEcapa(nn.Module):
    """The whole network."""

    def __init__(self, config: NemoEcapaConfig) -> None:
        super().__init__()
        self.config = config
        width, last = config.channels[0], config.channels[-1]
        self.input_layer = TdnnLayer(
            config.num_bands, width, config.kernel_sizes[0], config.dilations[0]
        )
        self.blocks = nn.ModuleList(
            Block(width, kernel_size, dilation, config.num_groups)
            for kernel_size, dilation in zip(
                config.kernel_sizes[1:-1], config.dilations[1:-1], strict=True
            )
        )
        self.aggregation = TdnnLayer(last, last, config.kernel_sizes[-1], config.dilations[-1])
        self.decoder = SpeakerDecoder(config.decoder)

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, num_bands, frames)`` of the audio alone to ``(batch, embedding_dim)``.

        NeMo pads the features with frames of zeros and masks none here, so that the first layers
        turn them into something else, which the next ones carry into the audio's last frames.
        """
        length = features.shape[2]
        padded = padded_frames(length, self.config.pad_frames_to)
        x = self.input_layer(nn.functional.pad(features, (0, padded - length)))
        outputs = []
        for block in self.blocks:
            x = block(x, length)
            outputs.append(x)
        h = self.aggregation(torch.cat(outputs, dim=1))  # (batch, channels[-1], frames)
        embedding: Tensor = self.decoder(h[:, :, :length])
        return embedding
