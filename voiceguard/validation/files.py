"""The one way to open what lies in a directory that others can reach: regular files only.

Opening a FIFO waits for a writer, a device may do anything; whoever waits for a file of the store
must not wait for somebody's FIFO. Errors are OSErrors, as those of ``open``.
"""

from __future__ import annotations

import errno
import math
import os
import stat
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file for reading, never waiting for anybody; links are followed.

    Raises:
        OSError: It can't be opened, or is a FIFO, a device, a directory or the like.
    """
    # Of a regular file O_NONBLOCK means nothing; it keeps a FIFO from holding us before we look.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _check_regular(descriptor, path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def open_own(path: Path, mode: int, *, may_be_link: bool = False) -> int:
    """Opens a file of ours for reading and writing; makes it where it is missing.

    Links are not followed: a file of ours is none, and what is written would be somebody else's.

    Args:
        path: Its place.
        mode: Of a new one.
        may_be_link: People have reasons to put this one elsewhere.

    Returns:
        A descriptor.

    Raises:
        OSError: It can't be opened or made, or is a link, a FIFO, a directory or the like.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY
    if not may_be_link:
        flags |= os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, mode)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a symbolic link", str(path)) from error
        raise
    try:
        _check_regular(descriptor, path, most_names=math.inf if may_be_link else 1)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_regular(path: Path, max_bytes: int) -> bytes:
    """At most so many bytes of a regular file; raises as ``open_regular``."""
    with open_regular(path) as file:
        return file.read(max_bytes)


def _check_regular(descriptor: int, path: Path, most_names: float = math.inf) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no file")
        raise OSError(errno.EINVAL, f"it is {kind}", str(path))
    if status.st_nlink > most_names:
        raise OSError(errno.EMLINK, "it has another name elsewhere", str(path))


_KINDS = {
    stat.S_IFIFO: "a FIFO, not a file",
    stat.S_IFDIR: "a directory, not a file",
    stat.S_IFCHR: "a device, not a file",
    stat.S_IFBLK: "a device, not a file",
    stat.S_IFSOCK: "a socket, not a file",
}
