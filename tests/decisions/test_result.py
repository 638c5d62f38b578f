"""A decision's figures lie in three layers, and are read by their own names."""

from __future__ import annotations

import pytest

import voiceguard
from tests.fakes import altered, make_decision
from voiceguard.types import Outcome, Reason

OF_A_JUDGEMENT = {
    "outcome": Outcome.REJECTED,
    "reason": Reason.BELOW_THRESHOLD,
    "speaker": "bert",
    "accept_llr": 3.25,
    "p_fa": 0.02,
    "is_final": False,
    "net_speech_s": 1.25,
    "snr_db": 12.5,
    "scores": (),
    "encoder_id": "fedcba9876543210",
}


@pytest.mark.parametrize("name", OF_A_JUDGEMENT)
def test_a_judgements_figures_are_read_from_it_and_from_its_decision(name: str) -> None:
    decision = altered(make_decision(), **OF_A_JUDGEMENT)
    assert getattr(decision, name) == OF_A_JUDGEMENT[name]
    assert getattr(decision.judgement, name) == OF_A_JUDGEMENT[name]
    assert getattr(make_decision(), name) != OF_A_JUDGEMENT[name]


def test_a_users_decision_has_every_figure_that_it_ever_had() -> None:
    """``voiceguard.Decision`` as the first version had it, flat."""
    assert isinstance(make_decision(), voiceguard.Decision)
    names = (
        *("decision_id", "stream", "segment", "is_final", "outcome", "reason", "speaker", "scores"),
        *("accept_llr", "p_fa", "net_speech_s", "snr_db", "start_s", "end_s", "started_at"),
        *("ended_at", "delivered_at", "decided_at", "expires_at", "encoder_id", "revokes"),
    )
    decision = make_decision()
    assert all(hasattr(decision, name) for name in names)
    assert decision.scores[0].llr == 7.0
