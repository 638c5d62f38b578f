"""What locks must not forget, in one file: attempts by action, and the sequence number. Blocking.

Read and written under a lock, so that ``voiceguard unlock reset`` and a running daemon can't undo
each other; on disk when a change returns. A file that is damaged, or gone while there is a key,
opens nothing until somebody resets it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from voiceguard.errors import StateError
from voiceguard.paths import PRIVATE_FILE_MODE, make_private_dir
from voiceguard.unlock.attempts import Attempts, Moment
from voiceguard.validation.files import open_own, wait_for_lock
from voiceguard.validation.parsing import read_json_object
from voiceguard.validation.ranges import Between, check_ranges
from voiceguard.validation.reading import plain, read
from voiceguard.voiceprints.durable import replace_durably

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORMAT = 1
_MAX_BYTES = 1 << 20
_LOCK_TIMEOUT_S = 5.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PROCESS_BOOT_ID = os.urandom(16).hex()
"""Where the system has none: every start is another boot, which only lengthens lockouts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """The file's content."""

    format: int = _FORMAT
    sequence: Annotated[int, Between(0, 2**53 - 1)] = 0
    """Of the last envelope."""
    audit_number: Annotated[int, Between(0)] = 0
    audit_digest: str = ""
    """A line that the audit log must hold, so that its end can't be cut off unseen."""
    actions: dict[str, Attempts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.format != _FORMAT:
            raise ValueError(f"format must be {_FORMAT}, not {self.format}")
        check_ranges(self)

    def of(self, action: str) -> Attempts:
        """What is remembered of an action."""
        return self.actions.get(action, Attempts())

    def with_attempts(self, action: str, attempts: Attempts) -> Counters:
        """The same with another state of one action."""
        return replace(self, actions={**self.actions, action: attempts})


class CounterFile:
    """Reads and changes the counters."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Makes the file where there is none.

        Its sequence begins with the seconds since 1970, so that it rises even where an older file
        was lost: nobody unlocks once a second.

        Raises:
            StateError: It can't be made.
        """
        with self._locked():
            if not os.path.lexists(self.path):
                self._write(Counters(sequence=int(time.time())))

    def read(self) -> Counters:
        """The counters as they are on disk.

        Raises:
            StateError: Missing or damaged.
        """
        try:
            return read(Counters, read_json_object(self.path, max_bytes=_MAX_BYTES))
        except FileNotFoundError:
            raise StateError(
                f"the counters of locks {self.path} are gone: nobody knows who has tried how often",
                hint="`voiceguard unlock reset --all` begins anew",
            ) from None
        except ValueError as error:
            raise StateError(
                f"the counters of locks {self.path} are damaged: {error}",
                hint="`voiceguard unlock reset --all` begins anew",
            ) from error
        except OSError as error:
            raise StateError(
                f"cannot read the counters of locks {self.path}: {error.strerror}",
                hint="run as the owner of that file",
            ) from error

    @contextlib.contextmanager
    def change(self) -> Iterator[Change]:
        """The counters, to be put another way; on disk when the block has ended without an error.

        Raises:
            StateError: Missing, damaged, locked for long, or a full disk: nothing has changed.
        """
        with self._locked():
            changing = Change(self.read())
            before = changing.counters
            yield changing
            if changing.counters != before:
                self._write(changing.counters)

    @contextlib.contextmanager
    def begin_anew(self) -> Iterator[Change]:
        """As ``change``, with every attempt forgotten, whatever the file holds.

        The sequence goes on where it is known.

        Raises:
            StateError: It can't be written.
        """
        with self._locked():
            try:
                known = self.read()
            except StateError:
                known = Counters(sequence=int(time.time()))
            changing = Change(replace(known, actions={}))
            yield changing
            self._write(changing.counters)

    def _write(self, counters: Counters) -> None:
        content = json.dumps(plain(counters), separators=(",", ":")).encode() + b"\n"
        try:
            replace_durably((self.path, content))
        except OSError as error:
            raise StateError(
                f"cannot write the counters of locks {self.path}: {error.strerror}",
                hint="free some disk space; until then no lock is answered",
            ) from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        make_private_dir(self.path.parent)
        lock = self.path.with_suffix(".lock")
        try:
            descriptor = open_own(lock, PRIVATE_FILE_MODE)
        except OSError as error:
            raise StateError(
                f"cannot open the lock {lock}: {error.strerror}",
                hint="free some disk space, or run as the owner of that directory",
            ) from error
        try:
            _lock(descriptor, lock)
            yield
        finally:
            os.close(descriptor)


@dataclass(slots=True)
class Change:
    """Counters that are about to be written."""

    counters: Counters


def boot_id() -> str:
    """Of this boot of the machine: 32 hexadecimal digits."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")
    except OSError:
        return _PROCESS_BOOT_ID


def moment_at(boottime_s: float) -> Moment:
    """A moment of this boot."""
    return Moment(boot_id(), boottime_s)


def _lock(descriptor: int, path: Path) -> None:
    try:
        if wait_for_lock(descriptor, _LOCK_TIMEOUT_S):
            return
    except OSError as error:
        raise StateError(
            f"cannot lock {path}: {error.strerror}",
            hint="the state directory must be on a file system that has locks",
        ) from error
    raise StateError(
        f"another process has held the lock {path} for {_LOCK_TIMEOUT_S:g} s",
        hint="end it (`fuser` names it), then try again",
    )
