"""One speaker out of what is retained, and nothing else."""

from __future__ import annotations

import json

from tests.mqtt.home.test_discovery import CONFIG, KITCHEN
from voiceguard.mqtt.home.scrubbing import discovery_without, shown_name, state_without


def test_components_go_and_then_their_removal() -> None:
    first, second = discovery_without(CONFIG, "alice", shown_name(CONFIG, "alice"))
    assert first["cmps"]["occupancy_alice"] == {"p": "binary_sensor"}
    assert "alice" not in json.dumps(second).casefold()
    assert second["cmps"]["occupancy_bo-b"] == CONFIG["cmps"]["occupancy_bo-b"]


def test_a_room_forgets_the_name() -> None:
    (only,) = discovery_without(KITCHEN, "alice", "Alice")
    assert only["cmps"]["last_speaker"]["ops"][0] == "bo-b"
    assert discovery_without(KITCHEN, "zoe", "Zoë") == ()
    assert discovery_without({}, "alice", None) == ()


def test_states_name_nobody_any_more() -> None:
    status = {
        "speakers": ["alice", "bob"],
        "voiceprints": {"alice": {"name": "Alice"}, "bob": {"name": "Bob"}},
        "refused": {"alice": "why"},
        "display_names": {"alice": "Alice"},
        "state": "unavailable",
    }
    assert state_without(status, "alice") == {
        "speakers": ["bob"],
        "voiceprints": {"bob": {"name": "Bob"}},
        "refused": {},
        "display_names": {},
        "state": "unavailable",
    }
    spoken = {"speaker": "alice", "speaker_name": "Alice", "outcome": "accepted", "llr": 3.0}
    spoken |= {"last_accepted": "alice", "last_accepted_at": "then", "stream": "kitchen"}
    kept = state_without(spoken, "alice")
    assert kept.pop("stream") == "kitchen"
    assert set(kept.values()) == {None}
    assert state_without(spoken, "bob") == spoken
