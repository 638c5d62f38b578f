"""Who is present, and for how long."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mqtt.decisions import make_decision
from voiceguard.mqtt.presence import Presence
from voiceguard.types import Outcome

HOLD_S = 30.0
NOW_S = 1000.0


def presence_of(*decisions: dict[str, Any]) -> Presence:
    """A presence that has seen these decisions, one second apart."""
    presence = Presence(HOLD_S)
    for index, changes in enumerate(decisions):
        presence.apply(make_decision(f"d{index}", **changes), NOW_S + index)
    return presence


def test_an_accept_makes_present() -> None:
    """Provisional ones too: that is what they are for."""
    assert presence_of({"is_final": False}).present == {"alice"}
    assert presence_of({}).payload()["speaker"] == "alice"


@pytest.mark.parametrize(
    "final",
    [
        {"outcome": Outcome.UNKNOWN, "segment": 1},
        {"outcome": Outcome.REJECTED, "segment": 1},
        {"outcome": Outcome.INCONCLUSIVE, "segment": 0},
        {"outcome": Outcome.INCONCLUSIVE, "segment": 1, "revokes": "d0"},
    ],
)
def test_a_final_decision_that_says_otherwise_ends_it(final: dict[str, Any]) -> None:
    """No identity stands after a rejection, nor after its own accept was taken back."""
    presence = presence_of({"is_final": False}, final)
    assert presence.present == set()
    assert presence.payload()["speaker"] is None
    assert presence.payload()["outcome"] == final["outcome"].value
    assert presence.payload()["last_accepted"] == "alice"


def test_a_cough_ends_nothing() -> None:
    """An inconclusive segment after an accepted one leaves the speaker there."""
    presence = presence_of({}, {"outcome": Outcome.INCONCLUSIVE, "segment": 1})
    assert presence.present == {"alice"}
    assert presence.payload()["speaker"] is None  # the latest decision named nobody


def test_another_speaker_takes_over_the_stream() -> None:
    """Two people in two rooms are both present; in one room the later one is."""
    assert presence_of({}, {"speaker": "bob"}).present == {"bob"}
    assert presence_of({}, {"speaker": "bob", "stream": "hall"}).present == {"alice", "bob"}


def test_a_rejection_elsewhere_ends_nothing_here() -> None:
    """Streams are rooms: a stranger in the hall does not remove Alice from the kitchen."""
    presence = presence_of({}, {"outcome": Outcome.UNKNOWN, "stream": "hall"})
    assert presence.present == {"alice"}


def test_the_hold_ends_by_time_alone() -> None:
    """And ``next_expiry`` says when to look."""
    presence = presence_of({})
    assert presence.next_expiry_s() == NOW_S + HOLD_S
    presence.expire(NOW_S + HOLD_S - 1e-6)
    assert presence.present == {"alice"}
    presence.expire(NOW_S + HOLD_S)
    assert presence.present == set()
    assert presence.next_expiry_s() is None
    assert presence.payload()["outcome"] is None


def test_a_forgotten_speaker_leaves_no_trace() -> None:
    """Not as the last accepted one either."""
    presence = presence_of({}, {"speaker": "bob", "stream": "hall"})
    presence.forget("bob")
    assert presence.present == {"alice"}
    assert "bob" not in presence.payload().values()


events = st.fixed_dictionaries(
    {
        "outcome": st.sampled_from(Outcome),
        "speaker": st.sampled_from(["alice", "bob"]),
        "stream": st.sampled_from(["kitchen", "hall"]),
        "segment": st.integers(0, 2),
        "is_final": st.booleans(),
    }
)


@given(st.lists(events, max_size=12))
def test_nobody_is_present_without_a_standing_accept(history: list[dict[str, Any]]) -> None:
    """Whoever is present was accepted within the hold, and nothing on that stream denied it."""
    presence = presence_of(*history)
    for speaker in presence.present:
        assert any(
            event["outcome"] is Outcome.ACCEPTED
            and event["speaker"] == speaker
            and not any(
                later["stream"] == event["stream"]
                and later["is_final"]
                and later["outcome"] in {Outcome.UNKNOWN, Outcome.REJECTED}
                for later in history[index + 1 :]
            )
            for index, event in enumerate(history)
        )
    presence.expire(NOW_S + len(history) + HOLD_S)
    assert presence.present == set()
