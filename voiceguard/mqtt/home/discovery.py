"""Hop 6 of 6: what Home Assistant is told about us, one retained message per device.

Pure. In: the topics, the household. Out: the JSON for ``<prefix>/device/<id>/config``.
Home Assistant refuses the whole message for one unknown top-level key or one component without
``p`` or ``uniq_id``; a component goes by being sent as ``{"p": ...}`` alone, once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from voiceguard.mqtt.home.daemon_device import daemon_components
from voiceguard.mqtt.home.entities import device, envelope
from voiceguard.mqtt.home.people import OCCUPANCY, people, removal
from voiceguard.mqtt.home.stream_device import stream_config
from voiceguard.validation.parsing import parse_json_object

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from voiceguard.mqtt.home.household import Household
    from voiceguard.mqtt.topics import Topics

MAX_FOREIGN_SPEAKERS = 128
"""Whom a message may name that are not enrolled: each costs a message of ours to remove."""
MAX_BYTES = 1 << 20
"""Of a discovery message of ours: some two kilobytes per person."""

_OCCUPANCY_KEY = re.compile(rf"{OCCUPANCY}_([a-z0-9_-]{{1,32}})")


def announced_speakers(payload: bytes) -> set[str]:
    """The speakers in a discovery message of an earlier run; none if it is not one of ours."""
    try:
        components = parse_json_object(payload, max_bytes=MAX_BYTES).get("cmps")
    except ValueError:
        return set()
    if not isinstance(components, dict):
        return set()
    return {match[1] for key in components if (match := _OCCUPANCY_KEY.fullmatch(key))}


def device_config(
    topics: Topics,
    household: Household,
    *,
    occupancy_hold_s: float,
    removed: Collection[str] = (),
) -> dict[str, Any]:
    """The discovery message of the daemon itself.

    Args:
        topics: Where everything is published.
        household: Who is enrolled, and what can be chosen.
        occupancy_hold_s: After this Home Assistant itself ends an occupancy.
        removed: Speakers whose components are to go.
    """
    url = household.configuration_url
    gone: dict[str, dict[str, str]] = {}
    for speaker in sorted(removed):
        gone |= removal(speaker)
    return {
        "dev": device(topics.device_id, f"Voiceguard {topics.node}", url),
        **envelope(topics, url),
        "cmps": {
            **gone,
            **people(topics, household.speakers, occupancy_hold_s),
            **daemon_components(topics, household),
        },
    }


def stream_configs(topics: Topics, household: Household) -> Iterator[tuple[str, dict[str, Any]]]:
    """Topic and discovery message of every stream; after the daemon's, which they point to."""
    for stream in household.streams:
        yield topics.stream_discovery(stream), stream_config(topics, stream, household)
