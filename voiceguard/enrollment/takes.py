"""One person's takes, collected until they make a voiceprint.

In: recordings. Out: a report per take and, where there is speech enough, a ``Voiceprint`` with one
template per usable take.

``ENOUGH_SPEECH_S``: on ``shared/speech/eval`` with the weights before ecapa-c256, with 3 to 5 s of
enrollment, 5 to 7 s and 7 to 10 s, the equal error rate is 3.2, 2.6 and 0.5 % (voxforge) or 10.1,
7.7 and 7.1 % (wuw2); 150 to 330 trials each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.enrollment.assessment import MIN_TAKE_SPEECH_S
from voiceguard.enrollment.wording import describe
from voiceguard.errors import EnrollmentError, VoiceprintError
from voiceguard.scoring.cosine import renormalised_mean
from voiceguard.speech.recorded import joined
from voiceguard.types import SAMPLE_RATE_HZ, Template, Voiceprint
from voiceguard.voiceprints.kept_audio import MAX_KEPT_S

if TYPE_CHECKING:
    from datetime import datetime

    from voiceguard.enrollment.assessment import TakeJudge, TakeReport
    from voiceguard.types import Recorded, Samples

MIN_TOTAL_SPEECH_S = 2.0
"""Net speech of all usable takes together: three short commands just do."""
ENOUGH_SPEECH_S = 8.0
"""With less it works, and errs more often; the command line says so."""
_MAX_HELD_SAMPLES = round((MAX_KEPT_S + 1) * SAMPLE_RATE_HZ)


@dataclass(frozen=True, slots=True)
class _Take:
    report: TakeReport
    label: str
    recorded_at: datetime
    samples: Samples | None
    """None where it is not to be kept."""


class Takes:
    """Collects one person's takes.

    Args:
        judge: Judges each by itself and all by each other.
        keep_audio: Whether ``usable_audio`` will be asked for; else takes may be hours long.
    """

    def __init__(self, judge: TakeJudge, *, keep_audio: bool = True) -> None:
        self._judge = judge
        self._keep_audio = keep_audio
        self._takes: list[_Take] = []

    def add(self, recording: Recorded, *, recorded_at: datetime, label: str = "") -> TakeReport:
        """Takes another recording in. Blocking.

        Args:
            recording: Mono 16 kHz.
            recorded_at: UTC.
            label: Where and with what, in the speaker's words.

        Returns:
            What was made of it; later takes may change what it says about matching.
        """
        samples = None
        if self._keep_audio:
            # What is longer is too much to keep, and refused in the end.
            samples = recording = joined(recording, _MAX_HELD_SAMPLES)
        report = self._judge.assess(recording)
        self._takes.append(_Take(report, label, recorded_at, samples))
        return self.reports[-1]

    @property
    def reports(self) -> tuple[TakeReport, ...]:
        """One per take, in order, each compared with all the others."""
        return self._judge.compare([take.report for take in self._takes])

    @property
    def usable_speech_s(self) -> float:
        """Net speech of the usable takes."""
        return sum(report.net_speech_s for report in self.reports if report.is_usable)

    @property
    def usable_audio(self) -> tuple[tuple[datetime, Samples], ...]:
        """When each usable take was recorded, and its audio: one per template, in order.

        Empty unless audio is kept.
        """
        return tuple(
            (take.recorded_at, take.samples)
            for take, report in zip(self._takes, self.reports, strict=True)
            if report.is_usable and report.embedding is not None and take.samples is not None
        )

    def voiceprint(
        self, speaker: str, *, display_name: str = "", consent_at: datetime, now: datetime
    ) -> Voiceprint:
        """A new voiceprint, one template per usable take.

        Raises:
            EnrollmentError: Too little usable speech; the message has every take's problem.
        """
        return Voiceprint(
            speaker=speaker,
            display_name=display_name or speaker,
            encoder_id=self._judge.encoder.info.encoder_id,
            templates=self._templates(),
            consent_at=consent_at,
            created_at=now,
            updated_at=now,
        )

    def added_to(self, voiceprint: Voiceprint, *, now: datetime) -> Voiceprint:
        """The voiceprint with the usable takes added.

        Raises:
            EnrollmentError: Nothing usable, or clearly another voice than the voiceprint's.
            VoiceprintError: The voiceprint is of another encoder.
        """
        encoder_id = self._judge.encoder.info.encoder_id
        if voiceprint.encoder_id != encoder_id:
            raise VoiceprintError(
                f"the voiceprint of {voiceprint.speaker!r} was made by encoder "
                f"{voiceprint.encoder_id}; the one in use is {encoder_id}",
                hint=f"`voiceguard voiceprints migrate {voiceprint.speaker}` makes it anew where "
                f"audio was kept; or enroll anew: `voiceguard enroll {voiceprint.speaker} --force`",
            )
        templates = self._templates(min_total_s=MIN_TAKE_SPEECH_S)
        known = renormalised_mean(np.stack([t.embedding for t in voiceprint.templates]))
        new = renormalised_mean(np.stack([t.embedding for t in templates]))
        cosine, least = float(known @ new), self._judge.limits.min_agreement_added
        if least is not None and cosine < least:
            raise EnrollmentError(
                f"these takes don't sound like {voiceprint.speaker!r} (cosine {cosine:.2f}; "
                f"{least:g} at least)",
                hint="enroll another person under a name of their own, or start anew with --force",
            )
        return replace(voiceprint, templates=voiceprint.templates + templates, updated_at=now)

    def _templates(self, min_total_s: float = MIN_TOTAL_SPEECH_S) -> tuple[Template, ...]:
        reports = self.reports
        usable_s = self.usable_speech_s
        if usable_s < min_total_s:
            faults = [f"take {i}: {describe(r)}" for i, r in enumerate(reports, 1) if r.problems]
            raise EnrollmentError(
                f"{usable_s:.1f} s of usable speech in {len(reports)} take(s); at least "
                f"{min_total_s:g} s are needed" + "".join(f"\n  {fault}" for fault in faults),
                hint="read aloud for longer, near the microphone and without other voices; two or "
                "three takes of 4 s are plenty",
            )
        return tuple(
            Template(
                embedding=report.embedding,
                net_speech_s=report.net_speech_s,
                snr_db=report.snr_db,
                created_at=take.recorded_at,
                label=take.label,
            )
            for take, report in zip(self._takes, reports, strict=True)
            if report.is_usable and report.embedding is not None
        )
