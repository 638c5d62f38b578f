"""What hop 5 gives to hop 6: what was decided, as one value in three layers.

Pure. A ``Judgement`` is the verdict of hop 5 with the scores and the evidence that it rests on; a
``Decision`` is a judgement with its place in a stream and its times, as hop 6 publishes it. Each
figure is stored once, and read by its own name from either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from voiceguard.scoring.posterior import posterior

if TYPE_CHECKING:
    from datetime import datetime

    from voiceguard.scoring.policy import Evidence, Verdict
    from voiceguard.types import Outcome, Reason, SpeakerScore


class _Figures:
    """The figures of a judgement under the names that they have on the wire."""

    __slots__ = ()

    def _judged(self) -> Judgement:
        raise NotImplementedError

    @property
    def outcome(self) -> Outcome:
        return self._judged().verdict.outcome

    @property
    def reason(self) -> Reason:
        return self._judged().verdict.reason

    @property
    def speaker(self) -> str | None:
        """The accepted speaker, or the claimed one in verification; else None."""
        return self._judged().verdict.speaker

    @property
    def speaker_name(self) -> str | None:
        """The same speaker as people read it."""
        who = self.speaker
        return next((each.name for each in self._judged().scores if each.speaker == who), who)

    @property
    def posterior(self) -> float | None:
        """The probability that it was the speaker, or the nearest one; None uncalibrated."""
        judged = self._judged()
        nearest = next((each.speaker for each in judged.scores), None)
        who = self.speaker or nearest
        return None if who is None else posterior(judged.scores, who, self.p_target)

    @property
    def p_target(self) -> float:
        """The prior of ``posterior``: that one of those enrolled is talking."""
        return self._judged().verdict.p_target

    @property
    def accept_llr(self) -> float | None:
        """The LLR that an accept asked for; None without a calibration."""
        return self._judged().verdict.accept_llr

    @property
    def shift_llr(self) -> float | None:
        """How far marks of the speaker have moved ``accept_llr``; None where there is none."""
        return None if self.accept_llr is None else self._judged().verdict.shift_llr

    @property
    def p_fa(self) -> float:
        """The operating point behind it: false accepts per final decision, all voiceprints."""
        return self._judged().verdict.p_fa

    @property
    def rule(self) -> str | None:
        """People's rule that the nearest speaker went by; None: none is about them."""
        return self._judged().verdict.rule

    @property
    def is_final(self) -> bool:
        return self._judged().evidence.is_final

    @property
    def net_speech_s(self) -> float:
        return self._judged().evidence.net_speech_s

    @property
    def snr_db(self) -> float:
        return self._judged().evidence.snr_db


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement(_Figures):
    """A verdict with everything that it rests on."""

    verdict: Verdict
    scores: tuple[SpeakerScore, ...]
    """One trial per voiceprint, best first."""
    evidence: Evidence
    encoder_id: str
    raised_by: str | None = None
    """Why the bar was higher than configured: ``television``; None: it was not."""
    allows: tuple[str, ...] = ()
    """Which of ``people.actions`` it is an accept for; of final ones."""
    calibration_id: str | None = None
    """Hash of the calibration that made the LLRs."""

    def _judged(self) -> Judgement:
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(_Figures):
    """What voiceguard says about one segment of speech: provisional ones, then one final."""

    decision_id: str
    stream: str
    segment: int
    judgement: Judgement
    start_s: float
    """Where the speech began, seconds since the stream was opened."""
    end_s: float
    started_at: datetime
    """UTC, as every time here."""
    ended_at: datetime
    delivered_at: datetime
    """When the last sample that this decision waited for reached the process."""
    decided_at: datetime
    expires_at: datetime
    """After this a consumer must not act on the decision."""
    revokes: str | None = None
    """The decision_id of an earlier accept in this segment that this final one takes back."""
    turn_id: str | None = None
    """The turn with an assistant that it is a part of."""

    @property
    def scores(self) -> tuple[SpeakerScore, ...]:
        """One trial per voiceprint, best first."""
        return self.judgement.scores

    @property
    def encoder_id(self) -> str:
        return self.judgement.encoder_id

    @property
    def calibration_id(self) -> str | None:
        """Of the calibration that made the LLRs."""
        return self.judgement.calibration_id

    @property
    def raised_by(self) -> str | None:
        """Why the bar was higher than configured; None: it was not."""
        return self.judgement.raised_by

    @property
    def allows(self) -> tuple[str, ...]:
        """Which of ``people.actions`` it is an accept for; of final ones."""
        return self.judgement.allows

    def _judged(self) -> Judgement:
        return self.judgement


class DecisionSink(Protocol):
    """Hop 6. Takes a decision without waiting; what it cannot keep it drops and counts."""

    def publish(self, decision: Decision) -> None: ...
