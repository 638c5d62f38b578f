"""CAM++'s sizes: what a card holds of it, and what its tensors' shapes are. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

from voiceguard.encoder.card.kinds import class_at

if TYPE_CHECKING:
    from torch import nn

SEGMENT_FRAMES = 100
"""Frames of 20 ms that share a local context, section 2.2: 2 s."""
TIME_STRIDE = 2
"""Of the input layer: blocks see a frame for every 20 ms."""
DILATIONS = (1, 2, 2)
"""Of the blocks' local convolutions."""
MIN_VARIANCE = 1e-12
"""Only so that a deviation of nothing has a derivative."""

_MAX_SIZE = 2**14
_MAX_LAYERS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class CamPlusPlusConfig:
    """Sizes of the network; the defaults are those of every known checkpoint but its embedding."""

    TYPE: ClassVar[str] = "campplus"

    num_bands: int = 80
    head_channels: int = 32
    head_layers: tuple[int, ...] = (2, 2)
    """Residual layers per stage of the head; each stage halves the bands, the head's end again."""
    channels: int = 128
    """Behind the input layer."""
    input_kernel_size: int = 5
    block_layers: tuple[int, ...] = (12, 24, 16)
    growth: int = 32
    """Channels that a layer adds."""
    kernel_size: int = 3
    bottleneck_channels: int = 128
    mask_channels: int = 64
    transition_channels: tuple[int, ...] = (256, 512, 512)
    """Behind each block."""
    embedding_dim: int = 192

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            for size in value if isinstance(value, tuple) else (value,):
                largest = _MAX_LAYERS if name.endswith("_layers") else _MAX_SIZE
                if type(size) is not int or not 1 <= size <= largest:
                    raise ValueError(f"{name} must be between 1 and {largest}, not {size!r}")
        if not len(self.block_layers) == len(self.transition_channels) == len(DILATIONS):
            raise ValueError(
                f"block_layers and transition_channels must be of {len(DILATIONS)} blocks, not "
                f"{len(self.block_layers)} and {len(self.transition_channels)}"
            )
        if not 1 <= len(self.head_layers) <= 4:
            raise ValueError(f"head_layers must be of 1 to 4 stages, not {len(self.head_layers)}")
        if self.num_bands % self.band_stride:
            raise ValueError(
                f"num_bands, {self.num_bands}, must be a multiple of {self.band_stride}: the head "
                "halves it for every stage and once more"
            )
        if not self.kernel_size % 2 or not self.input_kernel_size % 2:
            raise ValueError("kernel_size and input_kernel_size must be odd")

    @property
    def band_stride(self) -> int:
        """How many bands of the input become one behind the head."""
        return int(2 ** (len(self.head_layers) + 1))

    @property
    def min_frames(self) -> int:
        """So many that two are left behind the stride: one has no deviation."""
        return TIME_STRIDE + 1

    def build(self) -> nn.Module:
        """The network of these sizes, with random weights."""
        network: nn.Module = class_at("voiceguard.encoder.networks.campplus:CamPlusPlus")(self)
        return network

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every tensor of the network, by its name."""
        found = {
            **_head(self.head_channels, self.head_layers),
            "input_layer.weight": (
                self.channels,
                self.head_channels * self.num_bands // self.band_stride,
                self.input_kernel_size,
            ),
            **_norm("input_norm", self.channels),
        }
        channels = self.channels
        blocks = zip(self.block_layers, self.transition_channels, strict=True)
        for block, (num_layers, num_out) in enumerate(blocks):
            for layer in range(num_layers):
                found |= _layer(self, f"blocks.{block}.layers.{layer}", channels)
                channels += self.growth
            found |= _norm(f"blocks.{block}.transition_norm", channels)
            found[f"blocks.{block}.transition.weight"] = (num_out, channels, 1)
            channels = num_out
        found |= _norm("output_norm", channels)
        found["projection.weight"] = (self.embedding_dim, 2 * channels)
        return {**found, **_norm("embedding_norm", self.embedding_dim, is_affine=False)}


def _head(channels: int, num_layers: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    square = (channels, channels, 3, 3)
    found: dict[str, tuple[int, ...]] = {
        "head.conv_in.weight": (channels, 1, 3, 3),
        "head.conv_out.weight": square,
        **_norm("head.norm_in", channels),
        **_norm("head.norm_out", channels),
    }
    for stage, count in enumerate(num_layers):
        for layer in range(count):
            name = f"head.stages.{stage}.{layer}"
            for number in (1, 2):
                found[f"{name}.conv{number}.weight"] = square
                found |= _norm(f"{name}.norm{number}", channels)
        found[f"head.stages.{stage}.0.shortcut.0.weight"] = (channels, channels, 1, 1)
        found |= _norm(f"head.stages.{stage}.0.shortcut.1", channels)
    return found


def _layer(config: CamPlusPlusConfig, name: str, num_in: int) -> dict[str, tuple[int, ...]]:
    narrow, hidden = config.bottleneck_channels, config.mask_channels
    return {
        **_norm(f"{name}.input_norm", num_in),
        f"{name}.bottleneck.weight": (narrow, num_in, 1),
        **_norm(f"{name}.norm", narrow),
        f"{name}.local.weight": (config.growth, narrow, config.kernel_size),
        f"{name}.mask_hidden.weight": (hidden, narrow, 1),
        f"{name}.mask_hidden.bias": (hidden,),
        f"{name}.mask.weight": (config.growth, hidden, 1),
        f"{name}.mask.bias": (config.growth,),
    }


def _norm(name: str, channels: int, *, is_affine: bool = True) -> dict[str, tuple[int, ...]]:
    parts = (*(("weight", "bias") if is_affine else ()), "running_mean", "running_var")
    return {**{f"{name}.{part}": (channels,) for part in parts}, f"{name}.num_batches_tracked": ()}
