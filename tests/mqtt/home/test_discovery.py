"""Home Assistant device discovery, against the rules that Home Assistant enforces."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mqtt.decisions import make_decision
from voiceguard.decisions.wire import decision_payload
from voiceguard.mqtt.home.daemon_device import CONDITIONS
from voiceguard.mqtt.home.discovery import announced_speakers, device_config, stream_configs
from voiceguard.mqtt.home.household import Household, area_of, percent, shown_names
from voiceguard.mqtt.topics import Command, Topics
from voiceguard.service.reporting.health import Condition
from voiceguard.types import Outcome

TOPICS = Topics("voiceguard", "den", "homeassistant")
HOUSEHOLD = Household(
    speakers=shown_names({"alice": "Alice", "bo-b": ""}),
    streams={"kitchen": "Kitchen", "stdin": ""},
    p_fa_choices=(0.001, 0.01),
    can_restart=True,
    configuration_url="http://den.local/",
)
CONFIG = device_config(TOPICS, HOUSEHOLD, occupancy_hold_s=30.0)
STREAMS = dict(stream_configs(TOPICS, HOUSEHOLD))
KITCHEN = STREAMS["homeassistant/device/voiceguard_den__kitchen/config"]
ALL = [CONFIG, *STREAMS.values()]
NOW = datetime(2026, 11, 5, 12, 0, 0, tzinfo=UTC)

TOP_LEVEL = {"dev", "o", "cmps", "avty_t", "avty_tpl", "pl_avail", "pl_not_avail", "qos"}
DEVICE = {"ids", "name", "mf", "mdl", "sw", "cu", "via_device", "sa"}
COMMON = {"p", "uniq_id", "def_ent_id", "name", "ic", "qos", "stat_t", "val_tpl", "ent_cat", "en"}
COMMON |= {"avty_tpl", "json_attr_t", "json_attr_tpl", "dev_cla"}
OWN = {
    "binary_sensor": {"pl_on", "pl_off", "off_dly"},
    "sensor": {"ops", "stat_cla", "unit_of_meas", "sug_dsp_prc"},
    "event": {"event_types"},
    "switch": {"cmd_t", "pl_on", "pl_off", "stat_on", "stat_off"},
    "button": {"cmd_t", "pl_prs"},
    "select": {"cmd_t", "cmd_tpl", "ops"},
}
TRIGGER = {"p", "atype", "type", "stype", "t", "pl", "val_tpl", "qos"}
"""What Home Assistant 2024.11 knows: an unknown key at the top or in ``dev`` loses the device."""


def rendered(template: str, payload: object) -> str:
    """What Home Assistant makes of a payload (its filters and functions)."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.filters["to_json"] = json.dumps
    environment.globals |= {"as_datetime": datetime.fromisoformat, "utcnow": lambda: NOW}
    return environment.from_string(template).render(value_json=payload, value=payload)


def render(component: str, payload: dict[str, Any], config: dict[str, Any] = CONFIG) -> str:
    return rendered(config["cmps"][component]["val_tpl"], payload)


@pytest.mark.parametrize("config", ALL)
def test_nothing_that_home_assistant_would_refuse(config: dict[str, Any]) -> None:
    assert config.keys() == TOP_LEVEL
    assert config["dev"].keys() <= DEVICE
    assert config["o"].keys() == {"name", "sw", "url"}
    for component in config["cmps"].values():
        if component["p"] == "device_automation":
            assert component.keys() == TRIGGER
            continue
        assert component.keys() <= COMMON | OWN[component["p"]], component
        assert component["p"] == "button" or component["stat_t"]
        assert component["ic"].startswith("mdi:")
        assert component["def_ent_id"].startswith(component["p"] + ".")
        assert component["def_ent_id"].partition(".")[2].isidentifier()
    json.dumps(config, allow_nan=False)


def test_no_two_entities_have_one_id() -> None:
    components = [each for config in ALL for each in config["cmps"].values()]
    for key in ("uniq_id", "def_ent_id"):
        found = [each[key] for each in components if key in each]
        assert len(set(found)) == len(found)


def test_what_existing_automations_use_has_its_id_and_topic_still() -> None:
    """Of the first announcement that there was."""
    components = CONFIG["cmps"]
    for key, topic in {
        "occupancy_alice": "voiceguard/den/occupancy/alice",
        "last_speaker": "voiceguard/den/speaker",
        "decision": "voiceguard/den/decision",
        "armed": "voiceguard/den/status",
        "samples_lost": "voiceguard/den/status",
        "outage_s": "voiceguard/den/status",
    }.items():
        assert (components[key]["uniq_id"], components[key]["stat_t"]) == (
            f"voiceguard_den_{key}",
            topic,
        )
    assert CONFIG["dev"]["ids"] == ["voiceguard_den"]
    assert components["occupancy_alice"]["off_dly"] == 30


