"""Decisions for the tests of hop 6."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from voiceguard.decisions.result import Decision, Judgement
from voiceguard.scoring.policy import Evidence, Verdict
from voiceguard.types import Outcome, Reason, SpeakerScore

NOON = datetime(2026, 11, 5, 12, 0, 0, tzinfo=UTC)


def make_decision(
    decision_id: str = "d1",
    *,
    outcome: Outcome = Outcome.ACCEPTED,
    speaker: str | None = "alice",
    at: datetime = NOON,
    expires_in_s: float = 5.0,
    stream: str = "kitchen",
    segment: int = 0,
    is_final: bool = True,
    revokes: str | None = None,
) -> Decision:
    """A decision made at ``at``; who is not accepted has no name."""
    is_accept = outcome is Outcome.ACCEPTED
    return Decision(
        decision_id=decision_id,
        stream=stream,
        segment=segment,
        judgement=Judgement(
            verdict=Verdict(
                outcome=outcome,
                reason=Reason.ABOVE_THRESHOLD if is_accept else Reason.BELOW_THRESHOLD,
                speaker=speaker if is_accept else None,
                p_fa=1e-3,
                accept_llr=6.90776,
            ),
            scores=(
                SpeakerScore(speaker="alice", cosine=0.71234567, normalised=4.12345, llr=9.87654),
                SpeakerScore(speaker="bob", cosine=0.1, normalised=-0.5, llr=-3.0),
            ),
            evidence=Evidence(net_speech_s=1.98765, snr_db=17.26, is_final=is_final),
            encoder_id="0123456789abcdef",
        ),
        start_s=3.0,
        end_s=5.25,
        started_at=at - timedelta(seconds=2.25),
        ended_at=at - timedelta(seconds=0.1),
        delivered_at=at - timedelta(seconds=0.05),
        decided_at=at,
        expires_at=at + timedelta(seconds=expires_in_s),
        revokes=revokes,
    )


def fresh_decision(
    decision_id: str = "d1",
    *,
    outcome: Outcome = Outcome.ACCEPTED,
    speaker: str | None = "alice",
    expires_in_s: float = 5.0,
    is_final: bool = True,
    segment: int = 0,
) -> Decision:
    """A decision made just now, for a real broker."""
    return make_decision(
        decision_id,
        outcome=outcome,
        speaker=speaker,
        at=datetime.now(UTC),
        expires_in_s=expires_in_s,
        is_final=is_final,
        segment=segment,
    )
