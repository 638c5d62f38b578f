"""Recordings of a corpus as arrays: all of an utterance, and no more than that of anything longer.

Blocking. In: a path. Out: mono 16 kHz.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from voiceguard.audio.files import load_audio
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.types import Channel, Samples

MAX_RECORDING_S = 300.0
"""Of a recording that is evaluated, calibrated with, or noise: what is longer is no utterance, and
ten hours of it would fill the memory."""

_log = structlog.get_logger(__name__)


def load_beginning(path: Path, channel: Channel = "downmix") -> Samples:
    """A recording, ``(num_samples,)``; of a long one its first MAX_RECORDING_S, which is logged.

    Raises:
        AudioError: Not readable as audio, or without that channel.
    """
    samples = load_audio(path, channel, MAX_RECORDING_S + 1)
    max_samples = round(MAX_RECORDING_S * SAMPLE_RATE_HZ)
    if len(samples) > max_samples:
        _log.warning("recording_cut", file=str(path), used_s=MAX_RECORDING_S)
    return samples[:max_samples].copy() if len(samples) > max_samples else samples