def test_what_depends_on_the_last_will_alone() -> None:
    """A muted microphone must hide neither the reason nor the switch."""
    hidden = {
        key
        for key, each in CONFIG["cmps"].items()
        if rendered(each.get("avty_tpl", CONFIG["avty_tpl"]), "unavailable") == "offline"
        and "uniq_id" in each
    }
    people = {f"{kind}_{name}" for kind in ("occupancy", "event") for name in ("alice", "bo-b")}
    heard = {"last_speaker", "decision", "confidence", "llr", "net_speech_s", "snr_db"}
    assert hidden == people | heard
    for value, is_there in {"online": "online", "offline": "offline"}.items():
        assert rendered(CONFIG["avty_tpl"], value) == is_there


def test_diagnostics_of_the_curious_are_off_by_default() -> None:
    off = {key for key, each in CONFIG["cmps"].items() if each.get("en") is False}
    quality = {"voiceprint_alice", "voiceprint_bo-b"}
    assert off == {"llr", "net_speech_s", "snr_db", "encoder", *quality}
    assert all(CONFIG["cmps"][key]["ent_cat"] == "diagnostic" for key in off)


def test_rooms_are_devices_of_their_own() -> None:
    assert KITCHEN["dev"]["via_device"] == "voiceguard_den"
    assert KITCHEN["dev"]["sa"] == "Kitchen"
    assert "sa" not in STREAMS["homeassistant/device/voiceguard_den__stdin/config"]["dev"]
    assert area_of("living-room_2") == "Living room 2"
    here, there = (decision_payload(make_decision(stream=name)) for name in ("kitchen", "hall"))
    assert json.loads(render("decision", here, KITCHEN))["speaker"] == "alice"
    assert render("decision", there, KITCHEN) == ""


def test_a_removed_speaker_is_sent_as_its_platforms_alone() -> None:
    """Home Assistant's way to remove components; every kind that there is."""
    alone = Household(speakers={"alice": "Alice"})
    config = device_config(TOPICS, alone, occupancy_hold_s=30.0, removed={"bo-b"})
    gone = {key: each for key, each in config["cmps"].items() if key.endswith("_bo-b")}
    before = {key: each for key, each in CONFIG["cmps"].items() if key.endswith("_bo-b")}
    assert gone == {key: {"p": each["p"]} for key, each in before.items()}


def test_an_earlier_message_tells_its_speakers() -> None:
    """And one that is not ours, or no JSON, tells none."""
    assert announced_speakers(json.dumps(CONFIG).encode()) == {"alice", "bo-b"}
    for payload in (b"", b"\xff", b"[]", b"3", b'{"cmps": 3}', b'{"cmps": {"occupancy_A/#": {}}}'):
        assert announced_speakers(payload) == set()


def test_the_decision_event_carries_what_an_automation_needs() -> None:
    event = json.loads(render("decision", decision_payload(make_decision())))
    assert event["event_type"] == "accepted"
    assert (event["speaker"], event["speaker_name"]) == ("alice", "alice")
    assert event["llr"] == 9.877
    assert event["posterior"] > 0.99
    assert event["expires_at"] == "2026-11-05T12:00:05.000Z"
    scoreless = decision_payload(make_decision(outcome=Outcome.INCONCLUSIVE)) | {"scores": []}
    assert json.loads(render("decision", scoreless))["llr"] is None
    assert render("event_alice", scoreless) == ""


@pytest.mark.parametrize(
    ("outcome", "types"),
    [
        (Outcome.ACCEPTED, {"alice": "accepted"}),
        (Outcome.INCONCLUSIVE, {"alice": "inconclusive"}),
        (Outcome.UNKNOWN, {}),
    ],
)
def test_everybody_has_events_of_their_own(outcome: Outcome, types: dict[str, str]) -> None:
    """Accepted, or almost: nobody else's, and no stranger's."""
    payload = decision_payload(make_decision(outcome=outcome))
    for name in ("alice", "bo-b"):
        said = render(f"event_{name}", payload)
        assert (json.loads(said)["event_type"] if said else None) == types.get(name)
    assert set(types.values()) <= set(CONFIG["cmps"]["event_alice"]["event_types"])


@pytest.mark.parametrize(
    ("speaker", "name", "outcome", "shown"),
    [
        ("alice", "Alice", "accepted", "Alice"),
        (None, None, "unknown", "Unknown speaker"),
        (None, None, "rejected", "Unknown speaker"),
        (None, None, "inconclusive", "Inconclusive"),
        (None, None, None, "Nobody"),
    ],
)
def test_the_last_speaker_is_one_of_its_options(
    speaker: str | None, name: str | None, outcome: str | None, shown: str
) -> None:
    """An enum sensor refuses every other value."""
    payload = {"speaker": speaker, "speaker_name": name, "outcome": outcome}
    for config in (CONFIG, KITCHEN):
        assert render("last_speaker", payload, config) == shown
        assert shown in config["cmps"]["last_speaker"]["ops"]


