"""The [audio] table of voiceguard.toml: where audio comes from and when a source counts as lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from voiceguard.types import Channel  # noqa: TC001  # pydantic reads it
from voiceguard.validation.ranges import Between, SettingsTable, check_range, check_ranges

MIN_RATE_HZ = 4_000
MAX_RATE_HZ = 768_000
MAX_CHANNELS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioConfig(SettingsTable):
    """Where audio comes from, the [audio] table of voiceguard.toml."""

    sources: tuple[str, ...] = ("device",)
    """Each ``[name=]device[:name or index]``, ``[name=]file:path`` or ``[name=]stdin``. Empty: only
    what comes over the network (``[[wyoming.proxy]]``, ``[[wyoming.satellite]]``)."""
    channel: Channel = "downmix"
    """Which channel to listen to, from 0, or the average of all."""
    rate_hz: Annotated[int, Between(MIN_RATE_HZ, MAX_RATE_HZ, or_zero=True)] = 0
    """The rate to ask a device for; 0 takes the device's own (16 kHz from a sound server, which
    has none of its own and converts anyway)."""
    num_channels: Annotated[int, Between(0, MAX_CHANNELS)] = 0
    """Channels to open on a device; 0 opens what ``channel`` needs."""
    block_ms: Annotated[int, Between(10, 200)] = 100
    """How often a device hands over audio. Halving it makes decisions 25 ms earlier on average, and
    doubles the CPU time spent on silence (0.6 to 0.8 % of a core at 100, by a sound server)."""
    ring_s: Annotated[float, Between(10.0, 120.0)] = 12.0
    """What a device's ring buffer holds before the oldest audio is overwritten."""
    stall_after_s: Annotated[float, Between(0.5, 10)] = 0.7
    """A device that delivers nothing for so long is re-opened."""
    mute_after_s: Annotated[float, Between(1, 3600, or_zero=True)] = 300.0
    """Exact zeros for so long mean a muted microphone, where no sound server says whether it is;
    0 never does (one that suppresses noise delivers zeros for as long as nobody speaks)."""
    wait_for_device: bool = False
    """Whether a device that is not there at start is waited for, or an error. The systemd units
    turn it on; one that goes away later is always waited for."""
    paced: bool = True
    """Whether files are played in real time or read as fast as they are consumed."""
    stdin_format: Literal["s16le", "f32le"] = "s16le"
    """What comes on standard input: PCM in this form."""
    stdin_rate_hz: Annotated[int, Between(MIN_RATE_HZ, MAX_RATE_HZ)] = 16_000
    """Its rate."""
    stdin_channels: Annotated[int, Between(1, MAX_CHANNELS)] = 1
    """Its channels, interleaved."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if isinstance(self.channel, int):
            check_range("channel", self.channel, Between(0, MAX_CHANNELS - 1))
            if 0 < self.num_channels <= self.channel:
                raise ValueError(
                    f"channel {self.channel} (counted from 0) is not among num_channels "
                    f"{self.num_channels}"
                )
