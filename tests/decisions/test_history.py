"""The last decisions are kept, bounded and private, whatever happens to the file."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from voiceguard.decisions.history import History, HistoryConfig
from voiceguard.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)


def entry(number: int, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A decision as the wire has it, one minute after the one before."""
    decided_at = NOON + timedelta(minutes=number)
    return {
        "decision_id": f"id-{number:04}",
        "decided_at": decided_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "outcome": "unknown",
        "reason": "below_threshold",
        "speaker": None,
        "scores": [
            {"speaker": "anna", "cosine": 0.1, "normalised": 0.2, "llr": -3.0},
            {"speaker": "bob", "cosine": 0.0, "normalised": 0.1, "llr": -4.0},
        ],
        **changes,
    }


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    history = History(tmp_path / "state" / "history.sqlite3")
    yield history
    history.close()


def ids(payloads: list[dict[str, Any]]) -> list[str]:
    return [payload["decision_id"] for payload in payloads]


def test_decisions_come_back_as_they_were_newest_first(history: History) -> None:
    for number in range(3):
        history.append(entry(number))
    other = History(history.path)
    assert other.recent() == [entry(2), entry(1), entry(0)]
    assert ids(other.recent(1)) == ["id-0002"]
    other.close()


def test_reading_where_nothing_was_decided_gives_nothing_and_makes_nothing(
    history: History,
) -> None:
    assert history.recent() == []
    assert history.find("id") is None
    assert history.forget("anna") == 0
    assert not history.path.parent.exists()


def test_it_can_be_filtered(history: History) -> None:
    history.append(entry(0))
    history.append(entry(1, outcome="accepted", speaker="bob"))
    history.append(entry(2, outcome="inconclusive", scores=[]))
    assert ids(history.recent(speaker="anna")) == ["id-0000"]
    assert ids(history.recent(speaker="bob")) == ["id-0001"]
    assert ids(history.recent(outcome="inconclusive")) == ["id-0002"]
    assert ids(history.recent(since=NOON + timedelta(minutes=1))) == ["id-0002", "id-0001"]
    assert ids(history.recent(speaker="' OR 1 --")) == []


def test_a_decision_is_found_by_the_beginning_of_its_id(history: History) -> None:
    for number in (1, 2, 19):
        history.append(entry(number))
    assert history.find("id-0019") == entry(19)
    assert history.find("id-0002") == entry(2)
    assert history.find("id-00") is None
    assert history.find("") is None
    assert history.find("%") is None


def test_only_the_last_ones_are_kept_give_or_take_one_pruning(tmp_path: Path) -> None:
    history = History(tmp_path / "h", HistoryConfig(max_entries=20))
    for number in range(101):
        history.append(entry(number))
        assert len(history.recent(1000)) <= 20 + 50
    kept = history.recent(1000)
    history.close()
    assert ids(kept)[:1] == ["id-0100"]
    assert len(kept) == 20


def test_old_ones_go(tmp_path: Path) -> None:
    first = History(tmp_path / "h")
    first.append(entry(0))
    first.close()
    later = History(tmp_path / "h", HistoryConfig(max_age_days=1))
    later.append(entry(2 * 24 * 60))
    assert ids(later.recent()) == ["id-2880"]
    later.close()


def test_zero_entries_means_no_history(tmp_path: Path) -> None:
    history = History(tmp_path / "h", HistoryConfig(max_entries=0))
    history.append(entry(0))
    assert not (tmp_path / "h").exists()


def test_the_file_is_private_whatever_the_umask(history: History) -> None:
    before = os.umask(0)
    try:
        history.append(entry(0))
    finally:
        os.umask(before)
    assert stat.S_IMODE(history.path.stat().st_mode) == 0o600
    assert [path.name for path in history.path.parent.iterdir()] == [history.path.name]


@pytest.mark.parametrize("damage", ["garbage", "middle", "truncated"])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(history: History, damage: str) -> None:
    for number in range(60):
        history.append(entry(number))
    history.close()
    content = history.path.read_bytes()
    if damage == "garbage":
        history.path.write_bytes(b"this is no database" * 100)
    elif damage == "middle":
        history.path.write_bytes(content[:200] + b"\xff" * 8000 + content[8200:])
    else:
        history.path.write_bytes(content[:5000])
    history.append(entry(500))
    assert ids(history.recent()) == ["id-0500"]
    assert history.path.with_name("history.sqlite3.damaged").exists()


