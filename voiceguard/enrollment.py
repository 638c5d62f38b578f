"""The setup ceremony: takes of one person's voice become a voiceprint, or are sent back with why.

Blocking (embeds); no clock, no files. In: recordings. Out: a report per take and, where there is
speech enough, a Voiceprint with one template per usable take.

Where the limits come from: recordings of ``shared/speech/train`` with ecapa-c256-interim, which has
heard those speakers; in brackets the same on ``eval``, which it has not. Trials share recordings,
so tenths of a percent mean little, and ``eval`` was looked at when the limits were set.

- ``MIN_AGREEMENT``: a take of the same person and session is sent back in 2.8 % (0.5 %) of cases,
  another person's is noticed in 86 % (83 %), against two other takes, each with >= 1.5 s of speech.
- ``MIN_SELF_AGREEMENT``: false alarm on 0.5 % of takes (5 %: none in voxforge, 9.5 % in wuw2); two
  voices in one take are noticed in 62 % (58 %).
- ``MIN_AGREEMENT_ADDED``: on eval 0.2 % of another session's takes are below it, and 43 % of other
  people's. It only stops what can't be a room or a cold.
- ``ENOUGH_SPEECH_S``: on eval, with 3 to 5 s of enrollment, 5 to 7 s and 7 to 10 s, the equal
  error rate is 3.2, 2.6 and 0.5 % (voxforge) or 10.1, 7.7 and 7.1 % (wuw2); 150 to 330 trials each.
- ``MAX_CLIPPED``: none of 1609 recordings has more than 0.14 %; one that was amplified until it
  clipped had 0.2 % at 6 dB and 1.1 % at 10 dB.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.errors import EnrollmentError, VoiceprintError
from voiceguard.gate import trim_to_speech
from voiceguard.scoring.cosine import renormalised_mean
from voiceguard.types import SAMPLE_RATE_HZ, Template, Voiceprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from voiceguard.gate import GateConfig
    from voiceguard.protocols import Encoder, VoiceActivityDetector
    from voiceguard.types import Embedding, Samples

MIN_TAKE_SPEECH_S = 0.8
"""Net speech of a take; shorter ones have hardly a voice to go by."""
MIN_TOTAL_SPEECH_S = 2.0
"""Net speech of all usable takes together: three short commands just do."""
ENOUGH_SPEECH_S = 8.0
"""With less it works, and errs more often; the command line says so."""
MIN_SNR_DB = 10.0
MAX_CLIPPED = 0.003
"""Share of a take's samples at full scale."""
MIN_AGREEMENT = 0.35
"""Median cosine to the other takes."""
MIN_SELF_AGREEMENT = 0.20
"""Cosine between any two pieces of one take."""
MIN_AGREEMENT_ADDED = 0.20
"""Cosine of an added take to the voiceprint that it is added to."""

PIECE_S = 3.0
"""About the length of the pieces that a take is embedded in; a shorter one is taken whole."""
_MIN_PIECE_S = 0.6
_MIN_COMPARED_PIECE_S = 2.0
_FULL_SCALE = 0.985


