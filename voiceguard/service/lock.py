"""One daemon per state directory: two would answer each other's decisions on the same topics."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, Self

from voiceguard.errors import StateError
from voiceguard.paths import PRIVATE_FILE_MODE, lock_file, make_private_dir
from voiceguard.validation.files import open_own

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class DaemonLock:
    """Held from ``acquire`` to ``release``, or until the process dies however it dies.

    A context manager. The file stays: removing it would let two processes lock two files.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Takes the lock at once or not at all.

        Raises:
            StateError: Another daemon holds it (its process id is named), or the state directory
                can't be used.
        """
        if self._descriptor is not None:
            return
        make_private_dir(self._state)
        path = lock_file(self._state)
        try:
            descriptor = open_own(path, PRIVATE_FILE_MODE)
        except OSError as error:
            raise StateError(
                f"cannot open the lock {path}: {error.strerror}",
                hint=f"run as the owner of {self._state}; a lock that is no file can be removed",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise StateError(
                f"another voiceguard (process {holder or 'unknown'}) already uses {self._state}",
                hint="stop it, or give this one its own --state-dir",
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise StateError(
                f"cannot lock {path}: {error.strerror}",
                hint="name a --state-dir on a file system that has locks: some network mounts "
                "have none",
            ) from error
        self._descriptor = descriptor
        with contextlib.suppress(OSError):  # a full disk: who holds it is only good to know
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Lets the next daemon in. Safe to call twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