def test_a_second_damage_does_not_pile_up_files(history: History) -> None:
    for number in range(3):
        history.append(entry(number))
        history.close()
        history.path.write_bytes(b"this is no database" * 100)
    history.append(entry(3))
    assert len(list(history.path.parent.iterdir())) == 2


def test_a_locked_file_is_an_error_now_and_none_later(history: History) -> None:
    history.append(entry(0))
    blocker = sqlite3.connect(history.path)
    blocker.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StateError, match="locked"):
        history.append(entry(1))
    blocker.rollback()
    blocker.close()
    history.append(entry(2))
    assert ids(history.recent()) == ["id-0002", "id-0000"]


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a tiny file system needs root")
def test_a_full_disk_costs_entries_only(tmp_path: Path) -> None:
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tiny)]
    if subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("this container does not allow mounting")
    history = History(tiny / "h")
    try:
        with pytest.raises(StateError, match="full"):  # noqa: PT012
            for number in range(1000):
                history.append(entry(number))
        kept = len(history.recent(1000))
        assert kept > 10
    finally:
        history.close()
        subprocess.run(["umount", str(tiny)], check=True)


def test_it_may_be_called_from_several_threads(history: History) -> None:
    with ThreadPoolExecutor(4) as executor:
        list(executor.map(history.append, [entry(number) for number in range(40)]))
    assert len(history.recent(100)) == 40


def test_a_forgotten_person_leaves_nothing_behind(history: History) -> None:
    history.append(entry(0, outcome="accepted", speaker="anna"))
    history.append(entry(1))
    history.append(entry(2, outcome="accepted", speaker="bob", scores=[]))
    assert history.forget("anna") == 2
    assert [score["speaker"] for score in history.recent(speaker="bob")[-1]["scores"]] == ["bob"]
    assert ids(history.recent()) == ["id-0002", "id-0001"]
    history.close()
    assert b"anna" not in history.path.read_bytes()


def damage_first_entry(history: History, text: str | bytes | int) -> None:
    history.append(entry(0))
    history.append(entry(1))
    history.close()
    with sqlite3.connect(history.path) as connection:
        connection.execute("UPDATE decisions SET payload = ? WHERE id = 1", (text,))
    connection.close()


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"scores": 1e400}', "[]", "not JSON", 7, b"\xff", ""]
)
def test_an_entry_that_is_no_payload_is_told_and_hides_no_other(
    history: History, text: str | bytes | int
) -> None:
    damage_first_entry(history, text)
    with capture_logs() as logs:
        assert ids(history.recent()) == ["id-0001"]
    assert [each["event"] for each in logs] == ["history_entry_refused"]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"scores": 1e400}', "{}", '{"scores": 1}'])
def test_what_nobody_understands_goes_with_whoever_is_forgotten(
    history: History, text: str
) -> None:
    damage_first_entry(history, text)
    history.forget("nobody")
    assert ids(history.recent()) == ["id-0001"]


@pytest.mark.parametrize(
    "values", [{"max_entries": -1}, {"max_age_days": 0.0}, {"max_age_days": float("nan")}]
)
def test_limits_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be between"):
        HistoryConfig(**values)


def test_what_a_stream_has_lost_is_remembered_once_per_opening(history: History) -> None:
    """The newest first; noted again, it replaces what was noted before; old notes go."""

    def note(opened: int, noted: int, num_overflows: int) -> dict[str, Any]:
        times = {
            name: (NOON + timedelta(minutes=minutes)).isoformat(timespec="milliseconds")
            for name, minutes in (("opened_at", opened), ("noted_at", noted))
        }
        return {"stream": "kitchen", **times, "num_overflows": num_overflows}

    assert history.diagnostics() == []
    for each in (note(0, 1, 1), note(0, 2, 5), note(3, 4, 2)):
        history.note(each)
    assert history.diagnostics() == [note(3, 4, 2), note(0, 2, 5)]
    assert history.recent() == []
    history.append(entry(60 * 24 * 31))  # a month later, pruned as decisions are
    assert history.diagnostics() == []


def test_without_a_history_nothing_is_noted(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite3", HistoryConfig(max_entries=0))
    history.note({"stream": "kitchen", "opened_at": "", "noted_at": ""})
    assert not history.path.exists()
