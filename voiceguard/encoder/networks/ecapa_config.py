"""Sizes of an ECAPA-TDNN, as a card holds them. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from voiceguard.encoder.card.kinds import class_at

if TYPE_CHECKING:
    from torch import nn

STD_FLOOR_VARIANCE = 1e-12
"""Variances are clamped to it before the square root, whose gradient at 0 is infinite."""

MAX_SIZE = 2**15
MAX_LAYERS = 16
MAX_SCALE = 64
"""Every group is a layer of its own: a description may not ask for a million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EcapaTdnnConfig:
    """Sizes of the network; C is the paper's name for the channels of the frame layers.

    The first entry of each tuple is the input layer's, the last the aggregation's, those between
    belong to one SE-Res2Block each.
    """

    TYPE: ClassVar[str] = "ecapa_tdnn"

    num_mels: int = 80
    channels: tuple[int, ...] = (256, 256, 256, 256, 768)
    kernel_sizes: tuple[int, ...] = (5, 3, 3, 3, 1)
    dilations: tuple[int, ...] = (1, 2, 3, 4, 1)
    res2net_scale: int = 8
    """Into how many groups of channels an SE-Res2Block's dilated convolution is split."""
    se_channels: int = 128
    attention_channels: int = 128
    global_context: bool = True
    """Whether the attention also sees the utterance's mean and standard deviation."""
    embedding_dim: int = 192

    def __post_init__(self) -> None:
        num_layers = len(self.channels)
        # input, blocks, aggregation
        is_possible = 3 <= num_layers <= MAX_LAYERS
        if not is_possible or {len(self.kernel_sizes), len(self.dilations)} != {num_layers}:
            raise ValueError(
                "channels, kernel_sizes and dilations must have one entry per layer, from 3 to "
                f"{MAX_LAYERS}, not "
                f"{num_layers}, {len(self.kernel_sizes)} and {len(self.dilations)}"
            )
        scalars = (
            *(self.num_mels, self.res2net_scale, self.se_channels),
            *(self.attention_channels, self.embedding_dim),
        )
        sizes = (*scalars, *self.channels, *self.kernel_sizes, *self.dilations)
        if not 1 <= min(sizes) <= max(sizes) <= MAX_SIZE:
            raise ValueError(f"every size of the network must be between 1 and {MAX_SIZE}")
        if self.res2net_scale > MAX_SCALE:
            raise ValueError(f"res2net_scale must be at most {MAX_SCALE}, not {self.res2net_scale}")
        if any(size % 2 == 0 for size in self.kernel_sizes):
            raise ValueError(f"kernel_sizes must be odd to keep the length: {self.kernel_sizes}")
        if any(width % self.res2net_scale for width in self.channels[1:-1]):
            raise ValueError(
                f"channels of the blocks, {self.channels[1:-1]}, must be multiples of "
                f"res2net_scale, {self.res2net_scale}"
            )

    @property
    def min_frames(self) -> int:
        """The shortest input: reflection cannot pad by more frames than there are besides one."""
        layers = zip(self.kernel_sizes, self.dilations, strict=True)
        return 1 + max((size - 1) * dilation // 2 for size, dilation in layers)

    def build(self) -> nn.Module:
        """The network of these sizes, with random weights."""
        network: nn.Module = class_at("voiceguard.encoder.networks.ecapa_tdnn:EcapaTdnn")(self)
        return network
