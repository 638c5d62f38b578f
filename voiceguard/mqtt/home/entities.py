"""Hop 6 of 6: the parts that every announced entity is made of. Pure.

Only keys that any core since 2024.11 knows. Two kinds of availability: what is *heard* needs a
daemon that can decide; everything else needs one that is connected, so that a muted microphone does
not hide the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voiceguard.mqtt.home.household import INCONCLUSIVE, NOBODY, STRANGER
from voiceguard.mqtt.topics import OFFLINE, ONLINE
from voiceguard.types import VERSION, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voiceguard.mqtt.topics import Topics

CONNECTED = f"{{{{ '{OFFLINE}' if value == '{OFFLINE}' else '{ONLINE}' }}}}"
"""Availability that depends on the last will alone."""
HEARING = f"{{{{ '{ONLINE}' if value == '{ONLINE}' else '{OFFLINE}' }}}}"
"""Availability of what is heard: nobody is, while nothing can be decided."""

EVENT_DATA = (
    "{{ {'event_type': value_json.outcome, 'speaker': value_json.speaker,"
    " 'speaker_name': value_json.speaker_name, 'reason': value_json.reason,"
    " 'llr': value_json.scores[0].llr if value_json.scores else none,"
    " 'posterior': value_json.posterior, 'p_fa': value_json.p_fa,"
    " 'raised_by': value_json.raised_by, 'turn_id': value_json.turn_id,"
    " 'rule': value_json.rule, 'allows': value_json.allows,"
    " 'net_speech_s': value_json.net_speech_s, 'stream': value_json.stream,"
    " 'decision_id': value_json.decision_id, 'revokes': value_json.revokes,"
    " 'ended_at': value_json.ended_at, 'expires_at': value_json.expires_at} | to_json }}"
)
"""What a decision event carries."""

LAST_SPEAKER = (
    "{% set o = value_json.outcome %}"
    "{{ value_json.speaker_name if value_json.speaker_name"
    f" else '{STRANGER}' if o in ['{Outcome.UNKNOWN}', '{Outcome.REJECTED}']"
    f" else '{INCONCLUSIVE}' if o == '{Outcome.INCONCLUSIVE}' else '{NOBODY}' }}}}"
)
"""Of a topic that says what the latest decision was."""

COUNTERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "samples_lost": ("Samples lost", "mdi:waveform", {}),
    "samples_missed": ("Samples never captured", "mdi:waveform", {}),
    "num_overflows": ("Driver overruns", "mdi:alert-octagram-outline", {}),
    "outage_s": (
        "Microphone outages",
        "mdi:microphone-off",
        {"dev_cla": "duration", "unit_of_meas": "s"},
    ),
}
"""Diagnostic counters: key in the status topic's streams to name, icon and unit."""


def entity(
    topics: Topics, platform: str, key: str, name: str, icon: str, *, stream: str | None = None
) -> dict[str, Any]:
    """An entity of the daemon's device, or of a stream's, available while we are connected."""
    unique = f"{topics.device_id if stream is None else topics.stream_id(stream)}_{key}"
    return {
        "p": platform,
        "uniq_id": unique,
        "def_ent_id": f"{platform}.{unique.replace('-', '_')}",
        "name": name,
        "ic": icon,
        "qos": 1,
    }


def heard(component: dict[str, Any]) -> dict[str, Any]:
    """The same, available only while something can be heard."""
    return {**component, "avty_tpl": HEARING}


def diagnostic(component: dict[str, Any], *, is_enabled: bool = True) -> dict[str, Any]:
    """The same among the diagnostics; not enabled, people find it and turn it on."""
    return {**component, "ent_cat": "diagnostic", **({} if is_enabled else {"en": False})}


def envelope(topics: Topics, configuration_url: str) -> dict[str, Any]:
    """What every discovery message begins with, the device aside."""
    url = {"url": configuration_url} if configuration_url else {}
    return {
        "o": {"name": "voiceguard", "sw": VERSION, **url},
        "avty_t": topics.availability,
        "avty_tpl": CONNECTED,
        "pl_avail": ONLINE,
        "pl_not_avail": OFFLINE,
        "qos": 1,
    }


def device(identifier: str, name: str, configuration_url: str) -> dict[str, Any]:
    """A device of ours."""
    return {
        "ids": [identifier],
        "name": name,
        "mf": "voiceguard",
        "mdl": "Speaker verification",
        "sw": VERSION,
        **({"cu": configuration_url} if configuration_url else {}),
    }


def last_speaker_options(names: Iterable[str]) -> list[str]:
    """Every value that *last speaker* can have."""
    return [*names, STRANGER, INCONCLUSIVE, NOBODY]
