"""Logging: every event is in the catalogue, and nothing private is ever a field."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import structlog

from voiceguard.logs import EVENTS, LogConfig, configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).resolve().parents[1] / "voiceguard"
PRIVATE = re.compile(r"samples|audio|embedding|key$|password|secret")


class Call(NamedTuple):
    event: str
    fields: tuple[str, ...]
    place: str


def logging_calls() -> Iterator[Call]:
    """Every call of a logger in the package, found in its source."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and _is_logger(node.func) and node.args):
                continue
            event = node.args[0]
            place = f"{path.name}:{node.lineno}"
            assert isinstance(event, ast.Constant), f"{place}: an event is a literal name"
            yield Call(str(event.value), tuple(k.arg or "**" for k in node.keywords), place)


def _is_logger(function: ast.expr) -> bool:
    levels = {"debug", "info", "warning", "error", "exception"}
    if isinstance(function, ast.Attribute):
        owner = function.value
        return function.attr in levels and isinstance(owner, ast.Name) and "log" in owner.id
    return isinstance(function, ast.Name) and function.id == "say"  # a level chosen at run time


def test_every_event_is_in_the_catalogue_and_every_entry_is_used() -> None:
    used = {call.event for call in logging_calls()}
    assert used == set(EVENTS)


def test_events_are_snake_case_and_no_field_could_hold_audio_or_secrets() -> None:
    for call in logging_calls():
        assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", call.event), call
        assert not [field for field in call.fields if PRIVATE.search(field)], call


@pytest.mark.parametrize("wanted", ["json", "auto"])
def test_machines_get_one_json_object_per_line(
    wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal ``auto`` is JSON; on standard error, so that results stay clean."""
    try:
        configure_logging(LogConfig(format=wanted))  # type: ignore[arg-type]
        structlog.get_logger().info("daemon_stopped", stream="kitchen")
        structlog.get_logger().debug("not_shown_at_this_level")
    finally:
        structlog.reset_defaults()
    captured = capsys.readouterr()
    assert captured.out == ""
    line = json.loads(captured.err)
    assert (line["event"], line["level"], line["stream"]) == ("daemon_stopped", "info", "kitchen")
