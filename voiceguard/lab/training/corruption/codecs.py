"""What a channel does to a crop besides noise and room: codecs, coarse quantisation, clipping.

In and out: ``(batch, num_samples)`` float32 at 16 kHz, on any device, not delayed.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Literal

import torch

from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from torch import Tensor

Law = Literal["mu", "a"]

TELEPHONE_BAND_HZ = (300.0, 3400.0)
_PASS_HZ = 3600.0  # of the filter before decimation to 8 kHz; it stops everything at 4 kHz
_STOP_HZ = 4000.0


@functools.cache
def levels(law: Law) -> tuple[float, ...]:
    """The 128 sizes that a code can stand for, of full scale 1; the sign is the eighth bit.

    Source: ITU-T G.711, tables 1 and 2 (uniform 13 bits for A, 14 for mu).
    """
    if law == "mu":
        return tuple(
            (((2 * step + 33) << segment) - 33) / 8192 for segment in range(8) for step in range(16)
        )
    first = [2 * step + 1 for step in range(16)]
    others = [(2 * step + 33) << segment for segment in range(7) for step in range(16)]
    return tuple(size / 4096 for size in (*first, *others))


def companded(samples: Tensor, law: Law) -> Tensor:
    """Eight-bit logarithmic quantisation: every sample becomes the nearest level of its sign.

    Args:
        samples: float32, any shape; above full scale is the loudest level.
        law: North America's and Japan's, or Europe's.
    """
    sizes = torch.tensor(levels(law), device=samples.device)
    middles = (sizes[1:] + sizes[:-1]) / 2
    return torch.copysign(sizes[torch.bucketize(samples.abs(), middles)], samples)


def telephone(signals: Tensor, law: Law) -> Tensor:
    """Down to 8 kHz, through the companding law, and up again.

    Resampling happens in the spectrum of the whole crop; its ends meet, which a crop survives.

    Args:
        signals: ``(batch, num_samples)`` at 16 kHz, as is what comes out.
        law: North America's and Japan's, or Europe's.
    """
    num_samples = signals.shape[-1]
    length = num_samples + -num_samples % 4
    spectra = torch.fft.rfft(signals, n=length)[:, : length // 4 + 1]
    hz = torch.linspace(0, SAMPLE_RATE_HZ / 4, length // 4 + 1, device=signals.device)
    fall = ((hz - _PASS_HZ) / (_STOP_HZ - _PASS_HZ)).clamp(0, 1)
    edge = 0.5 + 0.5 * torch.cos(math.pi * fall)
    narrow = torch.fft.irfft(spectra * edge, n=length // 2) / 2  # (batch, samples at 8 kHz)
    heard = torch.fft.rfft(companded(narrow, law)) * edge
    wide: Tensor = torch.fft.irfft(heard, n=length)
    return wide[:, :num_samples] * 2


def requantised(signals: Tensor, num_bits: Tensor) -> Tensor:
    """Linear quantisation by few bits, as cheap converters and hard compression do.

    Args:
        signals: ``(batch, num_samples)`` in [-1, 1].
        num_bits: ``(batch,)``, the sign's included.
    """
    steps = torch.exp2(num_bits - 1)[:, None]
    return torch.round(signals * steps) / steps


def clipped(signals: Tensor, depth_db: Tensor) -> Tensor:
    """Cuts every signal's peaks off.

    Args:
        signals: ``(batch, num_samples)``.
        depth_db: ``(batch,)``, how far below its peak a signal is cut.
    """
    limits = signals.abs().amax(dim=1) * 10 ** (-depth_db / 20)
    return torch.minimum(torch.maximum(signals, -limits[:, None]), limits[:, None])
