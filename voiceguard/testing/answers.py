"""Decisions and judgements made up, for what acts on them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from voiceguard.decisions.result import Decision, Judgement
from voiceguard.scoring.policy import Evidence, Verdict
from voiceguard.testing.encoder import ENCODER_ID
from voiceguard.types import Outcome, Reason, SpeakerScore

DECISION_ID = "11111111-2222-4333-8444-555555555555"
EXPIRY_S = 5.0

_REASONS = {
    Outcome.ACCEPTED: Reason.ABOVE_THRESHOLD,
    Outcome.REJECTED: Reason.BELOW_THRESHOLD,
    Outcome.UNKNOWN: Reason.BELOW_THRESHOLD,
    Outcome.INCONCLUSIVE: Reason.BETWEEN_THRESHOLDS,
}


def make_judgement(
    *,
    outcome: Outcome = Outcome.ACCEPTED,
    reason: Reason | None = None,
    speaker: str | None = "anna",
    best: str = "anna",
    llr: float = 7.0,
    accept_llr: float = 4.6,
    net_speech_s: float = 2.4,
    is_final: bool = True,
) -> Judgement:
    """One judgement about one utterance.

    Args:
        outcome: What it says.
        reason: Why; None: the usual reason for that outcome.
        speaker: Whom it accepts, or the claimed one.
        best: Whose voiceprint scored best.
        llr: What that one scored, natural logarithm.
        accept_llr: What an accept asked for.
        net_speech_s: How much speech there was.
        is_final: Whether it is the segment's last word.
    """
    return Judgement(
        verdict=Verdict(
            outcome=outcome,
            reason=_REASONS[outcome] if reason is None else reason,
            speaker=speaker,
            p_fa=0.01,
            accept_llr=accept_llr,
        ),
        scores=(SpeakerScore(speaker=best, cosine=0.7, normalised=6.0, llr=llr),),
        evidence=Evidence(net_speech_s=net_speech_s, snr_db=21.0, is_final=is_final),
        encoder_id=ENCODER_ID,
    )


def make_decision(
    judgement: Judgement | None = None,
    *,
    stream: str = "kitchen",
    delivered_at: datetime | None = None,
) -> Decision:
    """One decision of a stream.

    Args:
        judgement: What it says; None: that it was Anna.
        stream: Where.
        delivered_at: When its last sample arrived, UTC; None: now. It expires 5 s later.
    """
    moment = datetime.now(UTC) if delivered_at is None else delivered_at
    return Decision(
        decision_id=DECISION_ID,
        stream=stream,
        segment=3,
        judgement=make_judgement() if judgement is None else judgement,
        start_s=10.0,
        end_s=12.5,
        started_at=moment - timedelta(seconds=3),
        ended_at=moment - timedelta(seconds=0.5),
        delivered_at=moment,
        decided_at=moment + timedelta(seconds=0.02),
        expires_at=moment + timedelta(seconds=EXPIRY_S),
    )
