"""The audio of events: what forms of it are understood, and as samples. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from voiceguard.wyoming.events import WyomingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voiceguard.types import Samples

RATES_HZ = (8_000, 192_000)
MAX_CHANNELS = 8
_TYPES = {2: ("<i2", 32768.0), 4: ("<i4", 2147483648.0)}


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """What the bytes of a chunk mean."""

    rate_hz: int
    width: int
    """Bytes per sample: 2 or 4, signed, little-endian."""
    channels: int


def sound_format(event_type: str, data: Mapping[str, Any]) -> SoundFormat:
    """Reads what ``audio-start`` and ``audio-chunk`` say.

    Raises:
        WyomingError: Something is missing, or is no audio of ours.
    """
    rate, width, channels = (data.get(name) for name in ("rate", "width", "channels"))
    if not (type(rate) is int and RATES_HZ[0] <= rate <= RATES_HZ[1]):
        raise _refusal(event_type, f"rate must be {RATES_HZ[0]} to {RATES_HZ[1]} Hz", rate)
    if not (type(width) is int and width in _TYPES):
        raise _refusal(event_type, "width must be 2 or 4 bytes", width)
    if not (type(channels) is int and 1 <= channels <= MAX_CHANNELS):
        raise _refusal(event_type, f"channels must be 1 to {MAX_CHANNELS}", channels)
    return SoundFormat(rate, width, channels)


def to_samples(payload: bytes, form: SoundFormat) -> Samples:
    """A chunk's bytes as ``(num_samples, channels)`` float32 in [-1, 1].

    Raises:
        WyomingError: They are no whole number of samples.
    """
    kind, full_scale = _TYPES[form.width]
    if len(payload) % (form.width * form.channels):
        raise WyomingError(
            "bad-audio",
            f"a chunk of {len(payload)} bytes is no whole number of samples of "
            f"{form.channels} channel(s) of {form.width} bytes",
        )
    numbers = np.frombuffer(payload, dtype=kind).reshape(-1, form.channels)
    return (numbers / np.float32(full_scale)).astype(np.float32)


def _refusal(event_type: str, wanted: str, found: object) -> WyomingError:
    shown = found if isinstance(found, int | float) else type(found).__name__
    return WyomingError("bad-audio", f"{event_type}: {wanted}, not {shown}")
