"""Hop 6 of 6: the components of the daemon's own device in Home Assistant. Pure.

What the latest decision was and how sure, why nothing is heard, the switch, buttons and the
diagnostics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voiceguard.mqtt.home.entities import (
    COUNTERS,
    EVENT_DATA,
    LAST_SPEAKER,
    diagnostic,
    entity,
    heard,
    last_speaker_options,
)
from voiceguard.mqtt.home.household import percent
from voiceguard.mqtt.home.people import stranger_trigger
from voiceguard.mqtt.topics import Command
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from voiceguard.mqtt.home.household import Household
    from voiceguard.mqtt.topics import Topics

CONDITIONS = [
    *("starting", "listening", "disarmed", "no microphone", "muted", "ended", "not calibrated"),
    *("nobody enrolled", "voiceprints unusable", "not responding", "stopped"),
]
"""Every value of the *status* sensors."""
CONDITION = "{{ (value_json.condition | default('starting')).replace('_', ' ') }}"
PROBLEM = "{{ 'ON' if value_json.has_problem | default(false) else 'OFF' }}"
_P_FA = "p_fa"


def daemon_components(topics: Topics, household: Household) -> dict[str, dict[str, Any]]:
    """Everything that is there whoever is enrolled."""
    return {
        **_heard(topics, household),
        **_controls(topics, household),
        **condition_components(topics),
        **_figures(topics),
        **{key: _counter(topics, key) for key in COUNTERS},
        "stranger": stranger_trigger(topics),
    }


def condition_components(topics: Topics, stream: str | None = None) -> dict[str, dict[str, Any]]:
    """*status* and *problem*, of the daemon or of a stream: available as long as we are there."""
    topic = topics.status if stream is None else topics.stream(stream)
    status = entity(topics, "sensor", "status", "Status", "mdi:ear-hearing", stream=stream)
    problem = entity(topics, "binary_sensor", "problem", "Problem", "mdi:alert", stream=stream)
    reason = "reason" if stream is None else "detail"
    return {
        "status": {
            **diagnostic(status),
            "dev_cla": "enum",
            "ops": CONDITIONS,
            "stat_t": topic,
            "val_tpl": CONDITION,
        },
        "problem": {
            **diagnostic(problem),
            "dev_cla": "problem",
            "stat_t": topic,
            "val_tpl": PROBLEM,
            "json_attr_t": topic,
            "json_attr_tpl": f"{{{{ {{'reason': value_json.{reason} | default('')}} | to_json }}}}",
        },
    }


def _heard(topics: Topics, household: Household) -> dict[str, dict[str, Any]]:
    last = entity(topics, "sensor", "last_speaker", "Last speaker", "mdi:account-voice")
    decision = entity(topics, "event", "decision", "Decision", "mdi:account-question")
    return {
        "last_speaker": {
            **heard(last),
            "dev_cla": "enum",
            "ops": last_speaker_options(household.speakers.values()),
            "stat_t": topics.speaker,
            "val_tpl": LAST_SPEAKER,
            "json_attr_t": topics.speaker,
        },
        "decision": {
            **heard(decision),
            "event_types": [outcome.value for outcome in Outcome],
            "stat_t": topics.decision,
            "val_tpl": EVENT_DATA,
        },
        "confidence": {
            **heard(entity(topics, "sensor", "confidence", "Confidence", "mdi:percent")),
            "unit_of_meas": "%",
            "stat_t": topics.speaker,
            "val_tpl": "{{ (100 * value_json.posterior) | round(1) if value_json.posterior"
            f" is number and value_json.outcome != '{Outcome.UNKNOWN}' else none }}}}",
            "json_attr_t": topics.speaker,
            "json_attr_tpl": "{{ {'p_target': value_json.p_target} | to_json }}",
        },
    }


def _controls(topics: Topics, household: Household) -> dict[str, dict[str, Any]]:
    components = {
        "armed": {
            **entity(topics, "switch", "armed", "Armed", "mdi:microphone"),
            "stat_t": topics.status,
            "val_tpl": "{{ 'armed' if value_json.armed | default(true) else 'disarmed' }}",
            "stat_on": "armed",
            "stat_off": "disarmed",
            "cmd_t": topics.command,
            "pl_on": Command.ARM.value,
            "pl_off": Command.DISARM.value,
        },
        "reload": _button(topics, Command.RELOAD, "Reload voiceprints", "mdi:reload"),
    }
    if household.can_restart:
        restart = _button(topics, Command.RESTART, "Restart", "mdi:restart")
        components["restart"] = {**restart, "dev_cla": "restart"}
    if household.p_fa_choices:
        components[_P_FA] = {
            **entity(topics, "select", _P_FA, "False accept rate", "mdi:tune"),
            "ent_cat": "config",
            "ops": [percent(each) for each in household.p_fa_choices],
            "stat_t": topics.status,
            "val_tpl": "{{ (value_json.policy | default({})).get('choice', none) }}",
            "cmd_t": topics.command,
            "cmd_tpl": f"{Command.P_FA} {{{{ value }}}}",
        }
    return components


def _button(topics: Topics, command: Command, name: str, icon: str) -> dict[str, Any]:
    return {
        **entity(topics, "button", command.value, name, icon),
        "ent_cat": "config",
        "cmd_t": topics.command,
        "pl_prs": command.value,
    }


def _figures(topics: Topics) -> dict[str, dict[str, Any]]:
    """Behind the latest decision, for those who look closer."""
    figures: dict[str, tuple[str, str, dict[str, Any]]] = {
        "llr": ("LLR", "mdi:scale-balance", {"sug_dsp_prc": 1}),
        "net_speech_s": (
            "Speech",
            "mdi:timer-outline",
            {"dev_cla": "duration", "unit_of_meas": "s", "sug_dsp_prc": 1},
        ),
        "snr_db": ("Level over noise", "mdi:volume-high", {"unit_of_meas": "dB"}),
    }
    components = {
        key: {
            **diagnostic(heard(entity(topics, "sensor", key, name, icon)), is_enabled=False),
            **unit,
            "stat_t": topics.speaker,
            "val_tpl": f"{{{{ value_json.{key} }}}}",
        }
        for key, (name, icon, unit) in figures.items()
    }
    encoder = entity(topics, "sensor", "encoder", "Encoder", "mdi:chip")
    components["encoder"] = {
        **diagnostic(encoder, is_enabled=False),
        "stat_t": topics.status,
        "val_tpl": "{{ (value_json.encoder | default({})).get('name', none) }}",
    }
    return components


def _counter(topics: Topics, key: str) -> dict[str, Any]:
    """Summed over the streams."""
    name, icon, unit = COUNTERS[key]
    template = (
        "{{ (value_json.streams | default({})).values()"
        f" | map(attribute='{key}', default=0) | sum{' | round(1)' if unit else ''} }}}}"
    )
    return {
        **diagnostic(entity(topics, "sensor", key, name, icon)),
        **unit,
        "stat_cla": "total_increasing",
        "stat_t": topics.status,
        "val_tpl": template,
    }
