"""What the screen shows of the events that the control socket sends."""

from __future__ import annotations

from typing import Any

import pytest
from rich.text import Text

from voiceguard.cli.monitor import words
from voiceguard.cli.monitor.model import GUESS_LIVES_S, MAX_DECISIONS, Monitor
from voiceguard.decisions.wire import decision_payload
from voiceguard.testing import make_decision, make_judgement
from voiceguard.types import Outcome, Reason

STATUS = {
    "event": "status",
    "state": "listening",
    "reason": "",
    "armed": True,
    "encoder": {"name": "ecapa", "is_calibrated": True},
    "speakers": ["anna", "max"],
    "display_names": {"anna": "Anna", "max": "Max [Mustermann]"},
    "streams": {"hall": {"state": "listening", "detail": "", "speech_s": 3.0, "segments": 1}},
}


def level(level_db: float | None = -30.0, *, is_speech: bool = True) -> dict[str, Any]:
    return {"event": "level", "stream": "hall", "level_db": level_db, "is_speech": is_speech}


def progress(llr: float | None, speech_s: float = 1.5) -> dict[str, Any]:
    scores = [{"speaker": "anna", "cosine": 0.5, "normalised": 5.0, "llr": llr}]
    return {"event": "progress", "stream": "hall", "speech_s": speech_s, "scores": scores}


def decided(
    outcome: Outcome = Outcome.ACCEPTED, reason: Reason | None = None, *, is_final: bool = True
) -> dict[str, Any]:
    said = make_judgement(outcome=outcome, reason=reason, is_final=is_final)
    return {"event": "decision", **decision_payload(make_decision(said, stream="hall"))}


def shown(*events: dict[str, Any]) -> Monitor:
    monitor = Monitor()
    for event in (STATUS, *events):
        monitor.take(event, now_s=0.0)
    return monitor


def plain(markup: str) -> str:
    return Text.from_markup(markup).plain


def stream_text(monitor: Monitor, columns: int = 60) -> list[str]:
    return [
        plain(line)
        for line in words.stream_lines("hall", monitor.streams["hall"], monitor, columns)
    ]


def test_the_head_says_state_people_and_encoder() -> None:
    assert plain(words.headline(shown())) == "listening  knows Anna, Max [Mustermann]  ecapa"
    nobody = shown({**STATUS, "speakers": []})
    assert "voiceguard enroll NAME" in words.headline(nobody)
    assert "decides nothing" in words.headline(
        shown({**STATUS, "encoder": {"name": "ecapa", "is_calibrated": False}})
    )
    lost = shown({**STATUS, "state": "unavailable", "reason": "hall: unplugged"})
    assert plain(words.headline(lost)).startswith("unavailable hall: unplugged")


def test_a_level_is_a_bar_as_wide_as_the_window_allows() -> None:
    full, _ = stream_text(shown(level(level_db=0.0)))
    silent, _ = stream_text(shown(level(level_db=None, is_speech=False)))
    assert len(full) == len(silent) + 1 <= 60, "the one says speech, the other quiet"
    assert full.endswith("speech")
    assert "█" not in silent
    assert silent.endswith("quiet")
    for columns in (40, 80, 200):
        assert len(stream_text(shown(level(level_db=0.0)), columns)[0]) <= columns


@pytest.mark.parametrize(
    ("llr", "says"),
    [
        (8.0, "sounds like Anna"),
        (0.5, "perhaps Anna"),
        (-4.0, "nobody I know so far"),
        (None, "nearest to Anna"),
    ],
)
def test_who_it_is_so_far_is_said_in_words(llr: float | None, says: str) -> None:
    _, guess = stream_text(shown(level(), progress(llr)))
    assert guess.strip().startswith(says)
    assert "1.5 s so far" in guess
    assert "100 %" not in guess, "a look at scores is never certain"


def test_a_guess_goes_with_the_decision_or_when_nothing_more_is_heard() -> None:
    assert shown(progress(8.0), decided()).streams["hall"].guess is None
    monitor = shown(progress(8.0))
    monitor.forget_guesses(GUESS_LIVES_S)
    assert monitor.streams["hall"].guess is not None
    monitor.forget_guesses(GUESS_LIVES_S + 0.1)
    assert monitor.streams["hall"].guess is None


def test_final_decisions_are_listed_newest_first_and_only_so_many() -> None:
    monitor = shown(decided(is_final=False), decided(), decided(Outcome.UNKNOWN))
    lines = [plain(words.decision_line(each, monitor)) for each in monitor.decisions]
    assert [line.partition("hall: ")[2] for line in lines] == [
        "somebody I don't know (2.4 s)",
        "Anna, sure (2.4 s)",
    ]
    for _ in range(MAX_DECISIONS):
        monitor.take(decided(Outcome.INCONCLUSIVE, Reason.TOO_SHORT), now_s=1.0)
    assert len(monitor.decisions) == MAX_DECISIONS


def test_a_stream_that_is_lost_shows_why_and_neither_level_nor_guess() -> None:
    lost = {"state": "lost", "detail": "unplugged [usb]", "speech_s": 3.0, "segments": 1}
    monitor = shown(level(), progress(8.0), {**STATUS, "streams": {"hall": lost}})
    assert stream_text(monitor) == ["hall  lost: unplugged [usb]", ""]
    assert "hall" not in shown(level(), {**STATUS, "streams": {}}).streams


def test_what_was_lost_is_counted() -> None:
    assert plain(words.losses(shown())) == "nothing lost"
    losses = {"event": "losses", "stream": "hall", "outage_s": 1.5, "samples_lost": 480}
    monitor = shown(losses, {"event": "dropped", "num_events": 3})
    assert plain(words.losses(monitor)) == "lost: hall 1.5 s and 480 samples  3 events not shown"


def test_an_event_of_a_kind_that_is_not_known_changes_nothing() -> None:
    monitor = shown()
    monitor.take({"event": "weather", "stream": "attic"}, now_s=0.0)
    assert list(monitor.streams) == ["hall"]
