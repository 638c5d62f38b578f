"""Marks of nobody, for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from voiceguard.scoring.adaptation import Mark
from voiceguard.types import Outcome

FIRST_DAY = datetime(2026, 11, 5, 12, tzinfo=UTC)
CALIBRATION_ID = "c" * 16
ENCODER_ID = "0123456789abcdef"


def make_mark(
    llr: float = 2.0,
    *,
    is_theirs: bool = True,
    day: int = 0,
    decision_id: str = "1",
    voiceprint_id: str = "v" * 16,
) -> Mark:
    """Said of a decision that accepted nobody."""
    moment = FIRST_DAY + timedelta(days=day)
    return Mark(
        decision_id=decision_id,
        is_theirs=is_theirs,
        llr=llr,
        accept_llr=3.0,
        outcome=Outcome.INCONCLUSIVE,
        stream="kitchen",
        decided_at=moment,
        marked_at=moment,
        net_speech_s=3.0,
        snr_db=None,
        encoder_id=ENCODER_ID,
        calibration_id=CALIBRATION_ID,
        voiceprint_id=voiceprint_id,
    )