class Problem(StrEnum):
    """What keeps a take from being used. Appears in ``--json``."""

    SILENCE = "silence"
    TOO_SHORT = "too_short"
    CLIPPED = "clipped"
    TOO_NOISY = "too_noisy"
    MORE_THAN_ONE_VOICE = "more_than_one_voice"
    DOES_NOT_MATCH = "does_not_match"
    """Not the voice of the other takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeReport:
    """One take, judged."""

    net_speech_s: float
    snr_db: float
    """NaN without speech."""
    clipped_fraction: float
    self_agreement: float | None
    """Lowest cosine between two pieces of the take; None for a short one."""
    agreement: float | None = None
    """Median cosine to the other takes that are usable by themselves; None for a single one."""
    problems: tuple[Problem, ...]
    embedding: Embedding | None = field(repr=False)
    """L2 norm 1; None where there is too little speech."""

    @property
    def is_usable(self) -> bool:
        return not self.problems


def assess_take(
    samples: Samples,
    encoder: Encoder,
    vad: VoiceActivityDetector,
    gate: GateConfig | None = None,
) -> TakeReport:
    """Judges one take by itself, and embeds it.

    Args:
        samples: ``(num_samples,)`` mono 16 kHz.
        encoder: Blocking.
        vad: A fresh detector.
        gate: Timing of the speech gate.
    """
    speech = trim_to_speech(samples, vad, gate)
    pieces = _pieces(speech.segments, max(_MIN_PIECE_S, encoder.info.min_window_s))
    embeddings = [encoder.embed(piece) for piece in pieces]
    clipped = float(np.mean(np.abs(samples) >= _FULL_SCALE)) if len(samples) else 0.0
    long = [
        embedding
        for piece, embedding in zip(pieces, embeddings, strict=True)
        if len(piece) >= _MIN_COMPARED_PIECE_S * SAMPLE_RATE_HZ
    ]
    self_agreement = float(np.min(np.stack(long) @ np.stack(long).T)) if len(long) > 1 else None
    found = {
        Problem.SILENCE: not speech.segments,
        Problem.TOO_SHORT: bool(speech.segments)
        and (speech.net_speech_s < MIN_TAKE_SPEECH_S or not pieces),
        Problem.CLIPPED: clipped > MAX_CLIPPED,
        Problem.TOO_NOISY: speech.snr_db < MIN_SNR_DB,
        Problem.MORE_THAN_ONE_VOICE: self_agreement is not None
        and self_agreement < MIN_SELF_AGREEMENT,
    }
    return TakeReport(
        net_speech_s=speech.net_speech_s,
        snr_db=speech.snr_db,
        clipped_fraction=clipped,
        self_agreement=self_agreement,
        problems=tuple(problem for problem, stands in found.items() if stands),
        embedding=_weighted_mean(pieces, embeddings) if pieces else None,
    )


def compare_takes(reports: Sequence[TakeReport]) -> tuple[TakeReport, ...]:
    """Judges takes by each other: which ones are the voice that most of them are?

    By the median, so that one wrong take is told from two right ones whatever came first; where
    no voice has a majority, none is believed.
    """
    alone = [tuple(p for p in r.problems if p is not Problem.DOES_NOT_MATCH) for r in reports]
    compared = []
    for i, report in enumerate(reports):
        agreement = None
        if not alone[i] and report.embedding is not None:
            cosines = [
                float(report.embedding @ other.embedding)
                for j, other in enumerate(reports)
                if j != i and not alone[j] and other.embedding is not None
            ]
            agreement = float(np.median(cosines)) if cosines else None
        problems: tuple[Problem, ...] = alone[i]
        if agreement is not None and agreement < MIN_AGREEMENT:
            problems = (*problems, Problem.DOES_NOT_MATCH)
        compared.append(replace(report, agreement=agreement, problems=problems))
    return tuple(compared)


def describe(report: TakeReport) -> str:
    """What was wrong with a take and how to do better, or its figures when it is usable."""
    figures = f"{report.net_speech_s:.1f} s of speech"
    if report.is_usable:
        return f"{figures}, {report.snr_db:.0f} dB over the noise"
    return " ".join(
        {
            Problem.SILENCE: "No speech was heard: is this the right microphone, and is it on?",
            Problem.TOO_SHORT: f"Too short: {figures}; at least {MIN_TAKE_SPEECH_S:g} s "
            "without a long pause are needed.",
            Problem.CLIPPED: f"Clipped: {100 * report.clipped_fraction:.1f} % of it is at full "
            "scale; lower the microphone's level or move away from it.",
            Problem.TOO_NOISY: f"Too noisy: speech is {report.snr_db:.0f} dB over the noise; "
            f"{MIN_SNR_DB:g} dB are needed. Come closer, or turn the noise down.",
            Problem.MORE_THAN_ONE_VOICE: "More than one voice: parts of it are as unlike as "
            f"two people (cosine {report.self_agreement or 0.0:.2f}; "
            f"{MIN_SELF_AGREEMENT:g} at least).",
            Problem.DOES_NOT_MATCH: "Doesn't match the other takes (cosine "
            f"{report.agreement or 0.0:.2f}; {MIN_AGREEMENT:g} at least): another person, or a "
            "very different place?",
        }[problem]
        for problem in report.problems
    )


@dataclass(frozen=True, slots=True)
class _Take:
    report: TakeReport
    label: str
    recorded_at: datetime


class Enrollment:
    """Collects one person's takes.

    Args:
        encoder: Makes the embeddings.
        make_vad: Makes a fresh detector per take.
        gate: Timing of the speech gate.
    """

    def __init__(
        self,
        encoder: Encoder,
        make_vad: Callable[[], VoiceActivityDetector],
        gate: GateConfig | None = None,
    ) -> None:
        self._encoder = encoder
        self._make_vad = make_vad
        self._gate = gate
        self._takes: list[_Take] = []

    def add(self, samples: Samples, *, recorded_at: datetime, label: str = "") -> TakeReport:
        """Takes another recording in. Blocking.

        Args:
            samples: ``(num_samples,)`` mono 16 kHz.
            recorded_at: UTC.
            label: Where and with what, in the speaker's words.

        Returns:
            What was made of it; later takes may change what it says about matching.
        """
        report = assess_take(samples, self._encoder, self._make_vad(), self._gate)
        self._takes.append(_Take(report, label, recorded_at))
        return self.reports[-1]

    @property
    def reports(self) -> tuple[TakeReport, ...]:
        """One per take, in order, each compared with all the others."""
        return compare_takes([take.report for take in self._takes])

    @property
    def usable_speech_s(self) -> float:
        """Net speech of the usable takes."""
        return sum(report.net_speech_s for report in self.reports if report.is_usable)

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
            encoder_id=self._encoder.info.encoder_id,
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
        encoder_id = self._encoder.info.encoder_id
        if voiceprint.encoder_id != encoder_id:
            raise VoiceprintError(
                f"the voiceprint of {voiceprint.speaker!r} was made by encoder "
                f"{voiceprint.encoder_id}; the one in use is {encoder_id}",
                hint=f"enroll anew: `voiceguard enroll {voiceprint.speaker} --force`",
            )
        templates = self._templates(min_total_s=MIN_TAKE_SPEECH_S)
        known = renormalised_mean(np.stack([t.embedding for t in voiceprint.templates]))
        new = renormalised_mean(np.stack([t.embedding for t in templates]))
        cosine = float(known @ new)
        if cosine < MIN_AGREEMENT_ADDED:
            raise EnrollmentError(
                f"these takes don't sound like {voiceprint.speaker!r} (cosine {cosine:.2f}; "
                f"{MIN_AGREEMENT_ADDED:g} at least)",
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


def enroll_recordings(
    recordings: Sequence[Samples],
    encoder: Encoder,
    make_vad: Callable[[], VoiceActivityDetector],
    gate: GateConfig | None = None,
    *,
    speaker: str,
    display_name: str = "",
    consent_at: datetime,
    now: datetime,
) -> Voiceprint:
    """A voiceprint from recordings, in one call; unusable ones are left out.

    Raises:
        EnrollmentError: Too little usable speech; the message has every take's problem.
    """
    enrollment = Enrollment(encoder, make_vad, gate)
    for samples in recordings:
        enrollment.add(samples, recorded_at=now)
    return enrollment.voiceprint(speaker, display_name=display_name, consent_at=consent_at, now=now)


def _pieces(segments: Sequence[Samples], min_s: float) -> list[Samples]:
    """Segments cut evenly into pieces of about PIECE_S; what is shorter than ``min_s`` is left."""
    pieces = []
    for segment in segments:
        num_pieces = max(1, round(len(segment) / (PIECE_S * SAMPLE_RATE_HZ)))
        pieces += np.array_split(segment, num_pieces)
    return [piece for piece in pieces if len(piece) >= min_s * SAMPLE_RATE_HZ]


def _weighted_mean(pieces: Sequence[Samples], embeddings: Sequence[Embedding]) -> Embedding:
    """Longer pieces count more: their embeddings are less noisy."""
    weights = np.array([len(piece) for piece in pieces], dtype=np.float32)
    mean = weights @ np.stack(embeddings)
    unit: Embedding = (mean / np.linalg.norm(mean)).astype(np.float32)
    return unit
