"""Builds the parts from the settings: one kit, used by the daemon and by every command.

Blocking (loads weights, and torch where the encoder runs on it); the daemon calls it on the
inference executor.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from voiceguard.encoder import load_encoder
from voiceguard.encoder.installed import installed_models
from voiceguard.encoder.library import (
    calibration_path,
    cohort_path,
    shipped_models,
    stated_encoder_id,
)
from voiceguard.encoder.overlap.loading import load_overlap
from voiceguard.enrollment import TakeJudge, known_voice, predict_acceptance
from voiceguard.errors import VoiceprintError
from voiceguard.paths import (
    is_open_to_all,
    is_there,
    models_dir,
    own_calibration_file,
    state_dir,
    voiceprints_dir,
)
from voiceguard.pipeline.judge import Judge
from voiceguard.scoring.adaptation import in_force
from voiceguard.scoring.calibration import load_calibration
from voiceguard.scoring.limits import NO_LIMITS
from voiceguard.scoring.scorer import Scorer
from voiceguard.scoring.snorm import load_cohort
from voiceguard.speech.ear import Ear
from voiceguard.speech.gate import SpeechGate
from voiceguard.speech.vad import make_take_vad, make_vad
from voiceguard.speech.windows import WindowCutter
from voiceguard.validation.boundary import refusing
from voiceguard.voiceprints.reading import LoadedVoiceprints, Refusal
from voiceguard.voiceprints.store import VoiceprintStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voiceguard.protocols import Encoder, OverlapDetector
    from voiceguard.scoring.adaptation import Mark
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.limits import EnrollmentLimits
    from voiceguard.scoring.prediction import PredictedRate
    from voiceguard.scoring.snorm import Cohort
    from voiceguard.settings import Settings
    from voiceguard.types import Channel, Voiceprint

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """An encoder with everything that turns its embeddings into decisions."""

    settings: Settings
    encoder: Encoder
    cohort: Cohort | None
    calibration: Calibration | None
    overlap: OverlapDetector | None = None
    """Hears several voices at once; None: that is not wanted."""

    def make_gate(self) -> SpeechGate:
        """A fresh speech gate for one stream."""
        return SpeechGate(make_vad(self.settings.vad), self.settings.gate)

    def make_ear(self, channel: Channel = "downmix") -> Ear:
        """A fresh ear, gate and windows, for one stream or one recording."""
        cutter = WindowCutter(self.settings.windows, keep_audio=self.overlap is not None)
        return Ear(self.make_gate(), cutter, channel)

    @property
    def take_judge(self) -> TakeJudge:
        """Hears takes as the daemon hears, and knows how unlike those of one person may be."""
        limits = NO_LIMITS if self.calibration is None else self.calibration.enrollment
        return make_take_judge(self.settings, self.encoder, limits, self.overlap)

    def predict_acceptance(
        self, voiceprint: Voiceprint, *, num_voiceprints: int = 1
    ) -> tuple[PredictedRate, ...]:
        """How often the speaker will be accepted; empty where the calibration can't say."""
        return predict_acceptance(
            voiceprint,
            self.cohort,
            self.calibration,
            self.settings.policy,
            num_voiceprints=num_voiceprints,
        )

    def known_voice(self, voiceprint: Voiceprint, loaded: LoadedVoiceprints) -> str | None:
        """Whom of the enrolled speakers a new voiceprint sounds like; None: nobody else."""
        others = self.comparable(loaded).voiceprints
        return known_voice(voiceprint, others, self.cohort, self.calibration)

    def comparable(self, loaded: LoadedVoiceprints) -> LoadedVoiceprints:
        """Refuses what is intact, of this encoder by its name, and fits nothing of it all the same.

        Somebody with the key, or the passphrase of an export, can write such voiceprints.
        """
        voiceprints, refusals = [], list(loaded.refusals)
        for voiceprint in loaded.voiceprints:
            try:
                self._check(voiceprint)
                voiceprints.append(voiceprint)
            except VoiceprintError as error:
                refusals.append(
                    Refusal(speaker=voiceprint.speaker, reason=str(error), hint=error.hint)
                )
        return LoadedVoiceprints(
            voiceprints=tuple(voiceprints),
            refusals=tuple(sorted(refusals, key=lambda each: each.speaker)),
        )

    def _check(self, voiceprint: Voiceprint) -> None:
        what, dim = f"the voiceprint of {voiceprint.speaker!r}", self.encoder.info.embedding_dim
        hint = "remove it and enroll again"
        for template in voiceprint.templates:
            if template.embedding.shape != (dim,):
                raise VoiceprintError(
                    f"{what} has embeddings of {template.embedding.size} numbers, the encoder's "
                    f"have {dim}",
                    hint=hint,
                )
        with refusing(what, VoiceprintError, hint=hint):
            Scorer([voiceprint], self.cohort, self.calibration)

    def make_judge(
        self,
        voiceprints: Sequence[Voiceprint],
        claim: str | None = None,
        marks: Mapping[str, tuple[Mark, ...]] | None = None,
    ) -> Judge:
        """A judge over these voiceprints; with a claim, over that one speaker.

        Args:
            voiceprints: Everybody's who is to be recognised.
            claim: The claimed speaker; None: open-set identification.
            marks: Of right and wrong, by speaker; those that don't count are left out.

        Raises:
            VoiceprintError: One of them can't be compared with anything; says which.
        """
        for voiceprint in voiceprints:
            self._check(voiceprint)
        calibration_id = self.calibration.calibration_id if self.calibration else None
        return Judge(
            encoder_id=self.encoder.info.encoder_id,
            scorer=Scorer(voiceprints, self.cohort, self.calibration),
            policy=self.settings.policy,
            calibration=self.calibration,
            claim=claim,
            adaptations=in_force(marks or {}, voiceprints, calibration_id),
        )


