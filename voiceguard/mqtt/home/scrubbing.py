"""Retained payloads of ours without one speaker. Pure.

For a speaker who is removed while no daemon runs that would say everything anew.
"""

from __future__ import annotations

from typing import Any

from voiceguard.mqtt.home.people import OCCUPANCY, removal

_OF_ONE = ("speaker", "speaker_name", "last_accepted")
_BEHIND = {
    "speaker": ("outcome", "decision_id", "decided_at", "llr", "posterior", "accept_llr"),
    "last_accepted": ("last_accepted_at",),
}


def state_without(payload: dict[str, Any], speaker: str) -> dict[str, Any]:
    """A status, ``speaker`` or stream payload that names the speaker no more."""
    kept = dict(payload)
    names = {speaker, payload.get("speaker_name") if payload.get("speaker") == speaker else speaker}
    for key in _OF_ONE:
        if kept.get(key) in names:
            kept |= dict.fromkeys(name for name in (key, *_BEHIND.get(key, ())) if name in kept)
    if isinstance(speakers := kept.get("speakers"), list):
        kept["speakers"] = [each for each in speakers if each != speaker]
    for key in ("voiceprints", "display_names", "refused"):
        if isinstance(table := kept.get(key), dict):
            kept[key] = {name: value for name, value in table.items() if name != speaker}
    return kept


def discovery_without(
    payload: dict[str, Any], speaker: str, shown: str | None
) -> tuple[dict[str, Any], ...]:
    """The messages that take a speaker out of a discovery message of ours; none: not in it.

    Args:
        payload: The message that is retained.
        speaker: Whom.
        shown: By which name people read them.
    """
    components = payload.get("cmps")
    if not isinstance(components, dict):
        return ()
    gone = removal(speaker)
    kept = {
        key: _without_option(each, shown) for key, each in components.items() if key not in gone
    }
    if kept == components:
        return ()
    removed = {key: each for key, each in gone.items() if key in components}
    messages = [{**payload, "cmps": {**removed, **kept}}] if removed else []
    return (*messages, {**payload, "cmps": kept})


def shown_name(payload: dict[str, Any], speaker: str) -> str | None:
    """What people read for a speaker, by the daemon's discovery message."""
    components = payload.get("cmps")
    occupancy = components.get(f"{OCCUPANCY}_{speaker}") if isinstance(components, dict) else None
    name = occupancy.get("name") if isinstance(occupancy, dict) else None
    return name if isinstance(name, str) else None


def _without_option(component: Any, shown: str | None) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(component, dict) or not isinstance(component.get("ops"), list):
        return component
    return {**component, "ops": [each for each in component["ops"] if each != shown]}
