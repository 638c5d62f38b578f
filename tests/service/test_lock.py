"""One daemon per state directory."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from voiceguard.errors import StateError
from voiceguard.service.lock import DaemonLock
from voiceguard.unlock.counters import CounterFile
from voiceguard.voiceprints import VoiceprintStore

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys, time
from pathlib import Path
from voiceguard.service.lock import DaemonLock
with DaemonLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_daemon_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    with DaemonLock(tmp_path):
        with pytest.raises(StateError, match=f"process {os.getpid()}") as caught:
            DaemonLock(tmp_path).acquire()
        assert "--state-dir" in caught.value.hint
    with DaemonLock(tmp_path):
        pass


def test_a_lock_that_leads_elsewhere_is_refused_and_nothing_is_truncated(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    lock = state / "lock"
    lock.symlink_to(victim)
    with pytest.raises(StateError, match="symbolic link"):
        DaemonLock(state).acquire()
    lock.unlink()
    os.link(victim, lock)
    with pytest.raises(StateError, match="another name"):
        DaemonLock(state).acquire()
    lock.unlink()
    os.mkfifo(lock)
    with pytest.raises(StateError, match="a FIFO"):
        DaemonLock(state).acquire()
    assert victim.read_text() == "precious"


def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some network mounts are: neither daemon nor store goes on as if nobody else wrote."""

    def no_locks(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    counters = CounterFile(tmp_path / "unlock.json")
    for take in (
        DaemonLock(tmp_path).acquire,
        VoiceprintStore(tmp_path, environ={}).prepare,
        counters.create,
    ):
        with pytest.raises(StateError, match="No locks available") as caught:
            take()
        assert "file system that has locks" in caught.value.hint
    assert not counters.path.exists()


def test_releasing_twice_is_safe_and_makes_the_directory_if_missing(tmp_path: Path) -> None:
    lock = DaemonLock(tmp_path / "state")
    lock.acquire()
    lock.acquire()
    lock.release()
    lock.release()


def test_a_killed_daemon_leaves_no_lock_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StateError, match=f"process {holder.pid}"):
            DaemonLock(tmp_path).acquire()
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=10)
    with DaemonLock(tmp_path):
        pass
