"""Hop 2 of 6, second part: any rate becomes 16 kHz; on the caller's thread.

Comes in: float32 ``(num_samples,)`` at the device's rate. Goes out: ``(num_samples,)``
at 16 kHz. Output sample ``n`` is the input at ``n / 16000`` s after the stretch began, whatever
the chunking: soxr compensates its filter's delay, so nothing is shifted, it only comes later
(about 20 ms on average from 44.1 or 48 kHz, 64 ms from 8 kHz, nothing from 16 kHz).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    import soxr

    from voiceguard.types import Samples


def position_at_16_khz(first_sample: int, rate_hz: int) -> int:
    """The 16 kHz position of a device position: where a stretch that begins there goes."""
    return (first_sample * SAMPLE_RATE_HZ + rate_hz // 2) // rate_hz


class StreamResampler:
    """Resamples one continuous stretch after another to 16 kHz, by soxr at high quality.

    However a stretch is cut into pushes, the output is the same; n samples of input give
    ``round(n * 16000 / in_rate_hz)`` once flushed.

    Args:
        in_rate_hz: The device's rate; 16 kHz passes through untouched.
    """

    def __init__(self, in_rate_hz: int) -> None:
        self.in_rate_hz = in_rate_hz
        self._stream: soxr.ResampleStream | None = None
        if in_rate_hz != SAMPLE_RATE_HZ:
            import soxr  # noqa: PLC0415 - 30 ms that a stream of 16 kHz does without

            self._stream = soxr.ResampleStream(in_rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")

    def push(self, samples: Samples) -> Samples:
        """What can be said by now, ``(num_samples,)``, perhaps nothing."""
        if self._stream is None:
            return samples
        resampled: Samples = self._stream.resample_chunk(samples)
        return resampled

    def flush(self) -> Samples:
        """The rest of the stretch, at its end or before a gap; the next push begins another."""
        empty = np.zeros(0, dtype=np.float32)
        if self._stream is None:
            return empty
        rest: Samples = self._stream.resample_chunk(empty, last=True)
        self._stream.clear()
        return rest