def test_triggers_are_for_fresh_decisions_alone() -> None:
    """Nothing in a device trigger could be checked by the automation."""
    accept = decision_payload(make_decision(at=NOW))
    stale = decision_payload(make_decision(at=NOW - timedelta(seconds=6)))
    stranger = decision_payload(make_decision(outcome=Outcome.UNKNOWN, at=NOW))
    components = CONFIG["cmps"]
    for key, payload, fires in (
        ("recognised_alice", accept, True),
        ("recognised_bo-b", accept, False),
        ("recognised_alice", stale, False),
        ("recognised_alice", stranger, False),
        ("stranger", stranger, True),
        ("stranger", accept, False),
    ):
        assert (render(key, payload) == components[key]["pl"]) is fires, key
    assert components["recognised_alice"]["stype"] == "Alice"


def test_confidence_is_a_percentage_and_none_of_a_stranger() -> None:
    payload = {"posterior": 0.9994, "outcome": "accepted", "p_target": 0.5}
    assert render("confidence", payload) == "99.9"
    assert render("confidence", payload | {"outcome": "unknown"}) == "None"
    assert render("confidence", payload | {"posterior": None}) == "None"


def test_the_daemons_conditions_are_options_of_the_sensor() -> None:
    for condition in Condition:
        shown = render("status", {"condition": condition.value})
        assert shown in CONDITIONS
        assert render("status", {"condition": condition.value}, KITCHEN) == shown
    assert render("status", {"state": "starting"}) == "starting"
    assert render("problem", {"has_problem": True}) == "ON"
    assert render("problem", {"state": "starting"}) == "OFF"


def test_switch_select_and_counters_read_the_status() -> None:
    """Also before the daemon has said anything but ``starting``."""
    streams = {
        "kitchen": {"samples_lost": 3, "num_overflows": 2, "outage_s": 0.1},
        "b": {"samples_lost": 4, "num_overflows": 5, "outage_s": 0.2},
    }
    assert render("armed", {"armed": False}) == "disarmed"
    assert render("armed", {"state": "starting"}) == "armed"
    assert render("samples_lost", {"streams": streams}) == "7"
    assert render("samples_lost", {"streams": streams}, KITCHEN) == "3"
    assert render("samples_lost", {"state": "starting"}) == "0"
    assert render("samples_lost", {"state": "starting"}, KITCHEN) == "0"
    assert render("outage_s", {"streams": streams}) == "0.3"
    assert render("samples_missed", {"streams": streams}) == "0", "of an earlier release's status"
    quality = {"voiceprints": {"alice": {"quality": "good", "num_takes": 3}}}
    assert render("voiceprint_alice", quality) == "good"
    assert render("voiceprint_bo-b", quality) == "None"
    assert render("p_fa", {"policy": {"choice": "0.1 %"}}) == "0.1 %"
    assert CONFIG["cmps"]["p_fa"]["ops"] == ["0.1 %", "1 %"]
    assert CONFIG["cmps"]["armed"]["pl_on"] == Command.ARM


def test_what_cannot_be_done_is_not_offered() -> None:
    config = device_config(TOPICS, Household(), occupancy_hold_s=30.0)
    assert not {"restart", "p_fa"} & config["cmps"].keys()
    assert "cu" not in config["dev"]
    assert "url" not in config["o"]


def test_names_for_people_are_each_somebodys() -> None:
    names = {"anna": "Anna", "anna-2": "anna", "zoe": "Zoë", "x": "", "y": " Nobody "}
    assert shown_names(names) == {
        "anna": "Anna (anna)",
        "anna-2": "anna (anna-2)",
        "zoe": "Zoë",
        "x": "x",
        "y": "Nobody (y)",
    }


@given(st.floats(1e-9, 0.05))
def test_a_rate_is_found_again_by_what_is_shown(rate: float) -> None:
    number = re.fullmatch(r"([0-9.e-]+) %", percent(rate))
    assert number
    assert float(number[1]) / 100 == pytest.approx(rate, rel=1e-6)


@given(st.dictionaries(st.from_regex(r"[a-z0-9_][a-z0-9_-]{0,31}", fullmatch=True), st.text()))
def test_whatever_people_are_called_the_announcement_is_in_order(speakers: dict[str, str]) -> None:
    """Names with braces, quotes and blanks reach no template."""
    shown = shown_names(speakers)
    assert len({name.casefold() for name in shown.values()}) == len(shown)
    config = device_config(TOPICS, Household(speakers=shown), occupancy_hold_s=1.0)
    plain = device_config(
        TOPICS, Household(speakers={each: each for each in speakers}), occupancy_hold_s=1.0
    )
    assert config["cmps"].keys() == plain["cmps"].keys()
    for key, each in config["cmps"].items():
        assert each.get("val_tpl") == plain["cmps"][key].get("val_tpl")
