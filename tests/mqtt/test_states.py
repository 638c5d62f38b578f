"""The retained topics."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.mqtt.decisions import make_decision
from voiceguard.mqtt.retained import RetainedTopics
from voiceguard.mqtt.states import States
from voiceguard.mqtt.topics import Topics

TOPICS = Topics("voiceguard", "den", "homeassistant")
NOW_S = 1000.0
ALICE = "voiceguard/den/occupancy/alice"


def take_all(retained: RetainedTopics) -> list[tuple[str, str]]:
    """What the broker is sent, in order."""
    sent = []
    while (state := retained.next()) is not None:
        sent.append(state)
        retained.sent(*state)
    return sent


def make_states(*, is_available: bool = True, state: str = "listening") -> States:
    """Alice and Bob enrolled, all told."""
    states = States(TOPICS, occupancy_hold_s=30.0)
    states.set_speakers({"alice": "Alice", "bob": "Bob"})
    states.set_available(is_available=is_available, reason="")
    states.set_status({"state": state})
    states.refresh(NOW_S)
    take_all(states.retained)
    return states


def test_only_the_latest_value_is_kept() -> None:
    """However long the broker is away."""
    retained = RetainedTopics()
    for index in range(1000):
        retained.set("a", str(index))
        retained.set("b", "same")
    assert take_all(retained) == [("a", "999"), ("b", "same")]
    assert len(retained) == 2


def test_a_value_that_changes_while_it_is_sent_is_sent_again() -> None:
    """The acknowledgement is for the old one."""
    retained = RetainedTopics()
    retained.set("a", "old")
    state = retained.next()
    assert state is not None
    retained.set("a", "new")
    retained.sent(*state)
    assert take_all(retained) == [("a", "new")]


def test_a_removed_topic_is_emptied_once_and_forgotten() -> None:
    """So that speakers who come and go leave nothing that grows."""
    retained = RetainedTopics()
    retained.set("a", "x")
    take_all(retained)
    retained.set("a", "")
    assert take_all(retained) == [("a", "")]
    assert len(retained) == 0


def test_the_same_accept_again_is_sent_again() -> None:
    """Home Assistant's off_delay counts from the last ON."""
    states = make_states()
    for _ in range(2):
        states.apply(make_decision(), NOW_S)
        states.refresh(NOW_S)
        assert (ALICE, "ON") in take_all(states.retained)


@pytest.mark.parametrize(
    "change",
    [
        lambda states: states.set_available(is_available=False, reason="microphone lost"),
        lambda states: states.set_status({"state": "disarmed"}),
    ],
)
def test_who_is_not_heard_is_not_present(change: Any) -> None:  # noqa: ANN401
    """Unavailable and disarmed end every occupancy, and none begins."""
    states = make_states()
    states.apply(make_decision(), NOW_S)
    states.refresh(NOW_S)
    take_all(states.retained)
    change(states)
    states.refresh(NOW_S)
    assert (ALICE, "OFF") in take_all(states.retained)
    states.apply(make_decision("d2"), NOW_S)
    states.refresh(NOW_S)
    assert ALICE not in dict(take_all(states.retained))


def test_offline_is_said_first_and_online_last() -> None:
    """Nobody may see a stale state under ``online``."""
    states = make_states()
    states.send_all_again()
    assert take_all(states.retained)[-1] == (TOPICS.availability, "online")
    states.set_available(is_available=False, reason="microphone lost")
    states.refresh(NOW_S)
    sent = take_all(states.retained)
    assert sent[0] == (TOPICS.availability, "unavailable")
    status = json.loads(dict(sent)[TOPICS.status])
    assert (status["state"], status["reason"]) == ("unavailable", "microphone lost")


def test_before_the_daemon_has_spoken_it_is_starting_and_offline() -> None:
    """Not unavailable: nothing is broken yet."""
    states = States(TOPICS, occupancy_hold_s=30.0)
    states.refresh(NOW_S)
    sent = dict(take_all(states.retained))
    assert sent[TOPICS.availability] == "unavailable"
    assert json.loads(sent[TOPICS.status])["state"] == "starting"


def test_an_unenrolled_speaker_has_no_topic() -> None:
    """An accept that races with the removal of its speaker leaves no trace."""
    states = make_states()
    states.set_speakers({"bob": "Bob"})
    states.apply(make_decision(), NOW_S)
    states.refresh(NOW_S + 1)
    sent = dict(take_all(states.retained))
    assert sent[ALICE] == ""
    states.send_all_again()
    assert "alice" not in str(take_all(states.retained))
