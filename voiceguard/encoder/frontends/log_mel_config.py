"""Parameters of voiceguard's own log-mel features, as a card holds them. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from voiceguard.encoder.card.kinds import class_at
from voiceguard.encoder.frontends.limits import MAX_BANDS, check_bands, check_transform
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ
from voiceguard.validation.ranges import Between, check_ranges

if TYPE_CHECKING:
    from voiceguard.encoder.frontends.base import FrontEnd

REVISION = 1
"""Raised when the code below changes its results for the same parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMelConfig:
    """Parameters of the features; a model's card repeats those that it was trained with."""

    TYPE: ClassVar[str] = "log_mel"

    num_mels: Annotated[int, Between(1, MAX_BANDS)] = 80
    fft_samples: int = 512
    window_samples: int = 400
    """25 ms, a Hamming window; every FRAME_SAMPLES there is one."""
    min_hz: float = 20.0
    max_hz: float = 7600.0
    floor: Annotated[float, Between(0, 1, is_low_excluded=True)] = 1e-6
    """Added to the mel power before the logarithm."""

    def __post_init__(self) -> None:
        check_ranges(self)
        check_transform(self.window_samples, self.fft_samples)
        check_bands(self.min_hz, self.max_hz)

    @property
    def version(self) -> str:
        """Names everything that the features depend on; part of the encoder's id."""
        return (
            f"log-mel-{REVISION}/{SAMPLE_RATE_HZ}hz/hamming-{self.window_samples}-"
            f"{self.fft_samples}-{FRAME_SAMPLES}/mel-{self.num_mels}-{self.min_hz:g}-"
            f"{self.max_hz:g}/log-{self.floor:g}/mean"
        )

    def build(self) -> FrontEnd:
        """The features of one recording, or of a stream's windows."""
        front_end: FrontEnd = class_at("voiceguard.encoder.frontends.log_mel:LogMelFrontEnd")(self)
        return front_end
