"""A help page: whole words in any window, flags without a type, exit codes in one place."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.docs.commands_page import commands
from voiceguard.cli import output
from voiceguard.cli.command_line import command_line
from voiceguard.cli.shell.help import NARROW

COMMANDS = {" ".join(command.words): command for command in commands()}


def page(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    tree: Any = command_line()
    tree.main([*name.split(), "--help"], "voiceguard", standalone_mode=False)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [20, NARROW - 1, 60, 80, 200])
@pytest.mark.parametrize("name", COMMANDS)
def test_no_word_of_a_help_page_is_broken_and_no_line_needlessly_long(
    name: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output.stdout, "width", 10_000)
    monkeypatch.setattr("voiceguard.cli.shell.help.WIDEST", 10_000)
    whole = page(name, capsys)
    monkeypatch.setattr("voiceguard.cli.shell.help.WIDEST", 100)
    monkeypatch.setattr(output.stdout, "width", width)
    shown = page(name, capsys)
    assert shown.split() == whole.split()
    for line in shown.splitlines():
        is_one_word = len(line.split()) <= 2
        assert len(line) <= min(width, 100) or is_one_word, line


@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_page_shows_every_argument_and_option_and_no_types(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = page(name, capsys)
    for option in COMMANDS[name].options:
        assert re.search(rf"(?m)^ +(\S+, |\S+ / )*{option}\b", shown), option
    assert not re.search(r"<(bool|str|int|float|path|list.*)>", shown)
    assert ("Exit codes" in shown) is (name == "")


def test_a_group_alone_lists_and_takes_the_options_of_that(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VOICEGUARD_STATE_DIR", str(tmp_path_factory.mktemp("state")))
    tree: Any = command_line()
    said = {}
    for line in ("models", "models list", "models --json", "models list --json"):
        tree.main(line.split(), "voiceguard", standalone_mode=False)
        said[line] = capsys.readouterr().out
    assert said["models"] == said["models list"]
    assert said["models --json"] == said["models list --json"] != said["models"]
