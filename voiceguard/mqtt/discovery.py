"""Hop 6 of 6: what Home Assistant is told about us, one retained message for the whole device.

Pure. In: the topics, the enrolled speakers. Out: the JSON for ``<prefix>/device/<id>/config``.
Home Assistant refuses the whole message for one unknown top-level key or one component without
``p`` or ``uniq_id``; a component goes by being sent as ``{"p": ...}`` alone, once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from voiceguard.mqtt.topics import EMPTY, OCCUPIED, OFFLINE, ONLINE, Command
from voiceguard.types import VERSION, Outcome
from voiceguard.validation.parsing import parse_json_object

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from voiceguard.mqtt.topics import Topics

NOBODY, STRANGER, INCONCLUSIVE = "Nobody", "Unknown speaker", "Inconclusive"
"""The enum sensor's other values: capitals, so that no speaker can be called like them."""

MAX_FOREIGN_SPEAKERS = 128
"""Whom a message may name that are not enrolled: each costs a message of ours to remove."""
_MAX_BYTES = 1 << 18

_OCCUPANCY_KEY = re.compile(r"occupancy_([a-z0-9_-]{1,32})")
_SPEAKER_TEMPLATE = (
    "{% set o = value_json.outcome %}"
    "{{ value_json.speaker if value_json.speaker"
    f" else '{STRANGER}' if o in ['unknown', 'rejected']"
    f" else '{INCONCLUSIVE}' if o == 'inconclusive' else '{NOBODY}' }}}}"
)
_EVENT_TEMPLATE = (
    "{{ {'event_type': value_json.outcome, 'speaker': value_json.speaker,"
    " 'reason': value_json.reason,"
    " 'llr': value_json.scores[0].llr if value_json.scores else none,"
    " 'net_speech_s': value_json.net_speech_s, 'stream': value_json.stream,"
    " 'decision_id': value_json.decision_id, 'revokes': value_json.revokes,"
    " 'ended_at': value_json.ended_at, 'expires_at': value_json.expires_at} | to_json }}"
)
_ARMED_TEMPLATE = "{{ 'armed' if value_json.armed | default(true) else 'disarmed' }}"
_COUNTERS: dict[str, tuple[str, dict[str, str]]] = {
    "samples_lost": ("Samples lost", {}),
    "samples_missed": ("Samples never captured", {}),
    "num_overflows": ("Driver overruns", {}),
    "outage_s": ("Microphone outages", {"dev_cla": "duration", "unit_of_meas": "s"}),
}
"""Diagnostic sensors: each a counter of the status topic, summed over the streams."""


def occupancy_key(speaker: str) -> str:
    """The component of one speaker's occupancy."""
    return f"occupancy_{speaker}"


def announced_speakers(payload: bytes) -> set[str]:
    """The speakers in a discovery message of an earlier run; none if it is not one of ours."""
    try:
        components = parse_json_object(payload, max_bytes=_MAX_BYTES).get("cmps")
    except ValueError:
        return set()
    if not isinstance(components, dict):
        return set()
    return {match[1] for key in components if (match := _OCCUPANCY_KEY.fullmatch(key))}


def device_config(
    topics: Topics,
    speakers: Mapping[str, str],
    *,
    occupancy_hold_s: float,
    removed: Collection[str] = (),
) -> dict[str, Any]:
    """The discovery message.

    Args:
        topics: Where everything is published.
        speakers: Name to display name.
        occupancy_hold_s: After this Home Assistant itself ends an occupancy.
        removed: Speakers whose component is to go.
    """
    components = {
        **{occupancy_key(name): {"p": "binary_sensor"} for name in sorted(removed)},
        **{
            occupancy_key(name): _occupancy(topics, name, display, occupancy_hold_s)
            for name, display in speakers.items()
        },
        **_fixed_components(topics, list(speakers)),
    }
    return {
        "dev": {
            "ids": [topics.device_id],
            "name": f"Voiceguard {topics.node}",
            "mf": "voiceguard",
            "mdl": "Speaker verification",
            "sw": VERSION,
        },
        "o": {"name": "voiceguard", "sw": VERSION},
        "avty_t": topics.availability,
        "pl_avail": ONLINE,
        "pl_not_avail": OFFLINE,
        "qos": 1,
        "cmps": components,
    }


def _occupancy(topics: Topics, name: str, display: str, hold_s: float) -> dict[str, Any]:
    return {
        **_entity(topics, "binary_sensor", occupancy_key(name), display or name),
        "dev_cla": "occupancy",
        "stat_t": topics.occupancy(name),
        "pl_on": OCCUPIED,
        "pl_off": EMPTY,
        "off_dly": max(1, round(hold_s)),
    }


def _fixed_components(topics: Topics, names: list[str]) -> dict[str, dict[str, Any]]:
    return {
        "last_speaker": {
            **_entity(topics, "sensor", "last_speaker", "Last speaker"),
            "dev_cla": "enum",
            "ops": [*names, STRANGER, INCONCLUSIVE, NOBODY],
            "stat_t": topics.speaker,
            "val_tpl": _SPEAKER_TEMPLATE,
            "json_attr_t": topics.speaker,
        },
        "decision": {
            **_entity(topics, "event", "decision", "Decision"),
            "event_types": [outcome.value for outcome in Outcome],
            "stat_t": topics.decision,
            "val_tpl": _EVENT_TEMPLATE,
        },
        "armed": {
            **_entity(topics, "switch", "armed", "Armed"),
            "stat_t": topics.status,
            "val_tpl": _ARMED_TEMPLATE,
            "stat_on": "armed",
            "stat_off": "disarmed",
            "cmd_t": topics.command,
            "pl_on": Command.ARM.value,
            "pl_off": Command.DISARM.value,
        },
        **{key: _counter(topics, key, *about) for key, about in _COUNTERS.items()},
    }


def _counter(topics: Topics, key: str, name: str, unit: Mapping[str, str]) -> dict[str, Any]:
    template = (
        "{{ (value_json.streams | default({})).values()"
        f" | map(attribute='{key}', default=0) | sum{' | round(1)' if unit else ''} }}}}"
    )
    return {
        **_entity(topics, "sensor", key, name),
        **unit,
        "ent_cat": "diagnostic",
        "stat_cla": "total_increasing",
        "stat_t": topics.status,
        "val_tpl": template,
    }


def _entity(topics: Topics, platform: str, key: str, name: str) -> dict[str, Any]:
    unique = f"{topics.device_id}_{key}"
    return {
        "p": platform,
        "uniq_id": unique,
        "def_ent_id": f"{platform}.{unique.replace('-', '_')}",
        "name": name,
    }
