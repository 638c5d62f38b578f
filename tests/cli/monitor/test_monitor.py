"""``voiceguard monitor`` as a person sees it: beside a daemon, with its own, at any width."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard
from tests.cli.terminal import Terminal
from tests.recordings import SPOKEN, STRANGERS, TAKES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory in which Robin is enrolled."""
    state = tmp_path_factory.mktemp("state") / "state"
    arguments = ("--from", *TAKES[:3], "--yes", "--display-name", "Robin")
    assert voiceguard("enroll", "robin", *arguments, state=state).returncode == 0
    return state


def written(svg: str) -> str:
    """The characters of a screenshot."""
    texts = re.findall(r"<text[^>]*>(.*?)</text>", svg, re.DOTALL)
    return html.unescape("\n".join(texts)).replace("\xa0", " ")


def test_without_a_daemon_it_brings_its_own_and_ends_it(state: Path, tmp_path: Path) -> None:
    picture = tmp_path / "screen.svg"
    sources = [f"--source=hall=file:{SPOKEN[0]}", f"--source=attic=file:{STRANGERS[0]}"]
    done = voiceguard(
        "monitor", *sources, "--screenshot", picture, "--after", "3.5", state=state,
        environment={"VOICEGUARD_MQTT__BROKER": "none"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = written(picture.read_text())
    assert "listening" in shown
    assert "knows Robin" in shown
    assert "hall" in shown
    assert "attic" in shown
    assert "Quit" in shown
    gone = voiceguard("status", state=state)
    assert "no voiceguard is running" in gone.stderr


def test_a_daemon_that_cannot_start_is_said_with_its_own_words(tmp_path: Path) -> None:
    done = voiceguard(
        "monitor", "--source=file:/no/such.wav", "--screenshot", tmp_path / "s.svg",
        state=tmp_path / "state", environment={"VOICEGUARD_MQTT__BROKER": "none"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "the daemon could not start" in done.stderr
    assert "/no/such.wav" in done.stderr
    assert not (tmp_path / "s.svg").exists()


def test_without_a_terminal_it_says_what_there_is_instead(tmp_path: Path) -> None:
    done = voiceguard("monitor", state=tmp_path)
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr
    assert "--screenshot" in done.stderr


@contextmanager
def running(state: Path) -> Iterator[None]:
    """A daemon that listens to a pipe that says nothing."""
    with subprocess.Popen(
        [sys.executable, "-m", "voiceguard", "run", "--source", "hall=stdin", "--broker", "none",
         "--state-dir", str(state), "--json"],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as daemon:  # fmt: skip
        assert daemon.stderr is not None
        for line in daemon.stderr:
            if b"health_changed" in line:
                break
        yield
        daemon.terminate()
        daemon.communicate()


def test_keys_command_a_daemon_that_runs_already(state: Path) -> None:
    with running(state), Terminal("monitor", state=state, columns=80) as terminal:
        terminal.wait_for("knows Robin")
        terminal.type("a")
        terminal.wait_for("disarmed")
        terminal.type("q")
        assert terminal.finish() == 0
    with running(state):
        refused = voiceguard("monitor", "--source=stdin", "--screenshot", "s.svg", state=state)
    assert refused.returncode == 2
    assert "is running" in refused.stderr


def test_in_a_window_of_20_columns_it_asks_for_more(state: Path) -> None:
    with running(state), Terminal("monitor", state=state, columns=20) as terminal:
        terminal.wait_for("40 columns")
        terminal.type("q")
        assert terminal.finish() == 0
