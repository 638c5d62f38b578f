"""Hop 6 of 6: one device per stream, a room as a rule, joined to the daemon's. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voiceguard.mqtt.home.daemon_device import condition_components
from voiceguard.mqtt.home.entities import (
    COUNTERS,
    EVENT_DATA,
    LAST_SPEAKER,
    device,
    diagnostic,
    entity,
    envelope,
    heard,
    last_speaker_options,
)
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from voiceguard.mqtt.home.household import Household
    from voiceguard.mqtt.topics import Topics


def stream_config(topics: Topics, stream: str, household: Household) -> dict[str, Any]:
    """The discovery message of a stream.

    Args:
        topics: Where everything is published.
        stream: One of the household's.
        household: Who is enrolled, and the area that is suggested.
    """
    area = household.streams.get(stream, "")
    name = f"Voiceguard {topics.node} {stream}"
    about = device(topics.stream_id(stream), name, household.configuration_url)
    return {
        "dev": {
            **about,
            "mdl": "Microphone",
            "via_device": topics.device_id,
            **({"sa": area} if area else {}),
        },
        **envelope(topics, household.configuration_url),
        "cmps": {
            **_heard(topics, stream, household),
            **condition_components(topics, stream),
            **{key: _counter(topics, stream, key) for key in COUNTERS},
        },
    }


def _heard(topics: Topics, stream: str, household: Household) -> dict[str, dict[str, Any]]:
    last = entity(
        topics, "sensor", "last_speaker", "Last speaker", "mdi:account-voice", stream=stream
    )
    decision = entity(
        topics, "event", "decision", "Decision", "mdi:account-question", stream=stream
    )
    return {
        "last_speaker": {
            **heard(last),
            "dev_cla": "enum",
            "ops": last_speaker_options(household.speakers.values()),
            "stat_t": topics.stream(stream),
            "val_tpl": LAST_SPEAKER,
        },
        "decision": {
            **heard(decision),
            "event_types": [outcome.value for outcome in Outcome],
            "stat_t": topics.decision,
            "val_tpl": f"{{% if value_json.stream == '{stream}' %}}{EVENT_DATA}{{% endif %}}",
        },
    }


def _counter(topics: Topics, stream: str, key: str) -> dict[str, Any]:
    name, icon, unit = COUNTERS[key]
    about = entity(topics, "sensor", key, name, icon, stream=stream)
    of_stream = f"(value_json.streams | default({{}})).get('{stream}', {{}})"
    return {
        **diagnostic(about, is_enabled=False),
        **unit,
        "stat_cla": "total_increasing",
        "stat_t": topics.status,
        "val_tpl": f"{{{{ {of_stream}.get('{key}', 0){' | round(1)' if unit else ''} }}}}",
    }
