"""A full, closed, unread or old-fashioned output costs what is printed, never what is decided."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.recordings import TAKES
from voiceguard.decisions.history import History
from voiceguard.errors import ExitCode
from voiceguard.paths import history_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RUN = ("run", "--source", f"hall=file:{TAKES[0]}", "--broker", "none", "--fast")


def voiceguard(
    state: Path, redirection: str, *arguments: object, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """``voiceguard ARGUMENTS REDIRECTION``, as a shell does it."""
    script = f'"$@" {redirection}'
    return subprocess.run(
        ["/bin/sh", "-c", script, "sh", sys.executable, "-m", "voiceguard", *map(str, arguments)],
        capture_output=True,
        check=False,
        timeout=120,
        env={
            **os.environ,
            "VOICEGUARD_STATE_DIR": str(state),
            "XDG_CONFIG_HOME": str(state / "no-config"),
            **(environment or {}),
        },
    )


def decisions(state: Path) -> int:
    history = History(history_file(state))
    found = history.recent(100)
    history.close()
    return len(found)


@pytest.mark.parametrize("redirection", [">/dev/full 2>/dev/full", ">&- 2>&- <&-"])
def test_the_decisions_exit_code_stands(tmp_path: Path, redirection: str) -> None:
    """Nobody is enrolled: the answer is a decision all the same, and no failure."""
    finished = voiceguard(tmp_path, redirection, "identify", TAKES[0], "--json")
    assert finished.returncode == ExitCode.INCONCLUSIVE, finished.stderr
    assert b"Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("redirection", "options"),
    [(">/dev/full 2>/dev/full", ()), (">&- 2>&-", ("--json",)), ("| head -c 0", ("--json",))],
)
def test_the_daemon_decides_on(tmp_path: Path, redirection: str, options: tuple[str, ...]) -> None:
    finished = voiceguard(tmp_path, redirection, *RUN, *options)
    assert finished.returncode == 0, finished.stderr
    assert b"Traceback" not in finished.stderr
    assert decisions(tmp_path) > 0


def test_what_could_not_be_printed_is_said_once(tmp_path: Path) -> None:
    finished = voiceguard(tmp_path, ">/dev/full", *RUN, "--json")
    events = [json.loads(line) for line in finished.stderr.splitlines() if line[:1] == b"{"]
    said = [each for each in events if each["event"] == "output_not_written"]
    assert [each["error"] for each in said] == ["No space left on device"]


def test_a_listing_that_is_lost_is_a_failure_in_words_and_a_closed_pipe_is_none(
    tmp_path: Path,
) -> None:
    full = voiceguard(tmp_path, ">/dev/full", "config", "show")
    assert full.returncode == ExitCode.FAILURE
    assert b"cannot write the result: No space left on device" in full.stderr
    assert b"Traceback" not in full.stderr
    script = "| (exec <&-; sleep 1); exit 0"
    closed = voiceguard(tmp_path, script, "config", "show")
    assert closed.stderr == b""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_letters_that_a_terminal_has_not_are_written_otherwise(
    tmp_path: Path, encoding: str
) -> None:
    state = tmp_path / "Ærø 家"
    environment = {"PYTHONIOENCODING": encoding}
    for options in ((), ("--json",)):
        shown = voiceguard(state, "", "config", "show", *options, environment=environment)
        assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout.decode(encoding))["state_dir"] == str(state)
