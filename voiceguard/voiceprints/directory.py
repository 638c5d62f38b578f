"""The directory behind the store: its files, one writer at a time, errors that name the file."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from typing import TYPE_CHECKING

from voiceguard.errors import StateError, VoiceprintError
from voiceguard.paths import PRIVATE_FILE_MODE
from voiceguard.validation.files import open_own, read_regular, wait_for_lock
from voiceguard.voiceprints.durable import TEMPORARY_SUFFIX, finish_planned, has_plans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_TIMEOUT_S = 10.0
"""A writer takes milliseconds; one that was stopped, or hangs, holds the others no longer."""


def list_files(directory: Path, suffix: str) -> list[Path]:
    """The files of one kind, by name; none where there is no directory.

    Raises:
        StateError: The directory can't be read.
    """
    try:
        entries = list(directory.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StateError(
            f"cannot read the voiceprints' directory {directory}: {error.strerror}",
            hint="run as its owner, or as root",
        ) from error
    return sorted(p for p in entries if p.suffix == suffix and not p.name.startswith("."))


def read_file(path: Path, max_bytes: int, what: str) -> bytes:
    """At most so many bytes of a regular file.

    Raises:
        FileNotFoundError: It is not there.
        VoiceprintError: It can't be read; says what it would have been.
    """
    try:
        return read_regular(path, max_bytes)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise VoiceprintError(
            f"cannot read {what}, {path}: {error.strerror}",
            hint="run as its owner; what is no file of a voiceprint can be removed",
        ) from error


@contextlib.contextmanager
def writing(directory: Path) -> Iterator[None]:
    """One writer at a time; finishes or clears what a killed one left behind.

    Raises:
        StateError: The directory can't be written to, or somebody else does not end writing.
    """
    try:
        descriptor = open_own(directory / ".lock", PRIVATE_FILE_MODE)
    except OSError as error:
        raise cannot_write(directory, error) from error
    try:
        _lock(descriptor, directory)
        _tidy_up(directory)
        yield
    finally:
        os.close(descriptor)


def finish_interrupted(directory: Path) -> None:
    """Finishes what a killed writer had begun, for a reader: where it may, and nobody writes."""
    if not has_plans(directory):
        return
    with contextlib.suppress(OSError):
        descriptor = open_own(directory / ".lock", PRIVATE_FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finish_planned(directory)
        finally:
            os.close(descriptor)


def _lock(descriptor: int, directory: Path) -> None:
    try:
        if wait_for_lock(descriptor, LOCK_TIMEOUT_S):
            return
    except OSError as error:
        raise cannot_write(directory, error) from error
    raise StateError(
        f"another process has been writing into {directory} for {LOCK_TIMEOUT_S:g} s",
        hint="end it (`fuser` names it), then give this command again",
    )


def _tidy_up(directory: Path) -> None:
    try:
        finish_planned(directory)
        for leftover in directory.glob(f".*{TEMPORARY_SUFFIX}"):
            leftover.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(directory, error) from error


def cannot_write(path: Path, error: OSError) -> StateError:
    """What to raise when a file couldn't be written or deleted."""
    hint = f"run as the owner of {path.parent}"
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        hint = "free some space and try again; what was stored before is unharmed"
    elif error.errno in {errno.ENOLCK, errno.EOPNOTSUPP}:
        hint = "name a --state-dir on a file system that has locks: some network mounts have none"
    return StateError(f"cannot write {path}: {error.strerror}", hint=hint)
