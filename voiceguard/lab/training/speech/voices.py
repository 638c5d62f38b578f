"""New voices out of recorded ones: other sizes of larynx and vocal tract.

In: speech. Out: the same words by a voice that nobody has, but that a teacher can embed. Playing
faster raises pitch, formants and tempo together; stretching the spectral envelope on top moves
the formants alone, as a longer or shorter vocal tract does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soxr
import torch

from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from torch import Tensor

    from voiceguard.types import Samples

_FFT_SAMPLES = 512
_HOP_SAMPLES = 128
_ENVELOPE_QUEFRENCIES = 32
"""Cepstral coefficients that make the envelope: 2 ms, less than any voice's pitch period."""
_FLOOR = 1e-5
_MAX_GAIN = 2.5
"""Natural logarithm, 22 dB: where the envelope falls steeply, stretching asks for too much."""


def changed_voice(samples: Samples, *, speed: float, formants: float) -> Samples:
    """Speech by another voice.

    Args:
        samples: ``(num_samples,)`` mono 16 kHz in [-1, 1].
        speed: Factor on pitch, formants and tempo.
        formants: Factor on the formants alone, on top.

    Returns:
        ``(about num_samples / speed,)``; the samples themselves for factors of 1.
    """
    if speed != 1:
        samples = np.asarray(
            soxr.resample(samples, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ), dtype=np.float32
        )
    return samples if formants == 1 else _stretched(samples, formants)


def _stretched(samples: Samples, formants: float) -> Samples:
    """Moves the spectral envelope, from cepstral smoothing, by a factor; harmonics stay."""
    if len(samples) < _FFT_SAMPLES:
        return samples
    window = torch.hann_window(_FFT_SAMPLES)
    spectrum = torch.stft(
        torch.from_numpy(np.ascontiguousarray(samples)),
        _FFT_SAMPLES,
        _HOP_SAMPLES,
        window=window,
        return_complex=True,
    )  # (bins, frames)
    envelope = _log_envelope(spectrum)
    gain = (_warped(envelope, formants) - envelope).clamp(-_MAX_GAIN, _MAX_GAIN)
    moved = torch.istft(
        spectrum * gain.exp(), _FFT_SAMPLES, _HOP_SAMPLES, window=window, length=len(samples)
    )
    loudest = float(moved.abs().max())
    result: Samples = (moved / max(1.0, loudest)).numpy()
    return result


def _log_envelope(spectrum: Tensor) -> Tensor:
    """``(bins, frames)`` complex to the smooth part of its log magnitude."""
    log_magnitude = torch.log(spectrum.abs() + _FLOOR)
    cepstrum = torch.fft.irfft(log_magnitude, n=_FFT_SAMPLES, dim=0)
    cepstrum[_ENVELOPE_QUEFRENCIES : _FFT_SAMPLES - _ENVELOPE_QUEFRENCIES + 1] = 0
    envelope: Tensor = torch.fft.rfft(cepstrum, dim=0).real
    return envelope


def _warped(envelope: Tensor, factor: float) -> Tensor:
    """The envelope whose value at f is the old one's at f / factor; the top is held."""
    num_bins = envelope.shape[0]
    position = (torch.arange(num_bins) / factor).clamp(max=num_bins - 1)
    low = position.floor().long()
    high = (low + 1).clamp(max=num_bins - 1)
    share = (position - low).unsqueeze(1)
    return envelope[low] * (1 - share) + envelope[high] * share
