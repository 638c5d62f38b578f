"""Hop 6 of 6: what Home Assistant has of every enrolled person. Pure.

Occupancy, an event of their own, when and where they were last heard, a device trigger for the
automation editor, and the quality of the voiceprint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voiceguard.mqtt.home.entities import EVENT_DATA, diagnostic, entity, heard
from voiceguard.mqtt.topics import EMPTY, OCCUPIED
from voiceguard.types import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voiceguard.mqtt.topics import Topics

OCCUPANCY = "occupancy"
_PLATFORMS = {
    OCCUPANCY: "binary_sensor",
    "event": "event",
    "last_heard": "sensor",
    "last_room": "sensor",
    "voiceprint": "sensor",
    "recognised": "device_automation",
}
"""Every kind of component that a person has; the key is ``<kind>_<speaker>``."""

PERSON_EVENTS = [Outcome.ACCEPTED.value, Outcome.REJECTED.value, Outcome.INCONCLUSIVE.value]
"""Inconclusive: it sounded most like this person, and was not enough."""
QUALITIES = ["good", "fair", "weak"]
_FRESH = "as_datetime(value_json.expires_at) > utcnow()"
"""A trigger carries nothing that an automation could check, so it is checked before."""


def people(topics: Topics, speakers: Mapping[str, str], hold_s: float) -> dict[str, dict[str, Any]]:
    """The components of everybody.

    Args:
        topics: Where everything is published.
        speakers: Id to the name that people read.
        hold_s: After this Home Assistant itself ends an occupancy.
    """
    components = {
        f"{OCCUPANCY}_{name}": _occupancy(topics, name, shown, hold_s)
        for name, shown in speakers.items()
    }
    for name, shown in speakers.items():
        components |= {
            f"event_{name}": _event(topics, name, shown),
            f"last_heard_{name}": _last_heard(topics, name, shown),
            f"last_room_{name}": _last_room(topics, name, shown),
            f"voiceprint_{name}": _voiceprint(topics, name, shown),
            f"recognised_{name}": _recognised(topics, name, shown),
        }
    return components


def removal(speaker: str) -> dict[str, dict[str, str]]:
    """Home Assistant's way to remove the components of a person."""
    return {f"{kind}_{speaker}": {"p": platform} for kind, platform in _PLATFORMS.items()}


def stranger_trigger(topics: Topics) -> dict[str, Any]:
    """For the automation editor: *stranger heard*."""
    template = (
        f"{{{{ 'stranger' if value_json.outcome == '{Outcome.UNKNOWN}' and {_FRESH} else '' }}}}"
    )
    return _trigger(topics, "heard", "stranger", template)


def _occupancy(topics: Topics, name: str, shown: str, hold_s: float) -> dict[str, Any]:
    key = f"{OCCUPANCY}_{name}"
    return {
        **heard(entity(topics, "binary_sensor", key, shown, "mdi:account-voice")),
        "dev_cla": "occupancy",
        "stat_t": topics.occupancy(name),
        "pl_on": OCCUPIED,
        "pl_off": EMPTY,
        "off_dly": max(1, round(hold_s)),
    }


def _event(topics: Topics, name: str, shown: str) -> dict[str, Any]:
    """Accepted or rejected as this person, almost, or recognised and not allowed."""
    template = (
        "{% set nearest = value_json.scores[0].speaker if value_json.scores else '' %}"
        f"{{% if value_json.speaker == '{name}' or"
        f" (nearest == '{name}' and (value_json.outcome == '{Outcome.INCONCLUSIVE}'"
        f" or value_json.reason == '{Reason.NOT_ALLOWED}')) %}}"
        f"{EVENT_DATA}{{% endif %}}"
    )
    return {
        **heard(entity(topics, "event", f"event_{name}", f"{shown} decision", "mdi:account-voice")),
        "event_types": PERSON_EVENTS,
        "stat_t": topics.decision,
        "val_tpl": template,
    }


def _last_heard(topics: Topics, name: str, shown: str) -> dict[str, Any]:
    about = entity(topics, "sensor", f"last_heard_{name}", f"{shown} last heard", "mdi:history")
    return {
        **about,
        "dev_cla": "timestamp",
        "stat_t": topics.heard(name),
        "val_tpl": "{{ value_json.heard_at }}",
        "json_attr_t": topics.heard(name),
    }


def _last_room(topics: Topics, name: str, shown: str) -> dict[str, Any]:
    icon = "mdi:map-marker-account"
    return {
        **entity(topics, "sensor", f"last_room_{name}", f"{shown} last heard in", icon),
        "stat_t": topics.heard(name),
        "val_tpl": "{{ value_json.stream }}",
    }


def _voiceprint(topics: Topics, name: str, shown: str) -> dict[str, Any]:
    about = entity(topics, "sensor", f"voiceprint_{name}", f"{shown} voiceprint", "mdi:fingerprint")
    of_speaker = f"(value_json.voiceprints | default({{}})).get('{name}', {{}})"
    return {
        **diagnostic(about, is_enabled=False),
        "dev_cla": "enum",
        "ops": QUALITIES,
        "stat_t": topics.status,
        "val_tpl": f"{{{{ {of_speaker}.get('quality', none) }}}}",
        "json_attr_t": topics.status,
        "json_attr_tpl": f"{{{{ {of_speaker} | to_json }}}}",
    }


def _recognised(topics: Topics, name: str, shown: str) -> dict[str, Any]:
    """For the automation editor: *Anna recognised*."""
    template = (
        f"{{{{ '{name}' if value_json.outcome == '{Outcome.ACCEPTED}'"
        f" and value_json.speaker == '{name}' and {_FRESH} else '' }}}}"
    )
    return {**_trigger(topics, "recognised", name, template), "stype": shown}


def _trigger(topics: Topics, what: str, payload: str, template: str) -> dict[str, Any]:
    return {
        "p": "device_automation",
        "atype": "trigger",
        "type": what,
        "stype": payload,
        "t": topics.decision,
        "pl": payload,
        "val_tpl": template,
        "qos": 1,
    }
