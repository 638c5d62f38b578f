"""Voiceprints of an older encoder become voiceprints of the one in use, where audio was kept.

Blocking (embeds, reads and writes files); no clock. In: the store, an encoder. Out: per speaker
what was done, or why the person must enroll again. A speaker's old voiceprint stays until the new
one is on disk, so whatever fails, at whatever moment, costs nobody anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from voiceguard.errors import AudioError, VoiceguardError
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from datetime import datetime

    from voiceguard.enrollment.assessment import TakeJudge
    from voiceguard.types import Samples, Template, Voiceprint
    from voiceguard.voiceprints import VoiceprintStore


class MigrationStatus(StrEnum):
    """What became of a voiceprint. Appears in ``--json``."""

    MIGRATED = "migrated"
    WOULD_MIGRATE = "would_migrate"
    """A dry run: its audio is there and readable, and nothing was embedded."""
    CURRENT = "current"
    """It is of the encoder in use already."""
    ENROLL_AGAIN = "enroll_again"
    """No audio, or not of every take: the voiceprint is unchanged."""
    FAILED = "failed"
    """Something went wrong: the voiceprint is unchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """What became of one speaker's voiceprint."""

    speaker: str
    status: MigrationStatus
    encoder_id: str | None = None
    """What it was made by before; None where it can't be read."""
    num_templates: int = 0
    """Before."""
    num_migrated: int = 0
    """Made anew, or to be."""
    reason: str = ""
    hint: str = ""

    @property
    def is_well(self) -> bool:
        return self.status not in {MigrationStatus.ENROLL_AGAIN, MigrationStatus.FAILED}


class Migrator:
    """Makes voiceprints anew from the audio that was kept.

    Args:
        store: Where both are.
        judge: As enrollment has it, with the encoder that voiceprints shall be of.
        allow_partial: Give up templates of which no audio was kept where there is some of others.
    """

    def __init__(
        self,
        store: VoiceprintStore,
        judge: TakeJudge,
        *,
        allow_partial: bool = False,
    ) -> None:
        self._store = store
        self._judge = judge
        self._allow_partial = allow_partial

    def migrate(self, speaker: str, *, now: datetime, dry_run: bool = False) -> Migration:
        """Migrates one speaker. Safe to repeat.

        Args:
            speaker: Whose voiceprint.
            now: UTC.
            dry_run: Only look whether it could be done.
        """
        try:
            voiceprint = self._store.load(speaker)
        except VoiceguardError as error:
            return Migration(
                speaker=speaker,
                status=MigrationStatus.FAILED,
                reason=str(error),
                hint=error.hint,
            )
        before = Migration(
            speaker=speaker,
            status=MigrationStatus.CURRENT,
            encoder_id=voiceprint.encoder_id,
            num_templates=len(voiceprint.templates),
        )
        if voiceprint.encoder_id == self._judge.encoder.info.encoder_id:
            return before
        try:
            return self._migrate(voiceprint, before, now=now, dry_run=dry_run)
        except VoiceguardError as error:
            failed = replace(before, reason=str(error), hint=error.hint)
        except (RuntimeError, MemoryError) as error:  # torch: out of memory, a lost device
            failed = replace(before, reason=f"the encoder failed: {error}", hint="try again")
        return replace(failed, status=MigrationStatus.FAILED)

    def _migrate(
        self, voiceprint: Voiceprint, before: Migration, *, now: datetime, dry_run: bool
    ) -> Migration:
        audio = self._store.load_audio(voiceprint)
        kept = [
            (number, template, samples)
            for number, template in enumerate(voiceprint.templates, start=1)
            if audio is not None and (samples := audio.samples_of(template)) is not None
        ]
        if refusal := self._refusal(len(voiceprint.templates), len(kept)):
            return replace(
                before,
                status=MigrationStatus.ENROLL_AGAIN,
                reason=refusal,
                hint=f"`voiceguard enroll {voiceprint.speaker} --force --keep-audio`, or go on "
                "with the older encoder's file",
            )
        done = replace(before, num_migrated=len(kept))
        if dry_run:
            return replace(done, status=MigrationStatus.WOULD_MIGRATE)
        new = replace(
            voiceprint,
            encoder_id=self._judge.encoder.info.encoder_id,
            templates=tuple(self._embedded(*each) for each in kept),
            updated_at=now,
        )
        self._store.replace(voiceprint, new)
        return replace(done, status=MigrationStatus.MIGRATED)

    def _refusal(self, num_templates: int, num_kept: int) -> str:
        """Why this audio is not enough; empty where it is."""
        if not num_kept:
            return "no audio was kept"
        num_missing = num_templates - num_kept
        if num_missing and not self._allow_partial:
            return (
                f"of {num_missing} of its {num_templates} takes no audio was kept "
                "(--partial gives those up)"
            )
        return ""

    def _embedded(self, number: int, template: Template, samples: Samples) -> Template:
        """The template made anew; its figures too, since detector and gate may have changed.

        A take that was good enough when the person agreed to it is not judged again: only one in
        which no speech is found any more stops the migration.
        """
        report = self._judge.assess(samples)
        if report.embedding is None:
            raise AudioError(
                f"too little speech is found in the audio of take {number} "
                f"({len(samples) / SAMPLE_RATE_HZ:.1f} s)",
                hint="is [vad] or [gate] set to something unusual? Else enroll again",
            )
        return replace(
            template,
            embedding=report.embedding,
            net_speech_s=report.net_speech_s,
            snr_db=report.snr_db,
        )
