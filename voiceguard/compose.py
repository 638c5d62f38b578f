"""Builds the parts from the settings: one kit, used by the daemon and by every command.

Blocking (loads torch and the weights); the daemon calls it on the inference executor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voiceguard.encoder import load_encoder
from voiceguard.encoder.registry import calibration_path, cohort_path
from voiceguard.gate import SpeechGate
from voiceguard.judge import Judge
from voiceguard.paths import state_dir
from voiceguard.scoring.calibration import load_calibration
from voiceguard.scoring.scorer import Scorer
from voiceguard.scoring.snorm import load_cohort
from voiceguard.vad import make_vad
from voiceguard.voiceprints.store import VoiceprintStore
from voiceguard.windows import WindowCutter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.protocols import Encoder
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.snorm import Cohort
    from voiceguard.settings import Settings
    from voiceguard.types import Voiceprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """An encoder with everything that turns its embeddings into decisions."""

    settings: Settings
    encoder: Encoder
    cohort: Cohort | None
    calibration: Calibration | None

    def make_gate(self) -> SpeechGate:
        """A fresh speech gate for one stream."""
        return SpeechGate(make_vad(self.settings.vad), self.settings.gate)

    def make_cutter(self) -> WindowCutter:
        """A fresh window cutter for one stream."""
        return WindowCutter(self.settings.windows)

    def make_judge(self, voiceprints: Sequence[Voiceprint], claim: str | None = None) -> Judge:
        """A judge over these voiceprints; with a claim, over that one speaker."""
        return Judge(
            encoder_id=self.encoder.info.encoder_id,
            scorer=Scorer(voiceprints, self.cohort, self.calibration),
            policy=self.settings.policy,
            calibration=self.calibration,
            claim=claim,
        )


def assemble(settings: Settings) -> Kit:
    """Loads the encoder, and the cohort and calibration that belong to it.

    An encoder without a calibration is usable; every decision is then inconclusive.

    Raises:
        EncoderError: Weights, cohort or calibration are missing, corrupt or do not fit together.
    """
    config = settings.encoder
    encoder = load_encoder(config.model, device=config.device, num_threads=config.num_threads)
    encoder_id = encoder.info.encoder_id
    path = cohort_path(config.model)
    cohort = load_cohort(path, encoder_id=encoder_id) if path.exists() else None
    path = calibration_path(config.model)
    calibration = (
        load_calibration(
            path, encoder_id=encoder_id, cohort_id=cohort.cohort_id if cohort else None
        )
        if path.exists()
        else None
    )
    return Kit(settings=settings, encoder=encoder, cohort=cohort, calibration=calibration)


def open_store(settings: Settings) -> VoiceprintStore:
    """The voiceprints of the state directory in force."""
    return VoiceprintStore(state_dir(settings.state_dir), key_file=settings.key_file or None)
