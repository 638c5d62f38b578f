"""Files that survive a crash: on disk when the call returns, whole or not there at all."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from voiceguard.paths import PRIVATE_FILE_MODE

if TYPE_CHECKING:
    from pathlib import Path

TEMPORARY_SUFFIX = ".tmp"


def temporary_beside(path: Path) -> Path:
    """A name for a file that will become ``path``: hidden, unique, in the same directory."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")


def write_durably(path: Path, content: bytes) -> None:
    """Writes a new file, 0600, and waits until its content is on disk.

    Raises:
        OSError: It exists, the disk is full, or anything else; a partial file may be left.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_durably(*files: tuple[Path, bytes]) -> None:
    """Puts content in the place of files of one directory, each in one step, in this order.

    All contents are on disk before the first file is replaced, so that a full disk changes none.
    A reader sees each file old or new; after a crash the first ones may be new and the rest old.

    Raises:
        OSError: The temporary files are gone; unless a rename failed, nothing has changed.
    """
    staged: list[tuple[Path, Path]] = []
    try:
        for path, content in files:
            staged.append((temporary_beside(path), path))
            write_durably(staged[-1][0], content)
        for temporary, path in staged:
            temporary.replace(path)
    except BaseException:  # Ctrl-C included: leave nothing half-stored
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)
        raise
    sync_directory(files[0][0].parent)


def sync_directory(directory: Path) -> None:
    """Waits until the directory's entries are on disk: without it a rename may be lost."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
