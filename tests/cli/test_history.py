"""``voiceguard history``: what was decided, why, and for whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard
from tests.fakes import altered, make_decision
from voiceguard.decisions.history import History
from voiceguard.decisions.wire import decision_payload
from voiceguard.types import Outcome, Reason

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory whose history has an accept, and then a stranger."""
    state = tmp_path_factory.mktemp("state")
    history = History(state / "history.sqlite3")
    accepted = make_decision()
    unknown = altered(
        make_decision(outcome=Outcome.UNKNOWN, speaker=None, llr=-3.2),
        decision_id="22222222-0000-4000-8000-000000000000",
        reason=Reason.BELOW_THRESHOLD,
        net_speech_s=1.1,
    )
    for decision in (accepted, unknown):
        history.append(decision_payload(decision))
    history.close()
    return state


def test_decisions_are_listed_newest_first(state: Path) -> None:
    result = voiceguard("history", state=state)
    assert result.returncode == 0, result.stderr
    header, first, second = result.stdout.splitlines()
    assert "outcome" in header
    assert "unknown" in first
    assert "22222222" in first
    assert "accepted" in second


def test_the_last_one_is_explained(state: Path) -> None:
    result = voiceguard("history", "--why", "last", state=state)
    assert "The nearest: LLR -3.2 for anna; more than +4.6 needed at p_fa 1 %" in result.stdout
    assert "only 1.1 s of speech" in result.stdout


def test_one_is_explained_by_the_beginning_of_its_id(state: Path) -> None:
    result = voiceguard("history", "--why", "1111", state=state)
    assert "Sounds like anna" in result.stdout


def test_json_has_the_published_fields_and_the_reason_in_words(state: Path) -> None:
    result = voiceguard("history", "--json", "--outcome", "accepted", "-n", "5", state=state)
    (line,) = result.stdout.splitlines()
    decision = json.loads(line)
    assert decision["speaker"] == "anna"
    assert decision["why"].startswith("Sounds like anna")


def test_diagnostics_tell_what_streams_have_lost(tmp_path: Path) -> None:
    result = voiceguard("history", "--diagnostics", state=tmp_path)
    assert "No stream has lost anything" in result.stderr
    history = History(tmp_path / "history.sqlite3")
    times = {"opened_at": "2026-11-05T12:00:00.000Z", "noted_at": "2026-11-05T13:00:00.000Z"}
    note = {"stream": "kitchen", **times, "num_overflows": 3, "outage_s": 61.5}
    history.note(note)
    history.close()
    shown = voiceguard("history", "--diagnostics", state=tmp_path).stdout
    assert "kitchen" in shown
    assert "num_overflows 3, outage_s 61.5" in shown
    lines = voiceguard("history", "--diagnostics", "--json", state=tmp_path).stdout
    assert json.loads(lines) == note


def test_an_id_that_nothing_has_is_a_usage_error(state: Path) -> None:
    result = voiceguard("history", "--why", "99", state=state)
    assert result.returncode == 2
    assert "99" in result.stderr


def test_where_nothing_fits_it_is_not_said_that_there_is_nothing(state: Path) -> None:
    result = voiceguard("history", "--speaker", "nobody_else", state=state)
    assert (result.returncode, result.stdout) == (0, "")
    assert "No such decision" in result.stderr


def test_an_empty_history_says_so_and_makes_no_file(tmp_path: Path) -> None:
    result = voiceguard("history", state=tmp_path)
    assert result.returncode == 0
    assert "No decisions yet" in result.stderr
    assert result.stdout == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_entry_that_is_no_decision_is_named_and_the_others_are_shown(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    payload = decision_payload(make_decision())
    history = History(tmp_path / "history.sqlite3")
    history.append(payload)
    history.append({**payload, "decision_id": "strange", "scores": 7, "net_speech_s": None})
    history.close()
    shown = voiceguard("history", *options, state=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert payload["decision_id"][:8] in shown.stdout
    assert "strange" not in shown.stdout
    assert "left out: the entry 'strange' of the history can't be used" in shown.stderr
    why = voiceguard("history", "--why", "strange", state=tmp_path)
    assert why.returncode == 1
    assert "the entry 'strange'" in why.stderr
    assert "Traceback" not in why.stderr
