"""Voices and silence that need no recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from voiceguard.types import Samples


def tone(hz: float, seconds: float, *, level: float = 0.2, seed: int = 0) -> Samples:
    """A "voice": a tone with a syllable's rhythm, so that the energy gate takes it for speech.

    Args:
        hz: Who it is; voices are 125 Hz apart, up to 4 kHz.
        seconds: How long they speak.
        level: Peak, full scale 1.
        seed: Of the little noise in it, which makes two takes of one voice differ.

    Returns:
        ``(num_samples,)`` mono 16 kHz float32.
    """
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    syllables = 0.55 - 0.45 * np.cos(2 * np.pi * 4.0 * t)
    noise = np.random.default_rng(seed).normal(0, 1e-4, len(t))
    return (level * syllables * np.sin(2 * np.pi * hz * t) + noise).astype(np.float32)


def quiet(seconds: float, *, level: float = 1e-4, seed: int = 1) -> Samples:
    """A silent room: a little noise, ``(num_samples,)`` mono 16 kHz float32.

    Args:
        seconds: How long nobody speaks.
        level: Its standard deviation, full scale 1.
        seed: Of the noise.
    """
    rng = np.random.default_rng(seed)
    return rng.normal(0, level, round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)
