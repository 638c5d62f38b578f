"""docs/in-the-home.md against what is really sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.docs.entities_picture import discovery, entities, shown
from tests.docs.generated import DOCS
from tests.docs.texts import blocks
from voiceguard.decisions import wire
from voiceguard.mqtt.topics import Command
from voiceguard.types import Outcome, Reason

PAGE = DOCS / "in-the-home.md"
if TYPE_CHECKING:
    from pathlib import Path

BLUEPRINTS = sorted((DOCS.parent / "config" / "home-assistant").glob("*.yaml"))
TEXT = PAGE.read_text("utf-8")


def test_every_reason_outcome_and_command_is_explained() -> None:
    for word in [*Reason, *Outcome, *Command]:
        assert f"`{word.value}`" in TEXT


def test_the_fields_are_those_of_the_payload() -> None:
    """voiceguard/decisions/wire.py names them all."""
    assert wire.__doc__ is not None
    for field in re.findall(r"^\| `(\w+)` \|", wire.__doc__, re.MULTILINE):
        assert re.search(rf"^\|[^|]*`{field}`", TEXT, re.MULTILINE), field


def test_the_automations_are_about_entities_that_exist() -> None:
    known = {each["def_ent_id"] for each in shown().values()}
    named = set(re.findall(r"\b\w+\.voiceguard_kitchen_\w+", TEXT))
    assert named
    assert named <= known
    for block in blocks(PAGE, "yaml"):
        assert {"alias", "triggers", "conditions", "actions"} <= set(yaml.safe_load(block))


def test_the_automations_read_what_the_event_carries() -> None:
    event = discovery()["cmps"]["decision"]["val_tpl"]
    for attribute in re.findall(r"attributes\.(\w+)", TEXT):
        assert f"'{attribute}'" in event


def test_the_picture_has_a_line_for_every_component() -> None:
    assert len(entities()) == len(shown())
    assert [each.name for each in entities() if each.state == "Detected"] == ["Anna"]


class _Inputs(yaml.SafeLoader):
    """As Home Assistant reads a blueprint: ``!input name`` stands for what the user picks."""


_Inputs.add_constructor("!input", lambda _, node: f"input {node.value}")


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_blueprints_use_what_they_ask_for_and_what_events_carry(path: Path) -> None:
    """That a core loads them is seen in tests/packages/home."""
    text = path.read_text("utf-8")
    blueprint = yaml.load(text, _Inputs)
    assert blueprint["blueprint"]["homeassistant"]["min_version"] == "2024.11.0"
    assert blueprint["blueprint"]["domain"] == "automation"
    asked = set(blueprint["blueprint"]["input"])
    assert set(re.findall(r"!input (\w+)", text)) == asked
    assert {"triggers", "conditions", "actions", "mode"} <= set(blueprint)
    attributes = set(re.findall(r"attributes\.(\w+)", text))
    assert "expires_at" in attributes, "nobody may act on a decision that came too late"
    assert all(f"'{each}'" in discovery()["cmps"]["decision"]["val_tpl"] for each in attributes)
    assert f"`{path.name}`" in TEXT
