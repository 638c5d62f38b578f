"""The directory behind the store: its files, one writer at a time, errors that name the file."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from typing import TYPE_CHECKING

from voiceguard.errors import StateError, VoiceprintError
from voiceguard.paths import PRIVATE_FILE_MODE
from voiceguard.validation.files import open_own, read_regular
from voiceguard.voiceprints.durable import TEMPORARY_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
    """One writer at a time; clears what a killed one left behind.

    Raises:
        StateError: The directory can't be written to.
    """
    try:
        descriptor = open_own(directory / ".lock", PRIVATE_FILE_MODE)
    except OSError as error:
        raise cannot_write(directory, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for leftover in directory.glob(f".*{TEMPORARY_SUFFIX}"):
            leftover.unlink(missing_ok=True)
        yield
    finally:
        os.close(descriptor)


def cannot_write(path: Path, error: OSError) -> StateError:
    """What to raise when a file couldn't be written or deleted."""
    hint = f"run as the owner of {path.parent}"
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        hint = "free some space and try again; what was stored before is unharmed"
    return StateError(f"cannot write {path}: {error.strerror}", hint=hint)
