"""The front end of encoders that take the samples as they are, 16 kHz mono, full scale 1.0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from voiceguard.encoder.frontends.base import FrontEnd
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveformConfig:
    """There is nothing to choose."""

    TYPE: ClassVar[str] = "waveform"

    @property
    def version(self) -> str:
        """Names everything that the features depend on; part of the encoder's id."""
        return f"waveform-1/{SAMPLE_RATE_HZ}hz"

    def build(self) -> Waveform:
        """The front end."""
        return Waveform()


class Waveform(FrontEnd):
    """One "band" at the rate of the samples: frames are the samples, laid end to end again."""

    frame_samples = FRAME_SAMPLES
    offset_samples = 0

    def bands(self, frames: Tensor) -> Tensor:
        """``(num_frames, 160)``, the frames as they are."""
        return frames

    def finish(self, bands: Tensor) -> Tensor:
        """``(num_frames, 160)`` to ``(1, num_samples)``."""
        return bands.reshape(1, -1)

    def forward(self, samples: Tensor) -> Tensor:
        """``(num_samples,)`` to ``(1, num_samples)``, samples after the last whole frame too."""
        return samples.unsqueeze(0)
