"""The audit log: appended to by several processes, and no change to it goes unseen."""

from __future__ import annotations

import contextlib
import json
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.voiceprints.failing_disk import fail, killed_at, stepping
from voiceguard.audit.log import AuditLog
from voiceguard.errors import AuditError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    made = AuditLog(tmp_path / "state" / "audit.jsonl")
    for number in range(5):
        made.append("something", what=f"né {number}")
    return made


def lines_of(log: AuditLog) -> list[bytes]:
    return log.path.read_bytes().splitlines(keepends=True)


def test_entries_come_back_numbered_and_private(log: AuditLog) -> None:
    entries = [entry for entry, _ in log.entries()]
    assert [entry["number"] for entry in entries] == [1, 2, 3, 4, 5]
    assert entries[2]["what"] == "né 2"
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda lines: [*lines[:2], lines[2].replace(b"2", b"7", 1), *lines[3:]], "line 3|line 4"),
        (lambda lines: [*lines[:2], *lines[3:]], "line 3"),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], "line 3"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "line 1"),
        (lambda lines: lines[1:], "line 1"),
        (lambda lines: [*lines[:2], b"[]\n", *lines[2:]], "line 3"),
    ],
)
def test_a_line_changed_removed_inserted_or_moved_is_found(
    log: AuditLog, change: object, where: str
) -> None:
    assert callable(change)
    log.path.write_bytes(b"".join(change(lines_of(log))))
    with pytest.raises(AuditError, match=where):
        list(log.entries())


def test_every_bit_counts(log: AuditLog) -> None:
    """Of the last line only its own hash can tell: `verify` compares it with what is known."""
    whole = log.path.read_bytes()
    *_, (_, last) = log.entries()
    for at in range(0, len(whole) - 1, 7):
        log.path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            heads = [head for _, head in log.entries()]
        except AuditError:
            continue
        assert heads[-1:] != [last], at


def test_a_full_disk_leaves_the_log_as_it_was(log: AuditLog) -> None:
    whole = log.path.read_bytes()
    for step in range(3):
        with stepping(step, fail), contextlib.suppress(AuditError):
            log.append("something")
            assert step == 2, "there are two steps: open and fsync"
            break
        assert log.path.read_bytes() == whole
    assert log.append("after all").number == 7


def test_a_limit_on_file_size_is_a_full_disk(log: AuditLog) -> None:
    """Written by the system as far as it goes: what was written of the line is taken back."""
    whole = log.path.read_bytes()
    code = (
        "import signal, sys, pathlib, resource\n"
        "from voiceguard.audit.log import AuditLog\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(whole) + 20},) * 2)\n"
        "AuditLog(pathlib.Path(sys.argv[1])).append('something')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, log.path], capture_output=True, check=False, text=True
    )
    assert "AuditError: cannot write the audit log" in done.stderr
    assert log.path.read_bytes() == whole


def test_after_a_kill_at_any_step_the_log_goes_on(log: AuditLog) -> None:
    step = 0
    while killed_at(step, lambda: log.append("killed")):
        step += 1
        log.append("after a kill")
        assert [entry["number"] for entry, _ in log.entries()][-1] >= 5 + step
    assert step >= 2


def test_half_a_line_is_cut_off_by_the_next(log: AuditLog) -> None:
    with log.path.open("ab") as file:
        file.write(b'{"number":6,"at":"2026')
    assert len(list(log.entries())) == 5
    assert log.append("next").number == 6
    assert len(list(log.entries())) == 6


def test_a_log_that_ends_in_something_else_is_not_written_to(log: AuditLog) -> None:
    with log.path.open("ab") as file:
        file.write(b"nonsense\n")
    with pytest.raises(AuditError, match="none of ours"):
        log.append("next")


def test_several_processes_make_one_chain(log: AuditLog) -> None:
    code = (
        "import sys, pathlib\nfrom voiceguard.audit.log import AuditLog\n"
        "for n in range(20): AuditLog(pathlib.Path(sys.argv[1])).append('x', n=n)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, log.path]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert len(list(log.entries())) == 65
    assert all(json.loads(line) for line in lines_of(log))


def test_no_log_is_an_error_that_says_how_it_begins(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="there is no audit log") as caught:
        list(AuditLog(tmp_path / "audit.jsonl").entries())
    assert "unlock keys" in caught.value.hint


def test_a_line_without_an_end_is_not_read_whole(log: AuditLog) -> None:
    """Whatever somebody has put there: a disk full of it must not fill memory."""
    with log.path.open("r+b") as file:
        file.truncate(1 << 40)  # a hole: it takes no room
    with pytest.raises(AuditError, match="line 6 of the audit log can't be read: it is larger"):
        list(log.entries())
    with pytest.raises(AuditError, match="too long to be ours") as caught:
        log.append("something")
    assert "voiceguard audit verify" in caught.value.hint
