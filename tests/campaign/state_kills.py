"""Kills and failing disks at every write of the state directory: nothing acknowledged is lost.

Two ways each: at the n-th step that a writer takes on its way to the disk, and by ``kill -9`` at
any moment of a process that writes without end.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.campaign.protocol import ViolationError
from tests.recordings import TAKES
from tests.voiceprints.failing_disk import fail, killed_at, stepping
from tests.voiceprints.people import make_audio, make_person
from voiceguard.cli import main
from voiceguard.cli.command_line import command_line
from voiceguard.decisions.history import History
from voiceguard.errors import StateError, StoreKeyError, VoiceguardError, VoiceprintError
from voiceguard.paths import history_file
from voiceguard.voiceprints import VoiceprintStore
from voiceguard.voiceprints.receiving import receive
from voiceguard.voiceprints.transfer import Parcel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.campaign.protocol import Campaign, Figure
    from voiceguard.types import Voiceprint

MOST_STEPS = 45
"""More than any command takes."""


def _version(number: int) -> Voiceprint:
    """Anna, enrolled for the n-th time."""
    anna = make_person("anna", seed=number % 50)
    at = anna.created_at + timedelta(seconds=number)
    return replace(anna, created_at=at, updated_at=at)


def _check_pair(store: VoiceprintStore, seed: int, what: str) -> int | None:
    """Which version is stored, whole and with its own audio or none; None: nobody."""
    try:
        loaded = store.load_all()
        if loaded.refusals:
            raise ViolationError(f"seed {seed}, {what}: {loaded.refusals}")
        found = {each.speaker: each for each in loaded.voiceprints}
        if "anna" not in found:
            return None
        store.load_audio(found["anna"])
    except VoiceguardError as error:
        raise ViolationError(f"seed {seed}, {what}: {error}") from error
    return int((found["anna"].created_at - make_person().created_at).total_seconds())


class _Writer:
    """One of the things that write voiceprints, drawn anew each time."""

    def __init__(self, state: Path, rng: random.Random) -> None:
        self.store = VoiceprintStore(state, environ={})
        self.before = rng.choice([None, 1])
        if self.before is not None:
            self.store.save(
                _version(1), audio=make_audio(_version(1)) if rng.random() < 0.7 else None
            )
        self.name, self.work, self.after = rng.choice(list(self._ways()))

    def _ways(self) -> Iterator[tuple[str, Callable[[], object], int | None]]:
        store, new = self.store, _version(2)
        for audio in (None, make_audio(new)):
            yield "save", partial(store.save, new, overwrite=True, audio=audio), 2
            parcels = (
                Parcel(voiceprint=new, audio=audio),
                Parcel(voiceprint=make_person("bob")),
            )
            yield "import", partial(receive, store, parcels, encoder_id=None, replace=True), 2
        if self.before is not None:
            yield "remove", partial(store.remove, "anna"), None


def fail_at_steps(seconds: float, seed: int) -> Mapping[str, Figure]:
    """An I/O error at a step: what raises has changed nothing, or says what it left undone."""
    rng, until_s = random.Random(seed), time.monotonic() + seconds
    num_failures = num_done = 0
    while time.monotonic() < until_s:
        with tempfile.TemporaryDirectory() as folder:
            writer = _Writer(Path(folder), rng)
            at = rng.randrange(MOST_STEPS)
            what = f"{writer.name} with an error at step {at}"
            done = False
            with (
                stepping(at, fail),
                contextlib.suppress(StateError, StoreKeyError, VoiceprintError),
            ):
                writer.work()
                done = True
            found = _check_pair(writer.store, seed, what)
            # Several parcels, and the two files of a person who is removed, go one by one.
            right = {writer.after} if done else {writer.before}
            if writer.name != "save" and not done:
                right |= {writer.after}
            if found not in right:
                raise ViolationError(f"seed {seed}, {what}: found {found}, expected {right}")
            num_done, num_failures = num_done + done, num_failures + (not done)
    return {"num_errors": num_failures, "num_unharmed": num_done}


def kill_at_steps(seconds: float, seed: int) -> Mapping[str, Figure]:
    """A kill at a step: the old pair or the new one, and nothing that is left over for long."""
    rng, until_s = random.Random(seed), time.monotonic() + seconds
    num_kills = num_new = 0
    while time.monotonic() < until_s:
        with tempfile.TemporaryDirectory() as folder:
            writer = _Writer(Path(folder), rng)
            at = rng.randrange(MOST_STEPS)
            what = f"{writer.name} killed at step {at}"
            was_killed = killed_at(at, writer.work)
            found = _check_pair(writer.store, seed, what)
            if found not in {writer.before, writer.after}:
                raise ViolationError(f"seed {seed}, {what}: found {found}")
            num_kills, num_new = num_kills + was_killed, num_new + (found == writer.after)
            with contextlib.suppress(StoreKeyError):  # killed before there was one
                writer.store.save(make_person("carl"))
            left = [path.name for path in Path(folder).rglob(".*") if path.name != ".lock"]
            if [name for name in left if "voiceguard.key" not in name]:
                raise ViolationError(f"seed {seed}, {what}: {left} is left")
    return {"num_kills": num_kills, "num_new": num_new}


_SAVE_FOR_EVER = """
import sys
from pathlib import Path
from tests.campaign.state_kills import _version
from tests.voiceprints.people import make_audio
from voiceguard.voiceprints import VoiceprintStore
store = VoiceprintStore(Path(sys.argv[1]), environ={})
for number in range(int(sys.argv[2]), 10**9):
    new = _version(number)
    store.save(new, overwrite=True, audio=make_audio(new) if number % 3 else None)
    print(number, flush=True)