def assemble(settings: Settings, *, overlap: bool = True) -> Kit:
    """Loads the encoder, and the cohort and calibration that belong to it.

    An encoder without a calibration is usable; every decision is then inconclusive.

    Args:
        settings: Which.
        overlap: Whether what hears overlap is loaded as well, as the settings say; a measurement
            is about the encoder.

    Raises:
        EncoderError: Weights, cohort or calibration are missing, corrupt or do not fit together; or
            what hears overlap can't be loaded.
    """
    encoder = open_encoder(settings)
    cohort, calibration = load_scoring(settings, encoder.info.encoder_id)
    return Kit(
        settings=settings,
        encoder=encoder,
        cohort=cohort,
        calibration=calibration,
        overlap=load_overlap(settings.overlap) if overlap else None,
    )


def load_scoring(settings: Settings, encoder_id: str) -> tuple[Cohort | None, Calibration | None]:
    """What makes LLRs of an encoder's embeddings; needs no encoder.

    Raises:
        EncoderError: Cohort or calibration are corrupt, or do not fit together.
    """
    path = cohort_path(settings.encoder.model, installed_in(settings))
    cohort = load_cohort(path, encoder_id=encoder_id) if path.exists() else None
    chosen = calibration_in_force(settings, encoder_id)
    calibration = (
        load_calibration(
            chosen, encoder_id=encoder_id, cohort_id=cohort.cohort_id if cohort else None
        )
        if chosen is not None
        else None
    )
    return cohort, calibration


def make_take_judge(
    settings: Settings,
    encoder: Encoder,
    limits: EnrollmentLimits = NO_LIMITS,
    overlap: OverlapDetector | None = None,
) -> TakeJudge:
    """A judge of takes with the gate of the settings, that leaves music out where it can.

    Args:
        settings: ``vad`` and ``gate`` count.
        encoder: Makes the embeddings.
        limits: The encoder's; without a calibration nobody knows them.
        overlap: Hears two people at once; None: nobody does.
    """
    return TakeJudge(
        encoder=encoder,
        make_vad=lambda: make_take_vad(settings.vad),
        gate=settings.gate,
        limits=limits,
        overlap=overlap,
    )


def installed_in(settings: Settings) -> Path:
    """Where encoders that were imported are, in the state directory in force."""
    return models_dir(state_dir(settings.state_dir))


def open_encoder(settings: Settings) -> Encoder:
    """The encoder of the settings alone, raises as ``load_encoder``."""
    config = settings.encoder
    return load_encoder(
        config.model,
        device=config.device,
        num_threads=config.num_threads,
        models_dir=installed_in(settings),
        runtime=config.runtime,
    )


def calibration_in_force(settings: Settings, encoder_id: str) -> Path | None:
    """The file: the one that the settings name, else one fitted here, else the encoder's own.

    Args:
        settings: ``encoder.calibration`` and ``state_dir`` count.
        encoder_id: Of the encoder in use.

    Returns:
        A path, that of a named one whether it exists or not; None where there is none at all.
    """
    config = settings.encoder
    if config.calibration != "auto":
        return Path(config.calibration).expanduser()
    own = own_calibration_file(state_dir(settings.state_dir), encoder_id)
    shipped = calibration_path(config.model, installed_in(settings))
    return next((path for path in (own, shipped) if is_there(path)), None)


def open_store(settings: Settings) -> VoiceprintStore:
    """The voiceprints of the state directory in force; a warning where anybody can put others."""
    state = state_dir(settings.state_dir)
    for directory in (state, voiceprints_dir(state)):
        if is_open_to_all(directory):
            log.warning("state_dir_exposed", path=str(directory), hint=f"chmod 700 {directory}")
    return VoiceprintStore(
        state,
        key_file=settings.key_file or None,
        encoder_name=lambda encoder_id: encoder_name(settings, encoder_id),
    )


def encoder_name(settings: Settings, encoder_id: str) -> str | None:
    """What the encoder of that id is called here, by the cards; None: it is not here."""
    directory = installed_in(settings)
    known = (*shipped_models(), *installed_models(directory))
    return next((each for each in known if stated_encoder_id(each, directory) == encoder_id), None)
