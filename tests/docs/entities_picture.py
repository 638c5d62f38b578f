"""What Home Assistant's page of the device shows, drawn from the discovery message itself. SVG.

Names, kinds and units are the message's; states come of its own templates, given the retained
topics that :class:`~voiceguard.mqtt.states.States` publishes just after a speaker was accepted.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any, NamedTuple

import jinja2

from tests.mqtt.decisions import make_decision
from voiceguard.mqtt.home.discovery import device_config
from voiceguard.mqtt.home.household import Household
from voiceguard.mqtt.states import States
from voiceguard.mqtt.topics import Topics

NODE = "kitchen"
SPEAKERS = {"anna": "Anna", "ben": "Ben"}

INK, FAINT, RULE, PAGE, CARD, BLUE = (
    "#1c1f23",
    "#727880",
    "#e0e3e7",
    "#f4f6f8",
    "#ffffff",
    "#1a9bd7",
)
AMBER = "#e8a30c"
CARD_WIDTH, GAP, ROW, PADDING, TITLE = 340, 20, 44, 18, 52

_FONT = 'font-family="Roboto, Helvetica, Arial, sans-serif" font-size="15"'


class Entity(NamedTuple):
    """A line of the page."""

    card: str
    name: str
    state: str
    is_on: bool


def topics() -> Topics:
    """Of the daemon that is shown."""
    return Topics("voiceguard", NODE, "homeassistant")


def discovery() -> dict[str, Any]:
    """The message that the page comes of."""
    household = Household(speakers=SPEAKERS, streams={"kitchen": "Kitchen"}, can_restart=True)
    return device_config(topics(), household, occupancy_hold_s=30.0)


def shown() -> dict[str, dict[str, Any]]:
    """The components that the page has: no triggers, and not what is off until it is wanted."""
    return {
        key: each
        for key, each in discovery()["cmps"].items()
        if each["p"] != "device_automation" and each.get("en", True)
    }


def entities() -> list[Entity]:
    """Every component that is shown, with its state."""
    retained = _retained()
    return [_entity(key, each, retained) for key, each in shown().items()]


def _retained() -> dict[str, str]:
    """Topic to payload, after Anna was accepted."""
    states = States(topics(), 30.0)
    states.set_speakers(SPEAKERS)
    states.set_available(is_available=True, reason="")
    counters = {"samples_lost": 0, "samples_missed": 0, "num_overflows": 0, "outage_s": 0.0}
    states.set_status(
        {
            "state": "listening",
            "condition": "listening",
            "has_problem": False,
            "armed": True,
            "streams": {"kitchen": counters},
        }
    )
    states.apply(make_decision(speaker="anna"), 0.0)
    states.refresh(0.0)
    found: dict[str, str] = {}
    while (each := states.retained.next()) is not None:
        found |= [each]
        states.retained.sent(*each)
    return found


def _entity(key: str, component: dict[str, Any], retained: dict[str, str]) -> Entity:
    name, topic = component["name"], component.get("stat_t")
    match component["p"]:
        case "event":  # its topic is not retained
            has_fired = not key.endswith("ben")
            return Entity("Events", name, "accepted, just now" if has_fired else "", has_fired)
        case "button":
            return Entity("Configuration", name, "Press", is_on=False)
    if topic not in retained:  # nobody has heard Ben yet
        return Entity("Sensors", name, "Unknown", is_on=False)
    state = _rendered(component.get("val_tpl", "{{ value }}"), retained[topic])
    is_on = state == component.get("stat_on", component.get("pl_on", "ON"))
    if component["p"] == "switch":
        return Entity("Controls", name, "", is_on)
    shown_as, unit = component.get("dev_cla"), component.get("unit_of_meas", "")
    words = {
        "timestamp": "Just now",
        "problem": "Problem" if is_on else "OK",
        "occupancy": "Detected" if is_on else "Clear",
    }
    card = "Diagnostic" if component.get("ent_cat") == "diagnostic" else "Sensors"
    return Entity(card, name, words.get(str(shown_as), f"{state} {unit}".strip()), is_on)


def _rendered(template: str, payload: str) -> str:
    """As Home Assistant does it."""
    value_json = json.loads(payload) if "value_json" in template else None
    return str(jinja2.Template(template).render(value=payload, value_json=value_json))


def entities_svg() -> str:
    """The whole picture."""
    cards: dict[str, list[Entity]] = {}
    for each in entities():
        cards.setdefault(each.card, []).append(each)
    columns = (("Controls", "Events", "Configuration"), ("Sensors",), ("Diagnostic",))
    heights = [
        sum(_height(len(cards[name])) + GAP for name in column if name in cards)
        for column in columns
    ]
    width = GAP + len(columns) * (CARD_WIDTH + GAP)
    height = 88 + max(heights)
    device = discovery()["dev"]
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {_FONT}>',
        f'<rect width="{width}" height="{height}" rx="8" fill="{PAGE}"/>',
        _text(GAP, 38, device["name"], INK, size=22),
        _text(GAP, 62, f"{device['mdl']} by {device['mf']}, over MQTT", FAINT, size=14),
    ]
    for number, column in enumerate(columns):
        x, y = GAP + number * (CARD_WIDTH + GAP), 88
        for name in column:
            parts += _card(x, y, name, cards[name])
            y += _height(len(cards[name])) + GAP
    return "\n".join([*parts, "</svg>", ""])


def _height(num_rows: int) -> int:
    return TITLE + num_rows * ROW + PADDING // 2


def _card(x: int, y: int, name: str, rows: list[Entity]) -> list[str]:
    size = f'x="{x}" y="{y}" width="{CARD_WIDTH}" height="{_height(len(rows))}"'
    parts = [
        f'<rect {size} rx="12" fill="{CARD}" stroke="{RULE}"/>',
        _text(x + PADDING, y + 34, name, INK, size=18),
    ]
    for number, each in enumerate(rows):
        middle = y + TITLE + number * ROW + ROW // 2
        right = x + CARD_WIDTH - PADDING
        colour = AMBER if each.is_on else "#a9b0b8"
        parts.append(f'<circle cx="{x + PADDING + 8}" cy="{middle - 5}" r="8" fill="{colour}"/>')
        parts.append(_text(x + PADDING + 34, middle, each.name, INK))
        if each.state or each.card != "Controls":
            parts.append(_text(right, middle, each.state, FAINT, anchor="end"))
        else:
            parts += _toggle(right - 36, middle - 5, is_on=each.is_on)
    return parts


def _toggle(x: int, y: int, *, is_on: bool) -> list[str]:
    colour = BLUE if is_on else "#a9b0b8"
    knob_x = x + 27 if is_on else x + 9
    return [
        f'<rect x="{x}" y="{y - 7}" width="36" height="14" rx="7" fill="{colour}" opacity="0.45"/>',
        f'<circle cx="{knob_x}" cy="{y}" r="10" fill="{colour}"/>',
    ]


def _text(x: int, y: int, text: str, fill: str, *, size: int = 15, anchor: str = "start") -> str:
    at = f'x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}"'
    return f'<text {at} fill="{fill}">{escape(text)}</text>'
