"""Recordings of a corpus as arrays: all of an utterance, and windows spread over anything longer.

Blocking. In: a path. Out: mono 16 kHz. Ten hours are read to their end and take no more memory
than five minutes: how long a recording is shows only there, so that more windows than are wanted
are held meanwhile, ever farther apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import structlog

from voiceguard.audio.files import SoundFile
from voiceguard.speech.recorded import blocks_of
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voiceguard.types import Channel, Recorded, Samples

WINDOW_S = 20.0
"""Long enough for a splice to be rare among the lengths of speech that are asked about."""
NUM_WINDOWS = 10
MAX_RECORDING_S = 300.0
"""Of a recording that is evaluated, calibrated with, or noise: what is longer is no utterance, and
ten hours of it would fill the memory."""

_WINDOW_SAMPLES = round(WINDOW_S * SAMPLE_RATE_HZ)

_log = structlog.get_logger(__name__)


def load_spread(path: Path, channel: Channel = "downmix") -> Samples:
    """A recording, ``(num_samples,)``; of a long one windows from all over it, which is logged.

    Raises:
        AudioError: Not readable as audio, or without that channel.
    """
    samples, total_s = spread_over(SoundFile(path, channel))
    if total_s > MAX_RECORDING_S:
        used_s = len(samples) / SAMPLE_RATE_HZ
        _log.warning("recording_thinned", file=str(path), used_s=used_s, of_s=round(total_s, 1))
    return samples


def spread_over(recording: Recorded) -> tuple[Samples, float]:
    """All of a recording of up to MAX_RECORDING_S; else NUM_WINDOWS, evenly apart, in one piece.

    Returns:
        ``(num_samples,)``, and how long the recording is, in seconds.
    """
    held: list[Samples] = []
    every, num_samples = 1, 0
    rest: Samples = np.empty(0, dtype=np.float32)
    for number, window in enumerate(_windows(recording)):
        num_samples += len(window)
        if len(window) < _WINDOW_SAMPLES:
            rest = window
        elif number % every == 0:
            held.append(window)
        if len(held) > 2 * NUM_WINDOWS:
            held, every = held[::2], 2 * every
    total_s = num_samples / SAMPLE_RATE_HZ
    if total_s <= MAX_RECORDING_S:
        return np.concatenate([*held, rest]), total_s
    chosen = np.linspace(0, len(held) - 1, NUM_WINDOWS).round().astype(int)
    return np.concatenate([held[place] for place in chosen]), total_s


def _windows(recording: Recorded) -> Iterator[Samples]:
    """Each ``(WINDOW_S * rate,)``, the last one what is left."""
    window: Samples = np.empty(_WINDOW_SAMPLES, dtype=np.float32)
    filled = 0
    for block in blocks_of(recording):
        samples = block.samples
        while filled + len(samples) >= _WINDOW_SAMPLES:
            taken = _WINDOW_SAMPLES - filled
            window[filled:] = samples[:taken]
            yield window
            window, filled, samples = np.empty_like(window), 0, samples[taken:]
        window[filled : filled + len(samples)] = samples
        filled += len(samples)
    yield window[:filled].copy()
