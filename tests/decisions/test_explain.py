"""Every reason has an explanation, with the figures that a person can act on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import make_decision
from voiceguard.decisions.explain import explain
from voiceguard.decisions.wire import decision_payload
from voiceguard.types import Reason


def payload(reason: str, outcome: str = "inconclusive", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "decision_id": "d1",
        "outcome": outcome,
        "reason": reason,
        "speaker": None,
        "scores": [
            {"speaker": "anna", "cosine": 0.4, "normalised": 2.0, "llr": 2.13},
            {"speaker": "bob", "cosine": 0.3, "normalised": 1.5, "llr": 1.6},
        ],
        "accept_llr": 4.61,
        "p_fa": 0.01,
        "net_speech_s": 3.0,
        "snr_db": 20.0,
        "revokes": None,
        **changes,
    }


def test_too_little_speech_for_certainty_says_how_much_would_do() -> None:
    text = explain(payload("between_thresholds", net_speech_s=1.1))
    assert text == (
        "Too little to be sure: LLR +2.1 for anna; more than +4.6 needed at p_fa 1 %, about "
        "6.5 false accepts per voiceprint and hour of other people's speech. "
        "It had only 1.1 s of speech: speak for 2 s or longer."
    )


def test_noise_is_blamed_where_there_was_speech_enough() -> None:
    assert "noisy (4 dB)" in explain(payload("between_thresholds", snr_db=4.2))


def test_with_good_audio_another_take_is_advised() -> None:
    text = explain(payload("below_threshold", "rejected", speaker="anna"))
    assert text.startswith("Does not sound like anna: LLR +2.1")
    assert "voiceguard enroll anna --add" in text


def test_an_accept_needs_no_advice() -> None:
    text = explain(payload("above_threshold", "accepted", speaker="anna", net_speech_s=1.0))
    assert text == (
        "Sounds like anna: LLR +2.1 for anna; more than +4.6 needed at p_fa 1 %, about 6.5 false "
        "accepts per voiceprint and hour of other people's speech."
    )


def test_both_candidates_are_named_when_the_margin_failed() -> None:
    text = explain(payload("runner_up_too_close"))
    assert "anna (LLR +2.1)" in text
    assert "bob (LLR +1.6)" in text


def test_a_revoked_accept_is_mentioned() -> None:
    assert "takes back the earlier accept d0" in explain(payload("too_short", revokes="d0"))


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize(
    "changes",
    [{}, {"scores": [], "accept_llr": None}, {"snr_db": None}, {"net_speech_s": 0.2}],
    ids=["full", "no scores", "no snr", "short"],
)
def test_every_reason_is_put_into_words(reason: Reason, changes: dict[str, Any]) -> None:
    text = explain(payload(reason.value, **changes))
    assert text.endswith(".")
    assert "None" not in text
    if changes.get("scores") != []:
        assert reason.value not in text


def test_a_reason_of_a_later_version_is_shown_as_it_is() -> None:
    assert explain(payload("moon_phase")) == "Reason: moon_phase."


def test_whom_a_rule_refuses_is_told_which_one_and_that_the_voice_was_right() -> None:
    text = explain(payload("not_allowed", "rejected", rule="children", accept_llr=1.0))
    assert text == (
        "Sounds like anna, who is not accepted here at this time: the rule children says so. "
        "LLR +2.1 for anna; more than +1.0 needed at p_fa 1 %, about 6.5 false accepts per "
        "voiceprint and hour of other people's speech."
    )


def test_the_rule_that_an_accept_went_by_is_named() -> None:
    text = explain(payload("above_threshold", "accepted", speaker="anna", rule="door"))
    assert text.endswith("It goes by the rule door.")


@pytest.mark.parametrize(("shift", "said"), [(-0.5, "lowered"), (1.5, "raised")])
def test_a_threshold_that_marks_have_moved_is_said_to_be(shift: float, said: str) -> None:
    payload = {**decision_payload(make_decision()), "shift_llr": shift, "accept_llr": 4.0}
    text = explain(payload)
    assert f"Marks of right and wrong have {said} that threshold by {abs(shift)}" in text
    assert f"from {4.0 - shift:+.1f}: `voiceguard voiceprints adapt anna`" in text
