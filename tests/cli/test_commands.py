"""The table of commands says what the commands say of themselves, and imports none of them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from voiceguard.cli.command_line import command_line
from voiceguard.cli.commands import COMMANDS
from voiceguard.cli.lazy import Command, DeferredCommand, Group

if TYPE_CHECKING:
    from collections.abc import Iterator


def every_command() -> Iterator[tuple[str, Command]]:
    for name, each in COMMANDS.items():
        if isinstance(each, Group):
            yield from ((f"{name} {inner}", command) for inner, command in each.commands.items())
        else:
            yield name, each


@pytest.mark.parametrize(("name", "command"), list(every_command()))
def test_a_line_of_the_table_is_the_first_paragraph_of_the_commands_help(
    name: str, command: Command
) -> None:
    loaded = DeferredCommand(name.rpartition(" ")[2], command).load()
    assert (loaded.name, loaded.help.split("\n\n")[0]) == (name.rpartition(" ")[2], command.summary)


@pytest.mark.parametrize("group", ["", "voiceprints", "models", "config"])
def test_help_of_a_group_shows_every_command_and_imports_none(group: str) -> None:
    code = (
        "import sys, typer, voiceguard.cli.command_line as cli\n"
        "try: cli.command_line()([*sys.argv[1:], '--help'], standalone_mode=False)\n"
        "except typer.Exit: pass\n"
        "print(*(name for name in sys.modules if name.startswith('voiceguard.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *group.split()],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "COLUMNS": "250", "NO_COLOR": "1"},
    )
    shown, _, imported = done.stdout.strip().rpartition("\n")
    words = " ".join(shown.split())
    inside: Any = COMMANDS[group] if group else Group("", COMMANDS)  # type: ignore[arg-type]
    for name, each in inside.commands.items():
        line = each.summary if isinstance(each, Command) else each.help.partition("\n\n")[0]
        assert f"{name} {line}" in words
    allowed = {"cli", "cli.command_line", "cli.commands", "cli.credentials", "cli.lazy"}
    allowed |= {
        "cli.output",
        "cli.shell",
        "cli.shell.help",
        "cli.shell.spelling",
        "errors",
        "outputs",
    }
    assert set(imported.split()) <= {f"voiceguard.{name}" for name in allowed}


def test_a_deferred_commands_own_options_are_completed() -> None:
    code = "import sys, voiceguard.cli; sys.argv = ['voiceguard']; voiceguard.cli.main()"
    asked = {
        "_VOICEGUARD_COMPLETE": "complete_bash",
        "COMP_WORDS": "voiceguard models export --features ",
        "COMP_CWORD": "4",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, **asked},
    )
    assert done.stdout.split() == ["outside", "inside"]


def test_the_tree_holds_every_command() -> None:
    tree: Any = command_line(load=True)
    assert list(tree.commands) == list(COMMANDS)
    assert list(tree.commands["bench"].commands) == ["encoders"]