"""
_APPEND_FOR_EVER = """
import sys
from pathlib import Path
from tests.fakes import make_decision
from voiceguard.decisions.history import History
from voiceguard.decisions.wire import decision_payload
history = History(Path(sys.argv[1]))
payload = decision_payload(make_decision())
for number in range(int(sys.argv[2]), 10**9):
    history.append({**payload, "decision_id": f"{number:09}"})
    print(number, flush=True)
"""


def _killed(script: str, path: Path, first: int, lives_s: float) -> int:
    """Runs a writer and kills it; the last number that it acknowledged."""
    command = [sys.executable, "-c", script, str(path), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = int(writer.stdout.readline())
        time.sleep(lives_s)
        writer.send_signal(signal.SIGKILL)
        for line in writer.stdout.read().splitlines(keepends=True):
            if line.endswith("\n"):
                acknowledged = int(line)
    return acknowledged


def kill_while_storing(seconds: float, seed: int) -> Mapping[str, Figure]:
    """``kill -9`` of a process that saves without end."""
    rng, until_s = random.Random(seed), time.monotonic() + seconds
    num_kills, version = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        store = VoiceprintStore(Path(folder), environ={})
        while time.monotonic() < until_s:
            acknowledged = _killed(
                _SAVE_FOR_EVER, Path(folder), version + 1, rng.uniform(0.0, 0.05)
            )
            num_kills += 1
            found = _check_pair(store, seed, f"kill {num_kills}")
            if found is None or found < acknowledged:
                raise ViolationError(f"seed {seed}: {acknowledged} was stored, {found} is there")
            version = found
    return {"num_kills": num_kills, "num_saves": version}


def kill_while_remembering(seconds: float, seed: int) -> Mapping[str, Figure]:
    """``kill -9`` of a process that appends to the history without end."""
    rng, until_s = random.Random(seed), time.monotonic() + seconds
    num_kills, last = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        path = history_file(Path(folder))
        while time.monotonic() < until_s:
            acknowledged = _killed(_APPEND_FOR_EVER, path, last + 1, rng.uniform(0.0, 0.05))
            num_kills += 1
            history = History(path)
            (newest,) = history.recent(1)
            history.close()
            last = int(newest["decision_id"])
            if last < acknowledged or path.with_name(path.name + ".damaged").exists():
                raise ViolationError(f"seed {seed}: {acknowledged} was kept, {last} is there")
    return {"num_kills": num_kills, "num_entries": last}


def _begun(command: list[str]) -> int:
    """The process of a command, a fork of this one."""
    child = os.fork()
    if child == 0:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        sys.argv = ["voiceguard", *command]
        try:
            main()
        finally:
            os._exit(1)
    return child


def kill_while_enrolling(seconds: float, seed: int) -> Mapping[str, Figure]:
    """``kill -9`` of ``voiceguard enroll``: who was enrolled is, and as a whole."""
    rng, until_s = random.Random(seed), time.monotonic() + seconds
    num_kills = num_enrolled = 0
    command_line(load=True)  # before the forks: what is killed is the work, not the imports
    with tempfile.TemporaryDirectory() as folder:
        store = VoiceprintStore(Path(folder), environ={})
        command = ["enroll", "robin", "--force", "--yes", "--keep-audio", "--state-dir", folder]
        command += ["--from", *map(str, TAKES[:3])]
        started_s = time.monotonic()
        if (code := os.waitstatus_to_exitcode(os.waitpid(_begun(command), 0)[1])) != 0:
            raise ViolationError(f"seed {seed}: enroll ended with {code}")
        usual_s = time.monotonic() - started_s
        while time.monotonic() < until_s or not num_kills:
            before = store.load("robin")
            enrolling = _begun(command)
            time.sleep(rng.uniform(0.3, 1.4) * usual_s)  # the first one was slow
            os.kill(enrolling, signal.SIGKILL)
            num_kills += os.waitpid(enrolling, 0)[1] != 0
            loaded = store.load_all()
            if loaded.refusals or [each.speaker for each in loaded.voiceprints] != ["robin"]:
                raise ViolationError(f"seed {seed}, kill {num_kills}: {loaded.refusals}")
            (robin,) = loaded.voiceprints
            if store.load_audio(robin) is None:
                raise ViolationError(f"seed {seed}, kill {num_kills}: the audio is gone")
            num_enrolled += robin.updated_at != before.updated_at
    return {"num_kills": num_kills, "num_enrolled": num_enrolled}


def flip_and_cut(seconds: float, seed: int) -> Mapping[str, Figure]:
    """Every changed byte and every cut of a voiceprint or its audio is refused."""
    rng, until_s = random.Random(seed), time.monotonic() + seconds
    num_files = 0
    with tempfile.TemporaryDirectory() as folder:
        store, anna = VoiceprintStore(Path(folder), environ={}), make_person("anna")
        store.save(anna, audio=make_audio(anna))
        while time.monotonic() < until_s:
            path = store.directory / rng.choice(["anna.voiceprint", "anna.audio"])
            whole = path.read_bytes()
            content = bytearray(whole)
            if rng.random() < 0.7:
                content[rng.randrange(len(content))] ^= rng.randrange(1, 256)
            else:
                del content[rng.randrange(len(content)) :]
            path.write_bytes(content)
            with contextlib.suppress(VoiceprintError, StoreKeyError):
                store.load_audio(store.load("anna"))
                raise ViolationError(f"seed {seed}, file {num_files}: {path.name} was believed")
            path.write_bytes(whole)
            num_files += 1
    return {"num_files": num_files}


CAMPAIGNS: Final[Mapping[str, Campaign]] = {
    "state: I/O errors": fail_at_steps,
    "state: kills at steps": kill_at_steps,
    "state: kill -9, store": kill_while_storing,
    "state: kill -9, history": kill_while_remembering,
    "state: kill -9, enroll": kill_while_enrolling,
    "state: flips and cuts": flip_and_cut,
}
