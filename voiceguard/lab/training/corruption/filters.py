"""Filtering of whole batches by FFT, on any device.

In: signals and one filter per signal. Out: signals of the same length, not delayed.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch

from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from torch import Tensor

BAND_TAPS = 511
"""Hamming's transition is 3.3 / taps of the rate: 100 Hz, enough for telephone's 300 Hz edge."""
_RADICES = (2, 3, 5)


@functools.cache
def fast_length(num_samples: int) -> int:
    """The least length of no other factors than 2, 3 and 5 that is not shorter, and even."""

    def is_smooth(number: int) -> bool:
        for radix in _RADICES:
            while number % radix == 0:
                number //= radix
        return number == 1

    length = num_samples + num_samples % 2
    while not is_smooth(length):
        length += 2
    return length


def convolve(signals: Tensor, filters: Tensor, *, zero_tap: int) -> Tensor:
    """Filters every signal by its own filter; beyond its ends a signal is silence.

    Args:
        signals: ``(batch, num_samples)`` float32.
        filters: ``(batch, taps)`` or ``(1, taps)`` float32.
        zero_tap: The tap that answers at once: what a filter has before it is answered early, so
            that the result is not delayed.

    Returns:
        ``(batch, num_samples)`` float32.
    """
    num_samples = signals.shape[-1]
    length = fast_length(num_samples + filters.shape[-1] - 1)
    spectra = torch.fft.rfft(signals, n=length)  # (batch, bins)
    spectra *= torch.fft.rfft(filters, n=length)
    whole: Tensor = torch.fft.irfft(spectra, n=length)
    return whole[:, zero_tap : zero_tap + num_samples]


def band_filters(low_hz: Tensor, high_hz: Tensor) -> Tensor:
    """Windowed-sinc band passes; their ``zero_tap`` is the middle one.

    Args:
        low_hz: ``(batch,)``, lower edges; 0 lets everything below through.
        high_hz: ``(batch,)``, upper edges.

    Returns:
        ``(batch, BAND_TAPS)`` float32, gain 1 in the band, -6 dB at the edges.

    Source: Oppenheim and Schafer, Discrete-Time Signal Processing, 7.5 (Hamming window).
    """
    middle = BAND_TAPS // 2
    taps = torch.arange(-middle, middle + 1, dtype=torch.float32, device=low_hz.device)
    window = torch.hamming_window(BAND_TAPS, periodic=False, device=low_hz.device)

    def low_pass(edge_hz: Tensor) -> Tensor:
        share = (2 / SAMPLE_RATE_HZ * edge_hz)[:, None]
        filters = share * torch.sinc(share * taps) * window  # (batch, BAND_TAPS)
        return filters / filters.sum(dim=1, keepdim=True).clamp_min(1e-9)

    above = low_pass(low_hz.clamp_min(1.0)) * (low_hz > 0)[:, None]
    return low_pass(high_hz) - above


def band_limit(signals: Tensor, low_hz: Tensor, high_hz: Tensor) -> Tensor:
    """Keeps of every signal what lies between its two edges.

    Args:
        signals: ``(batch, num_samples)`` float32.
        low_hz: ``(batch,)``; 0 for a low pass.
        high_hz: ``(batch,)``.
    """
    return convolve(signals, band_filters(low_hz, high_hz), zero_tap=BAND_TAPS // 2)
