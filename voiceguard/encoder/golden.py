"""A generated signal, and the embedding that a model gave for it when it was installed.

In: an encoder. Out: numbers that go into its card, or how far it is from those that are there. A
changed file is found by its hash; this finds what a hash can't: another torch, onnxruntime or
processor that computes something else from the same file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.protocols import Encoder
    from voiceguard.types import Samples

SECONDS = 3.0
TOLERANCE = 3e-4
"""Of the largest entry. float32 sums in another order (threads, processors, libraries) differ by
1e-6 to 1e-5 of it, the smallest change of a front end that we could think of (a floor of 2e-6 for
1e-6 under the logarithm) by 1e-3. For float32 on the CPU, where the golden embedding is made; half
precision on a GPU differs by more."""


def signal(seconds: float = SECONDS) -> Samples:
    """A buzz with vibrato, formants and syllables over faint noise, the same on every machine.

    The noise is a recurrence over integers, so that no library's generator is part of it; it keeps
    every band above the floor of its logarithm.
    """
    num_samples = int(seconds * SAMPLE_RATE_HZ)
    t = np.arange(num_samples) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * 130.0 * (t + 0.004 * np.sin(2 * np.pi * 1.7 * t))
    voice = np.zeros_like(t)
    for harmonic in range(1, 40):
        hz = harmonic * 130.0
        formants = ((650.0, 90.0), (1500.0, 120.0), (2700.0, 180.0))
        gain = sum(1 / (1 + ((hz - centre) / width) ** 2) for centre, width in formants)
        voice += gain * np.sin(harmonic * phase + harmonic**2)
    voice *= 0.55 - 0.45 * np.cos(2 * np.pi * 3.1 * t)
    # Weyl's sequence, squared: k^2 times an irrational, modulo 1, is equidistributed.
    k = np.arange(num_samples, dtype=np.uint64)
    mixed = (k * k * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)  # 24 bits, wraps around
    noise = mixed.astype(np.float64) / 2**23 - 1
    return np.asarray(0.3 * voice / np.abs(voice).max() + 0.003 * noise, dtype=np.float32)


def embedding(encoder: Encoder) -> tuple[float, ...]:
    """The signal's embedding, rounded to what a card keeps."""
    found = encoder.embed(signal(max(SECONDS, encoder.info.min_window_s + 0.01)))
    return tuple(round(float(value), 7) for value in found)


def deviation(encoder: Encoder, golden: Sequence[float]) -> float:
    """How far the encoder is from its golden embedding, relative to that one's largest entry.

    Intact is at most TOLERANCE; infinite where the dimensions differ.
    """
    found, expected = np.array(embedding(encoder)), np.array(golden)
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / np.abs(expected).max())
