"""SpeechBrain's filter-bank features: ``Fbank``, then the sentence's mean removed.

In: one recording at 16 kHz. Out: what SpeechBrain's ECAPA-TDNN sees. Triangles as wide on their
right as on their left, decibels, and a floor 80 dB under the loudest value of the whole window.

Source: the definitions in SpeechBrain's documentation (``speechbrain.processing.features``: STFT,
Filterbank; ``speechbrain.lobes.features.Fbank``), https://speechbrain.readthedocs.io.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from torch import nn

from voiceguard.encoder.frontends.base import FrontEnd, centred
from voiceguard.encoder.frontends.limits import MAX_BANDS, check_bands, check_transform
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ
from voiceguard.validation.ranges import Between, check_ranges

if TYPE_CHECKING:
    from torch import Tensor

REVISION = 1
"""Raised when the code below changes its results for the same parameters."""

AMIN = 1e-10
"""Smallest power whose logarithm is taken."""

MAX_TOP_DB = 1000.0
"""More than single precision holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechBrainFbankConfig:
    """Parameters of ``Fbank`` that change the features."""

    TYPE: ClassVar[str] = "speechbrain_fbank"

    num_mels: Annotated[int, Between(1, MAX_BANDS)] = 80
    fft_samples: int = 400
    window_samples: int = 400
    """25 ms, a Hamming window, every FRAME_SAMPLES."""
    min_hz: float = 0.0
    max_hz: float = SAMPLE_RATE_HZ / 2
    top_db: Annotated[float, Between(0, MAX_TOP_DB, is_low_excluded=True)] = 80.0
    """Values lie at most so far under the window's largest."""

    def __post_init__(self) -> None:
        check_ranges(self)
        check_transform(self.window_samples, self.fft_samples)
        check_bands(self.min_hz, self.max_hz)

    @property
    def version(self) -> str:
        """Names everything that the features depend on; part of the encoder's id."""
        return (
            f"speechbrain-fbank-{REVISION}/{SAMPLE_RATE_HZ}hz/hamming-{self.window_samples}-"
            f"{self.fft_samples}-{FRAME_SAMPLES}/mel-{self.num_mels}-{self.min_hz:g}-"
            f"{self.max_hz:g}/db-{AMIN:g}-{self.top_db:g}/mean"
        )

    def build(self) -> FrontEnd:
        """The features of one recording, or of a stream's windows."""
        return SpeechBrainFbank(self)


class SpeechBrainFbank(FrontEnd):
    """Decibels of mel bands; the edges are padded with zeros."""

    window: Tensor
    """``(fft_samples,)``"""
    mel_bands: Tensor
    """``(fft_samples // 2 + 1, num_mels)``"""

    def __init__(self, config: SpeechBrainFbankConfig) -> None:
        super().__init__()
        self.config = config
        self.frame_samples = config.fft_samples
        self.offset_samples = config.fft_samples // 2
        window = centred(torch.hamming_window(config.window_samples), config.fft_samples)
        self.register_buffer("window", window)
        self.register_buffer("mel_bands", mel_bands(config))  # (fft_samples // 2 + 1, num_mels)

    def prepare(self, samples: Tensor) -> Tensor:
        """See ``FrontEnd.prepare``."""
        return nn.functional.pad(samples, (self.offset_samples, self.offset_samples))

    def bands(self, frames: Tensor) -> Tensor:
        """See ``FrontEnd.bands``."""
        power = torch.view_as_real(torch.fft.rfft(frames * self.window)).square().sum(-1)
        return 10.0 * torch.log10((power @ self.mel_bands).clamp(min=AMIN))  # (frames, num_mels)

    def finish(self, bands: Tensor) -> Tensor:
        """See ``FrontEnd.finish``."""
        bands = bands.clamp(min=bands.max() - self.config.top_db)
        return (bands - bands.mean(dim=0)).T


def mel_bands(config: SpeechBrainFbankConfig) -> Tensor:
    """Triangles over frequency, ``(fft_samples // 2 + 1, num_mels)``, of peak 1.

    Centres are evenly spaced on HTK's mel scale. Both sides of a triangle are as wide as the
    distance to the centre on its left, which makes them narrower than the usual ones on the right.
    """
    low, high = (
        2595 * torch.log10(torch.tensor(1 + hz / 700)) for hz in (config.min_hz, config.max_hz)
    )
    hz = 700 * (10 ** (torch.linspace(float(low), float(high), config.num_mels + 2) / 2595) - 1)
    widths, centres = (hz[1:] - hz[:-1])[:-1], hz[1:-1]  # (num_mels,)
    bins = torch.linspace(0, SAMPLE_RATE_HZ // 2, config.fft_samples // 2 + 1)
    slopes = (bins.unsqueeze(1) - centres) / widths  # (fft_samples // 2 + 1, num_mels)
    return torch.minimum(slopes + 1, 1 - slopes).clamp(min=0)
