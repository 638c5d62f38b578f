"""New voices out of recorded ones: other sizes of larynx and vocal tract, other ways of speaking.

In: speech. Out: the same words by a voice that nobody has, but that a teacher can embed. Playing
faster raises pitch, formants and tempo together. The spectral envelope, from cepstral smoothing,
changes apart from the pitch: stretched, as by a longer or shorter vocal tract; bent, each formant
by a factor of its own; coloured, so that it varies as somebody else's does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soxr
import torch
from torch.nn.functional import interpolate

from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from voiceguard.types import Samples

_FFT_SAMPLES = 512
_HOP_SAMPLES = 128
_ENVELOPE_QUEFRENCIES = 32
"""Cepstral coefficients that make the envelope: 2 ms, less than any voice's pitch period."""
_FLOOR = 1e-5
_MAX_GAIN = 2.5
"""Natural logarithm, 22 dB: where the envelope falls steeply, stretching asks for too much."""
_SPEECH_RANGE = 3.7
"""Natural logarithm, 32 dB: frames further below a window's loudest are pauses."""
_RIDGE = 0.3
"""Of each coefficient's variance, added to it: a window is too short to know all directions."""


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
    """Moves the spectral envelope by a factor; harmonics stay.

    Args:
        samples: ``(batch, num_samples)``, at least 512 samples, in [-1, 1].
        factors: ``(batch,)`` on formants.

    Returns:
        ``(batch, num_samples)``, in [-1, 1] as well.
    """
    return _shaped(samples, lambda cepstra: _warped(_envelope(cepstra), factors[:, None]))


def bent(samples: Tensor, knots: Tensor) -> Tensor:
    """Moves each part of the spectral envelope by a factor of its own.

    Args:
        samples: As of ``stretched``.
        knots: ``(batch, num_knots)``, natural logarithms of the factors at so many places from 0
            to half the rate, as far from each other; in between they are interpolated.

    Returns:
        As ``stretched``.
    """
    num_bins = _FFT_SAMPLES // 2 + 1
    factors = interpolate(knots[:, None], num_bins, mode="linear", align_corners=True)[:, 0].exp()
    return _shaped(samples, lambda cepstra: _warped(_envelope(cepstra), factors))


def coloured(samples: Tensor, others: Tensor, shares: Tensor) -> Tensor:
    """Has the spectral envelope vary about its mean as that of other speech does.

    Cepstra get the other speech's mean and covariance (of frames that are not pauses): whitened by
    the inverse of one Cholesky factor, coloured by the other's. The words stay.

    Args:
        samples: As of ``stretched``.
        others: Likewise, speech of another voice for each.
        shares: ``(batch,)``, how far to go: 0 changes nothing, 1 goes all the way.

    Returns:
        As ``stretched``.
    """
    mean, factor = _spread(_cepstra(_spectrum(others)))

    def envelope(cepstra: Tensor) -> Tensor:
        own_mean, own_factor = _spread(cepstra)
        white = torch.linalg.solve_triangular(
            own_factor, cepstra[:, 1:] - own_mean.unsqueeze(2), upper=False
        )
        moved = cepstra.clone()
        moved[:, 1:].lerp_(factor @ white + mean.unsqueeze(2), shares[:, None, None])
        return _envelope(moved)

    return _shaped(samples, envelope)


def _shaped(samples: Tensor, envelope_of: Callable[[Tensor], Tensor]) -> Tensor:
    """Speech whose log envelope is what is made of its cepstra."""
    spectrum = _spectrum(samples)
    cepstra = _cepstra(spectrum)
    gain = (envelope_of(cepstra) - _envelope(cepstra)).nan_to_num().clamp(-_MAX_GAIN, _MAX_GAIN)
    window = torch.hann_window(_FFT_SAMPLES, device=samples.device)
    moved = torch.istft(
        spectrum * gain.exp(), _FFT_SAMPLES, _HOP_SAMPLES, window=window, length=samples.shape[1]
    )
    return moved / moved.abs().amax(dim=1, keepdim=True).clamp(min=1.0)


def _spectrum(samples: Tensor) -> Tensor:
    """``(batch, bins, frames)`` complex."""
    window = torch.hann_window(_FFT_SAMPLES, device=samples.device)
    return torch.stft(samples, _FFT_SAMPLES, _HOP_SAMPLES, window=window, return_complex=True)


def _cepstra(spectrum: Tensor) -> Tensor:
    """``(batch, bins, frames)`` complex to ``(batch, quefrencies, frames)``: the smooth part."""
    log_magnitude = torch.log(spectrum.abs() + _FLOOR)
    whole: Tensor = torch.fft.irfft(log_magnitude, n=_FFT_SAMPLES, dim=1)
    return whole[:, :_ENVELOPE_QUEFRENCIES]


def _envelope(cepstra: Tensor) -> Tensor:
    """``(batch, quefrencies, frames)`` to ``(batch, bins, frames)`` of log magnitude."""
    batch, num, frames = cepstra.shape
    whole = cepstra.new_zeros(batch, _FFT_SAMPLES, frames)
    whole[:, :num] = cepstra
    whole[:, _FFT_SAMPLES - num + 1 :] = cepstra[:, 1:].flip(1)
    envelope: Tensor = torch.fft.rfft(whole, dim=1).real
    return envelope


def _spread(cepstra: Tensor) -> tuple[Tensor, Tensor]:
    """How all but the first coefficient vary.

    Returns:
        ``(batch, n)``, the mean over frames of speech; ``(batch, n, n)``, the lower Cholesky
        factor of the covariance.
    """
    loudness = cepstra[:, :1]
    is_speech = (loudness > loudness.amax(dim=2, keepdim=True) - _SPEECH_RANGE).float()
    num_frames = is_speech.sum(dim=2).clamp(min=1.0)  # (batch, 1)
    mean = (cepstra[:, 1:] * is_speech).sum(dim=2) / num_frames
    centred = (cepstra[:, 1:] - mean.unsqueeze(2)) * is_speech
    covariance = centred @ centred.transpose(1, 2) / num_frames.unsqueeze(2)
    variances = covariance.diagonal(dim1=1, dim2=2)
    ridged = covariance + torch.diag_embed(_RIDGE * variances + 1e-4)
    # Without a check, for which a GPU would be waited for; a ridge makes it positive.
    return mean, torch.linalg.cholesky_ex(ridged).L


def _warped(envelope: Tensor, factors: Tensor) -> Tensor:
    """The envelopes whose value at f is the old one's at f / factor; the top is held.

    Args:
        envelope: ``(batch, bins, frames)``.
        factors: ``(batch, bins or 1)``.
    """
    _, num_bins, num_frames = envelope.shape
    bins = torch.arange(num_bins, device=envelope.device)
    position = (bins / factors).clamp(max=num_bins - 1).unsqueeze(2)
    low = position.floor().long()
    high = (low + 1).clamp(max=num_bins - 1)
    share = position - low

    def at(index: Tensor) -> Tensor:
        return envelope.gather(1, index.expand(-1, -1, num_frames))

    return at(low) * (1 - share) + at(high) * share
