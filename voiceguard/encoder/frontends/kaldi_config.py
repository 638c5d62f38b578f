"""Parameters of Kaldi's filter bank, as a card holds them. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from voiceguard.encoder.card.kinds import class_at
from voiceguard.encoder.frontends.limits import check_bands
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ
from voiceguard.validation.ranges import Between, check_ranges

if TYPE_CHECKING:
    from voiceguard.encoder.frontends.base import FrontEnd

REVISION = 1
"""Raised when the code below changes its results for the same parameters."""

WINDOW_SAMPLES = 400
"""25 ms."""
FFT_SAMPLES = 512
PRE_EMPHASIS = 0.97
FLOOR = float(np.finfo(np.float32).eps)
"""Power below it is raised to it before the logarithm."""
SAMPLE_SCALES = (1.0, 32768.0)
"""What full scale becomes: 3D-Speaker computes on [-1, 1], WeSpeaker on 16-bit integers' range."""
POVEY_EXPONENT = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class KaldiFbankConfig:
    """What differs between the projects; everything else is Kaldi's default."""

    TYPE: ClassVar[str] = "kaldi_fbank"

    num_bands: Annotated[int, Between(4, 256)] = 80
    window: str = "povey"
    """"povey" (3D-Speaker) or "hamming" (WeSpeaker)."""
    sample_scale: float = 1.0
    """1.0 or 32768.0: samples are multiplied by it. It moves the floor of the logarithm."""
    min_hz: float = 20.0
    max_hz: float = 8000.0
    subtract_mean: bool = True
    """Whether each band's mean over the window is removed (cepstral mean subtraction)."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.window not in {"povey", "hamming"}:
            raise ValueError(f"window must be 'povey' or 'hamming', not {self.window!r}")
        if self.sample_scale not in SAMPLE_SCALES:
            raise ValueError(f"sample_scale must be 1 or 32768, not {self.sample_scale!r}")
        check_bands(self.min_hz, self.max_hz)

    @property
    def version(self) -> str:
        """Names everything that the features depend on; part of the encoder's id."""
        mean = "/mean" if self.subtract_mean else ""
        return (
            f"kaldi-fbank-{REVISION}/{SAMPLE_RATE_HZ}hz/{self.window}-{WINDOW_SAMPLES}-"
            f"{FFT_SAMPLES}-{FRAME_SAMPLES}/scale-{self.sample_scale:g}/mel-{self.num_bands}-"
            f"{self.min_hz:g}-{self.max_hz:g}{mean}"
        )

    def build(self) -> FrontEnd:
        """The front end of these parameters."""
        front_end: FrontEnd = class_at("voiceguard.encoder.frontends.kaldi:KaldiFbank")(self)
        return front_end
