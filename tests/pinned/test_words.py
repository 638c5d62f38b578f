"""What people read and type: the help of every command, the settings, the exit codes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.pinned import inside
from tests.pinned.product import AS_SHIPPED, check, plain, said, voiceguard
from voiceguard.cli import output

if TYPE_CHECKING:
    from pathlib import Path


def test_every_command_and_option_is_the_one_it_was() -> None:
    check("commands.json", inside.command_tree())


def test_every_help_page_reads_as_it_did(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Line breaks aside."""
    monkeypatch.setattr(output.stdout, "width", 100)
    pages = []
    for name in inside.command_tree():
        arguments = [*name.split()[1:], "--help"]
        inside.command_line(load=True).main(arguments, "voiceguard", standalone_mode=False)
        pages.append(plain(capsys.readouterr().out))
    check("help.txt", "".join(f"\n{page}\n" for page in pages))


def test_the_defaults_of_all_settings_are_the_ones_they_were(tmp_path: Path) -> None:
    shown = voiceguard("config", "show", state=tmp_path, settings=AS_SHIPPED).stdout
    shown = re.sub(r'(?m)^state_dir = ".+"', "state_dir = (the test's)", shown)
    check("config.txt", re.sub(r'(?m)^node_id = ".*"', "node_id = (this host)", shown))
    found = said("config", "show", state=tmp_path, settings=AS_SHIPPED)
    check("config.json", _without_host(found))


def _without_host(found: dict[str, Any]) -> dict[str, Any]:
    settings = found.get("settings", found)
    settings["mqtt"]["node_id"] = "(this host)"
    settings["state_dir"] = "(the test's)"
    return found


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--version",), 0),
        (("models", "info", "unheard-of"), 1),
        (("listen",), 2),
        (("run", "--p-fa", "much"), 2),
        (("config", "show", "--config", "/nowhere/voiceguard.toml"), 2),
        (("history", "--why", "last"), 2),
        (("enroll", "ada", "--from", "/nowhere/a.wav", "--yes"), 1),
    ],
)
def test_exit_codes_mean_what_they_meant(
    arguments: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    """Accepted (0), rejected (3) and inconclusive (4): `test_state`; 130: `test_figures`."""
    done = voiceguard(*arguments, state=tmp_path / "state")
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
