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
    if formants == 1 or len(samples) < _FFT_SAMPLES:
        return samples
    row = torch.from_numpy(np.ascontiguousarray(samples)).unsqueeze(0)
    result: Samples = stretched(row, torch.tensor([formants]))[0].numpy()
    return result


def stretched(samples: Tensor, factors: Tensor) -> Tensor:
    """Moves the spectral envelope, from cepstral smoothing, by a factor; harmonics stay.

    Args:
        samples: ``(batch, num_samples)``, at least 512 samples, in [-1, 1].
        factors: ``(batch,)`` on formants.

    Returns:
        ``(batch, num_samples)``, in [-1, 1] as well.
    """
    window = torch.hann_window(_FFT_SAMPLES, device=samples.device)
    spectrum = torch.stft(
        samples, _FFT_SAMPLES, _HOP_SAMPLES, window=window, return_complex=True
    )  # (batch, bins, frames)
    envelope = _log_envelope(spectrum)
    gain = (_warped(envelope, factors) - envelope).clamp(-_MAX_GAIN, _MAX_GAIN)
    moved = torch.istft(
        spectrum * gain.exp(), _FFT_SAMPLES, _HOP_SAMPLES, window=window, length=samples.shape[1]
    )
    return moved / moved.abs().amax(dim=1, keepdim=True).clamp(min=1.0)


def _log_envelope(spectrum: Tensor) -> Tensor:
    """``(batch, bins, frames)`` complex to the smooth part of its log magnitude."""
    log_magnitude = torch.log(spectrum.abs() + _FLOOR)
    cepstrum = torch.fft.irfft(log_magnitude, n=_FFT_SAMPLES, dim=1)
    cepstrum[:, _ENVELOPE_QUEFRENCIES : _FFT_SAMPLES - _ENVELOPE_QUEFRENCIES + 1] = 0
    envelope: Tensor = torch.fft.rfft(cepstrum, dim=1).real
    return envelope


def _warped(envelope: Tensor, factors: Tensor) -> Tensor:
    """The envelopes whose value at f is the old one's at f / factor; the top is held."""
    _, num_bins, num_frames = envelope.shape
    bins = torch.arange(num_bins, device=envelope.device)
    position = (bins / factors.unsqueeze(1)).clamp(max=num_bins - 1).unsqueeze(2)
    low = position.floor().long()
    high = (low + 1).clamp(max=num_bins - 1)
    share = position - low

    def at(index: Tensor) -> Tensor:
        return envelope.gather(1, index.expand(-1, -1, num_frames))

    return at(low) * (1 - share) + at(high) * share
