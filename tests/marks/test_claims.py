"""What a mark says of whom."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import make_decision
from tests.scoring.marked import CALIBRATION_ID
from voiceguard.decisions.wire import decision_payload
from voiceguard.errors import UsageError
from voiceguard.marks.claims import claims


def payload(*llrs: float | None, accepted: str | None = None, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Of a decision about anna, ben, ... with these LLRs, best first."""
    names = ("anna", "ben", "cleo")
    scores = [
        {"speaker": name, "name": name, "cosine": 0.5, "normalised": llr, "llr": llr}
        for name, llr in zip(names, llrs, strict=False)
    ]
    return {
        **decision_payload(make_decision()),
        "calibration_id": CALIBRATION_ID,
        "scores": scores,
        "speaker": accepted,
        "outcome": "unknown" if accepted is None else "accepted",
        "reason": "below_threshold" if accepted is None else "above_threshold",
        **changes,
    }


@pytest.mark.parametrize(
    ("said", "verdict", "expected"),
    [
        (payload(5.0, accepted="anna"), "right", {"anna": True}),
        (payload(5.0, accepted="anna"), "wrong", {"anna": False}),
        (payload(5.0, outcome="rejected", reason="not_allowed"), "right", {"anna": True}),
        (payload(1.0), "right", {"anna": False}),
        (payload(1.0), "wrong", {"anna": True}),
        (payload(1.0, 0.5), "anna", {"anna": True}),
        (payload(1.0, 0.5), "ben", {"ben": True, "anna": False}),
        (payload(5.0, 0.5, accepted="anna"), "ben", {"ben": True, "anna": False}),
        (payload(5.0, 0.5, accepted="anna"), "anna", {"anna": True}),
    ],
)
def test_what_is_said_of_whom(
    said: dict[str, Any], verdict: str, expected: dict[str, bool]
) -> None:
    assert claims(said, verdict) == expected


@pytest.mark.parametrize(
    ("said", "verdict", "why"),
    [
        (payload(1.0, 0.5), "wrong", "say who it was"),
        (payload(1.0, 0.5), "dora", "was not enrolled"),
        (payload(1.0, is_final=False), "right", "before the speech had ended"),
        (payload(1.0, reason="too_short"), "anna", "too_short"),
        (payload(None), "anna", "nothing can be learnt"),
        (payload(), "right", "nothing can be learnt"),
        (payload(1.0, calibration_id=None), "anna", "which calibration"),
    ],
)
def test_what_says_nothing_is_refused(said: dict[str, Any], verdict: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        claims(said, verdict)
