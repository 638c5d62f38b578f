"""In a window of 80 or 60 columns no word, name or id is cut or broken, whatever is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.pinned.product import STATE, copy_of_state
from voiceguard.cli import output
from voiceguard.cli.command_line import command_line
from voiceguard.cli.listening.words import beginning
from voiceguard.cli.people.prediction import show_prediction
from voiceguard.errors import VoiceguardError
from voiceguard.scoring.outlook import OTHER_OCCASION, SAME_OCCASION
from voiceguard.scoring.policy import PolicyConfig
from voiceguard.scoring.prediction import PredictedRate
from voiceguard.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = [
    "history",
    "history --why last",
    "history --diagnostics",
    "voiceprints",
    "voiceprints show ada",
    "voiceprints show cleo",
    "models",
    "models info ecapa-c320",
    "models info campplus",
    "config show",
    "config check",
    "doctor --broker none",
    "service status --user",
    "unlock status",
    "audit show",
    "status",
    "verify ada /nowhere/a-name-that-is-quite-long.wav",
    "run --source device:a-microphone-with-a-long-name --broker mqtt://a:b@host",
    "voiceprints show somebody-who-is-not-enrolled",
    "history --why 00000000",
]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOICEGUARD_STATE_DIR", str(copy_of_state(tmp_path)))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return STATE


def shown(line: str, width: int, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a terminal of that width is sent."""
    for console in (output.stdout, output.stderr):
        console.width = width
    tree: Any = command_line()
    try:
        tree.main(line.split(), "voiceguard", standalone_mode=False)
    except VoiceguardError as error:
        output.explain(str(error), error.hint)
    sent = capsys.readouterr()
    return [*sent.out.splitlines(), *sent.err.splitlines()]


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for console in (output.stdout, output.stderr):
        monkeypatch.setattr(console, "_force_terminal", True)
        monkeypatch.setattr(console, "no_color", True)
        monkeypatch.setattr(console, "_color_system", None)
        monkeypatch.setattr(console, "_width", console.width)


@pytest.mark.parametrize("line", SHOWN)
@pytest.mark.usefixtures("state")
def test_every_word_is_whole_and_fits(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    whole = {word for each in shown(line, 1000, capsys) for word in each.split()}
    for width in (80, 60):
        lines = shown(line, width, capsys)
        words = {word for each in lines for word in each.split()}
        assert words <= whole, sorted(words - whole)
        too_long = [each for each in lines if len(each.rstrip()) > width]
        assert all(len(each.split()) <= 2 for each in too_long), too_long


def test_what_enroll_and_run_say_fits_too(capsys: pytest.CaptureFixture[str]) -> None:
    rates = [
        PredictedRate(occasion=occasion, speech_s=speech_s, low=0.51, expected=0.9, high=1.0)
        for occasion in (SAME_OCCASION, OTHER_OCCASION)
        for speech_s in (2.0, 3.0, 5.0)
    ]
    names = {"ada": "Ada Lovelace", "zoe": "Zoë"}
    broker = {"broker": "mqtt://a-broker-with-a-long-name.local"}
    lines = beginning(load_settings(mqtt=broker), names)
    for width in (80, 60):
        output.stdout.width = width
        show_prediction(rates, "Ada Lovelace", PolicyConfig(), num_takes=3)
        for line in lines:
            output.stdout.print(line, soft_wrap=True)
        assert max(map(len, capsys.readouterr().out.splitlines())) <= width
