"""What a mark of right or wrong says of the speakers in a decision. Pure.

In: a decision as ``decisions.wire`` writes it, and ``right``, ``wrong`` or who it was. Out: of each
speaker that it concerns, whether it was they who spoke.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from voiceguard.errors import UsageError
from voiceguard.scoring.adaptation import Mark
from voiceguard.types import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

RIGHT, WRONG = "right", "wrong"
_BY_SCORE = {
    Reason.ABOVE_THRESHOLD,
    Reason.BELOW_THRESHOLD,
    Reason.BETWEEN_THRESHOLDS,
    Reason.RUNNER_UP_TOO_CLOSE,
    Reason.NOT_ALLOWED,
}


def claims(payload: Mapping[str, Any], verdict: str) -> dict[str, bool]:
    """Whether each speaker whom it concerns is said to have spoken.

    Args:
        payload: What ``wire.decision_payload`` gives.
        verdict: ``right``, ``wrong``, or a speaker.

    Raises:
        UsageError: Nothing can be learnt from that decision, or the verdict does not say who it
            was.
    """
    _check(payload)
    scored = [score["speaker"] for score in payload["scores"]]
    is_recognised = (
        payload["outcome"] == Outcome.ACCEPTED or payload["reason"] == Reason.NOT_ALLOWED
    )
    said = payload["speaker"] or scored[0]
    if verdict == RIGHT:
        return {said: is_recognised}
    if verdict == WRONG and is_recognised:
        return {said: False}
    if verdict == WRONG:
        if len(scored) > 1:
            raise UsageError(
                f"nobody was accepted there, and {len(scored)} are enrolled: say who it was",
                hint=f"--mark {payload['decision_id'][:8]} NAME, of {', '.join(sorted(scored))}",
            )
        return {said: True}
    if verdict not in scored:
        raise UsageError(
            f"{verdict!r} was not enrolled when that was decided",
            hint=f"right, wrong, or one of {', '.join(sorted(scored))}",
        )
    return {verdict: True} | ({} if said == verdict else {said: False})


def _check(payload: Mapping[str, Any]) -> None:
    """That it was decided by LLRs, once and for all, and that it is known by which."""
    if not payload["is_final"]:
        raise UsageError(
            "that was said before the speech had ended",
            hint="mark the decision that followed it: `voiceguard history` has it",
        )
    llrs = [score["llr"] for score in payload["scores"]]
    if payload["reason"] not in _BY_SCORE or not llrs or None in llrs:
        raise UsageError(
            f"it was not decided by the voice ({payload['reason']}): nothing can be learnt from it",
            hint="`voiceguard history --why ID` says what would have helped",
        )
    if not payload.get("calibration_id"):
        raise UsageError(
            "that decision does not say which calibration it rests on",
            hint="mark one that this release has made",
        )


def mark_of(
    payload: Mapping[str, Any],
    speaker: str,
    *,
    is_theirs: bool,
    voiceprint_id: str,
    now: datetime,
) -> Mark:
    """What is stored of it.

    Args:
        payload: As for ``claims``, which has taken it.
        speaker: Whom this is about.
        is_theirs: Whether they spoke.
        voiceprint_id: Of theirs.
        now: UTC.

    Raises:
        ValueError: A figure in it is none that a decision can have.
    """
    llr = next(score["llr"] for score in payload["scores"] if score["speaker"] == speaker)
    return Mark(
        decision_id=payload["decision_id"],
        is_theirs=is_theirs,
        llr=float(llr),
        accept_llr=payload["accept_llr"],
        outcome=Outcome(payload["outcome"]),
        stream=payload["stream"],
        decided_at=datetime.fromisoformat(payload["decided_at"]),
        marked_at=now,
        net_speech_s=payload["net_speech_s"],
        snr_db=payload["snr_db"],
        encoder_id=payload["encoder_id"],
        calibration_id=payload["calibration_id"],
        voiceprint_id=voiceprint_id,
    )
