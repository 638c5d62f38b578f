"""``voiceguard run`` on a terminal: whom it knows and hears, in words, no figures."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from rich.text import Text

from tests.cli.command import voiceguard
from tests.cli.terminal import Terminal
from tests.pinned import inside
from tests.recordings import STRANGERS, TAKES
from voiceguard.cli.listening.words import beginning, happened, heard
from voiceguard.logs import EVENTS
from voiceguard.settings import load_settings
from voiceguard.types import Outcome, Reason

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {"ada": "Ada L.", "zoë": "Zoë"}


@pytest.mark.parametrize(
    ("outcome", "reason", "said"),
    [
        (Outcome.ACCEPTED, Reason.ABOVE_THRESHOLD, "Ada L., sure (2.0 s)"),
        (Outcome.UNKNOWN, Reason.BELOW_THRESHOLD, "somebody I don't know, after all (2.0 s)"),
        (Outcome.REJECTED, Reason.BELOW_THRESHOLD, "not Ada L., after all (2.0 s)"),
        (Outcome.INCONCLUSIVE, Reason.BETWEEN_THRESHOLDS, "perhaps Ada L., not sure (2.0 s)"),
        (
            Outcome.INCONCLUSIVE,
            Reason.RUNNER_UP_TOO_CLOSE,
            "Ada L. or Zoë, can't tell which (2.0 s)",
        ),
        (Outcome.INCONCLUSIVE, Reason.TOO_SHORT, "too short (2.0 s)"),
        (Outcome.INCONCLUSIVE, Reason.HARDLY_SPEECH, "hardly a word: noise, perhaps (2.0 s)"),
        (Outcome.REJECTED, Reason.NOT_ALLOWED, "Ada L., not allowed by the rule adults (2.0 s)"),
    ],
)
def test_a_decision_is_a_line_of_words(outcome: Outcome, reason: Reason, said: str) -> None:
    decision = inside.decision(0, outcome, reason)
    assert Text.from_markup(heard(decision, NAMES)).plain == said


@pytest.mark.parametrize(("outcome", "reason"), inside.all_kinds())
def test_no_decision_shows_an_llr_or_a_programs_word(outcome: Outcome, reason: Reason) -> None:
    said = Text.from_markup(heard(inside.decision(0, outcome, reason), NAMES)).plain
    assert "_" not in said
    assert not re.search(r"[+-]\d|LLR", said)


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_is_a_sentence_or_left_out(event: str) -> None:
    assert happened({"event": event, "level": "debug", "timestamp": "now"}) is None or event in {
        *("broker_connected", "broker_connection_failed", "command_received"),
        *("embedded_broker_started", "voiceprints_unreadable", "source_changed"),
    }
    warned = happened({"event": event, "level": "warning", "error": "gone", "hint": "mend it"})
    assert warned is None or "_" not in warned


def test_the_beginning_says_who_is_known_and_how_to_be() -> None:
    settings = load_settings(
        audio={"sources": ["device:usb", "stdin"]}, mqtt={"broker": "mqtt://me@broker.local"}
    )
    first, second = (Text.from_markup(line).plain for line in beginning(settings, NAMES))
    assert first.startswith('Listening to the microphone "usb" and standard input, publishing to ')
    assert first.endswith("mqtt://broker.local:1883. Ctrl-C stops.")
    assert second == "I know Ada L. and Zoë."
    assert "voiceguard enroll NAME" in beginning(settings, {})[-1]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory in which Robin is enrolled."""
    state = tmp_path_factory.mktemp("state") / "state"
    arguments = ("--from", *TAKES[:3], "--yes", "--display-name", "Robin")
    assert voiceguard("enroll", "robin", *arguments, state=state).returncode == 0
    return state


def test_a_terminal_is_told_in_words_and_a_log_only_when_asked(state: Path) -> None:
    sources = ("--source", f"one=file:{TAKES[3]}", "--source", f"two=file:{STRANGERS[0]}")
    arguments = ("run", *sources, "--broker", "none", "--fast")
    with Terminal(*arguments, state=state) as terminal:
        assert terminal.finish() == 0
        lines = terminal.said.splitlines()
    assert lines[0].startswith("Listening to ")
    known = lines.index("I know Robin.")  # what comes before it may take more than a line
    said = {re.sub(r"^[\d:]+ +", "", line) for line in lines[known + 1 :] if line}
    assert len(said) == 2, lines
    assert any(re.fullmatch(r"one: Robin, sure \(\d\.\d s\)", line) for line in said)
    assert any(line.startswith("two: ") for line in said)
    with Terminal(*arguments, "-v", state=state) as terminal:
        assert terminal.finish() == 0
        assert "health_changed" in terminal.said
        assert "LLR" in terminal.said


def test_without_a_terminal_the_log_is_json_as_ever(state: Path) -> None:
    arguments = ("run", "--source", f"file:{TAKES[3]}", "--broker", "none", "--fast")
    done = voiceguard(*arguments, state=state)
    assert '"event": "health_changed"' in done.stderr
    assert "Listening to" not in done.stderr
