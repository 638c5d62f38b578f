"""Home Assistant device discovery, against the rules that Home Assistant enforces."""

from __future__ import annotations

import json
from typing import Any

import jinja2
import pytest

from tests.mqtt.decisions import make_decision
from voiceguard.decisions.wire import decision_payload
from voiceguard.mqtt.discovery import announced_speakers, device_config
from voiceguard.mqtt.topics import Command, Topics
from voiceguard.types import Outcome

TOPICS = Topics("voiceguard", "den", "homeassistant")
CONFIG = device_config(TOPICS, {"alice": "Alice", "bo-b": ""}, occupancy_hold_s=30.0)

TOP_LEVEL = {"dev", "o", "cmps", "avty_t", "pl_avail", "pl_not_avail", "qos"}
COMMON = {"p", "uniq_id", "def_ent_id", "name", "stat_t", "val_tpl", "ent_cat"}
OWN = {
    "binary_sensor": {"dev_cla", "pl_on", "pl_off", "off_dly"},
    "sensor": {"dev_cla", "ops", "stat_cla", "json_attr_t", "unit_of_meas"},
    "event": {"event_types"},
    "switch": {"cmd_t", "pl_on", "pl_off", "stat_on", "stat_off"},
}


def render(component: str, payload: dict[str, Any]) -> str:
    """What Home Assistant makes of a payload (its ``to_json`` is a filter)."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.filters["to_json"] = json.dumps
    template = environment.from_string(CONFIG["cmps"][component]["val_tpl"])
    return template.render(value_json=payload)


def test_nothing_that_home_assistant_would_refuse() -> None:
    """One unknown key, or a component without ``p`` or ``uniq_id``, loses the whole device."""
    assert CONFIG.keys() == TOP_LEVEL
    assert CONFIG["dev"]["ids"]
    assert CONFIG["o"]["name"]
    components = CONFIG["cmps"]
    for component in components.values():
        assert component.keys() <= COMMON | OWN[component["p"]]
        assert component["stat_t"]
        assert component["def_ent_id"].startswith(component["p"] + ".")
        assert component["def_ent_id"].partition(".")[2].isidentifier()
    unique = [component["uniq_id"] for component in components.values()]
    assert len(set(unique)) == len(unique)
    json.dumps(CONFIG, allow_nan=False)


def test_the_good_set() -> None:
    """Occupancy per speaker, last speaker, decision, armed, what was lost as diagnostics."""
    components = CONFIG["cmps"]
    assert components.keys() == {
        "occupancy_alice",
        "occupancy_bo-b",
        "last_speaker",
        "decision",
        "armed",
        "samples_lost",
        "samples_missed",
        "num_overflows",
        "outage_s",
    }
    assert components["occupancy_alice"]["name"] == "Alice"
    assert components["occupancy_bo-b"]["name"] == "bo-b"
    assert components["occupancy_alice"]["off_dly"] == 30
    assert components["decision"]["event_types"] == [outcome.value for outcome in Outcome]
    assert components["armed"]["pl_on"] == Command.ARM
    for key in ("samples_lost", "samples_missed", "num_overflows", "outage_s"):
        assert components[key]["ent_cat"] == "diagnostic"


def test_a_removed_speaker_is_sent_as_its_platform_alone() -> None:
    """Home Assistant's way to remove a component."""
    config = device_config(TOPICS, {"alice": "Alice"}, occupancy_hold_s=30.0, removed={"bob"})
    assert config["cmps"]["occupancy_bob"] == {"p": "binary_sensor"}


def test_an_earlier_message_tells_its_speakers() -> None:
    """And one that is not ours, or no JSON, tells none."""
    assert announced_speakers(json.dumps(CONFIG).encode()) == {"alice", "bo-b"}
    for payload in (b"", b"\xff", b"[]", b"3", b'{"cmps": 3}', b'{"cmps": {"occupancy_A/#": {}}}'):
        assert announced_speakers(payload) == set()


def test_the_decision_event_carries_what_an_automation_needs() -> None:
    """Rendered as Home Assistant does; ``event_type`` is one of the declared."""
    event = json.loads(render("decision", decision_payload(make_decision())))
    assert event["event_type"] == "accepted"
    assert event["speaker"] == "alice"
    assert event["llr"] == 9.877
    assert event["expires_at"] == "2026-11-05T12:00:05.000Z"
    scoreless = decision_payload(make_decision(outcome=Outcome.INCONCLUSIVE)) | {"scores": []}
    assert json.loads(render("decision", scoreless))["llr"] is None


@pytest.mark.parametrize(
    ("speaker", "outcome", "shown"),
    [
        ("alice", "accepted", "alice"),
        (None, "unknown", "Unknown speaker"),
        (None, "rejected", "Unknown speaker"),
        (None, "inconclusive", "Inconclusive"),
        (None, None, "Nobody"),
    ],
)
def test_the_last_speaker_is_one_of_its_options(
    speaker: str | None, outcome: str | None, shown: str
) -> None:
    """An enum sensor refuses every other value."""
    assert render("last_speaker", {"speaker": speaker, "outcome": outcome}) == shown
    assert shown in CONFIG["cmps"]["last_speaker"]["ops"]


def test_the_switch_and_the_counter_read_the_status() -> None:
    """Also before the daemon has said anything but ``starting``."""
    streams = {
        "a": {"samples_lost": 3, "num_overflows": 2, "outage_s": 0.1},
        "b": {"samples_lost": 4, "num_overflows": 5, "outage_s": 0.2},
    }
    assert render("armed", {"armed": False}) == "disarmed"
    assert render("armed", {"armed": True}) == "armed"
    assert render("armed", {"state": "starting"}) == "armed"
    assert render("samples_lost", {"streams": streams}) == "7"
    assert render("samples_lost", {"state": "starting"}) == "0"
    assert render("num_overflows", {"streams": streams}) == "7"
    assert render("outage_s", {"streams": streams}) == "0.3"
    assert render("samples_missed", {"streams": streams}) == "0", "of an earlier release's status"
