"""The [audio] table of voiceguard.toml: where audio comes from and when a source counts as lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

Channel: TypeAlias = Literal["downmix"] | int
"""``"downmix"`` averages all channels; a number picks one, from 0."""

MIN_RATE_HZ = 4_000
MAX_RATE_HZ = 768_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioConfig:
    """Where audio comes from, the [audio] table of voiceguard.toml."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    sources: tuple[str, ...] = ("device",)
    """Each ``[name=]device[:name or index]``, ``[name=]file:path`` or ``[name=]stdin``."""
    channel: Channel = "downmix"
    """Which channel to listen to, from 0, or the average of all."""
    rate_hz: int = 0
    """The rate to ask a device for; 0 takes the device's own (16 kHz from a sound server, which
    has none of its own and converts anyway)."""
    num_channels: int = 0
    """Channels to open on a device; 0 opens what ``channel`` needs."""
    block_ms: int = 100
    """How often a device hands over audio. Halving it makes decisions 25 ms earlier on average, and
    doubles the CPU time spent on silence (0.6 to 0.8 % of a core at 100, by a sound server)."""
    ring_s: float = 12.0
    """What a device's ring buffer holds before the oldest audio is overwritten."""
    stall_after_s: float = 0.7
    """A device that delivers nothing for so long is re-opened."""
    mute_after_s: float = 10.0
    """Exact zeros for so long mean a muted microphone; 0 never does (a noise-suppressing virtual
    microphone delivers zeros between words)."""
    wait_for_device: bool = False
    """Whether a device that is not there at start is waited for, or an error. The systemd units
    turn it on; one that goes away later is always waited for."""
    paced: bool = True
    """Whether files are played in real time or read as fast as they are consumed."""
    stdin_format: Literal["s16le", "f32le"] = "s16le"
    stdin_rate_hz: int = 16_000
    stdin_channels: int = 1

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError('sources must name at least one source, for example "device"')
        if isinstance(self.channel, int):
            _check_range("channel", self.channel, 0, 127)
        if self.rate_hz != 0:
            _check_range("rate_hz", self.rate_hz, MIN_RATE_HZ, MAX_RATE_HZ, "or 0")
        _check_range("num_channels", self.num_channels, 0, 128)
        if isinstance(self.channel, int) and 0 < self.num_channels <= self.channel:
            raise ValueError(
                f"channel {self.channel} (counted from 0) is not among num_channels "
                f"{self.num_channels}"
            )
        _check_range("block_ms", self.block_ms, 10, 200)
        _check_range("ring_s", self.ring_s, 10.0, 120.0)
        _check_range("stall_after_s", self.stall_after_s, 0.5, 10.0)
        if self.mute_after_s != 0:
            _check_range("mute_after_s", self.mute_after_s, 1.0, 3600.0, "or 0")
        _check_range("stdin_rate_hz", self.stdin_rate_hz, MIN_RATE_HZ, MAX_RATE_HZ)
        _check_range("stdin_channels", self.stdin_channels, 1, 128)


def _check_range(name: str, value: float, low: float, high: float, else_allowed: str = "") -> None:
    if not low <= value <= high:
        alternative = f" {else_allowed}" if else_allowed else ""
        raise ValueError(f"{name} must be between {low} and {high}{alternative}, not {value}")
