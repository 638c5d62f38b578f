"""Features of the unofficial ECAPA-TDNN implementations: pre-emphasis, then log-mel.

In: one recording at 16 kHz. Out: what those networks see. Beside the pre-emphasis it is the
transform of ``log_mel.LogMel``: torchaudio's mel spectrogram, a logarithm, the mean removed.

Source: the recipe of "ECAPA-TDNN (unofficial)", https://github.com/TaoRuijie/ECAPA-TDNN: 80 bands
of 20 to 7600 Hz, windows of 25 ms, pre-emphasis 0.97.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from torch import nn

from voiceguard.encoder.frontends.log_mel import LogMelFrontEnd
from voiceguard.encoder.frontends.log_mel_config import LogMelConfig
from voiceguard.validation.ranges import Between, check_ranges

if TYPE_CHECKING:
    from torch import Tensor

    from voiceguard.encoder.frontends.base import FrontEnd

REVISION = 1
"""Raised when the code below changes its results for the same parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaoRuijieMelConfig:
    """Parameters that a checkpoint's own tensors tell; the rest is fixed in that recipe."""

    TYPE: ClassVar[str] = "taoruijie_mel"

    num_mels: int = 80
    fft_samples: int = 512
    window_samples: int = 400
    min_hz: float = 20.0
    max_hz: float = 7600.0
    floor: float = 1e-6
    preemphasis: Annotated[float, Between(0, 1)] = 0.97

    def __post_init__(self) -> None:
        check_ranges(self)
        _ = self.log_mel  # which checks the rest

    @property
    def log_mel(self) -> LogMelConfig:
        """The features after the pre-emphasis."""
        values = asdict(self)
        del values["preemphasis"]
        return LogMelConfig(**values)

    @property
    def version(self) -> str:
        """Names everything that the features depend on; part of the encoder's id."""
        return f"taoruijie-{REVISION}/preemphasis-{self.preemphasis:g}/{self.log_mel.version}"

    def build(self) -> FrontEnd:
        """The features of one recording, or of a stream's windows."""
        return TaoRuijieMel(self)


class TaoRuijieMel(LogMelFrontEnd):
    """Log-mel power of the signal less 0.97 of itself one sample before."""

    reach_back = 1

    def __init__(self, config: TaoRuijieMelConfig) -> None:
        super().__init__(config.log_mel)
        self.preemphasis = config.preemphasis

    def prepare(self, samples: Tensor) -> Tensor:
        """See ``FrontEnd.prepare``; before the first sample is, mirrored, the second."""
        before = nn.functional.pad(samples[None], (1, 0), mode="reflect")[0, :-1]
        return super().prepare(torch.add(samples, before, alpha=-self.preemphasis))
