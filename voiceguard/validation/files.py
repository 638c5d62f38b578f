"""The one door for files that a person names, or that others can reach: regular ones, of a size.

Opening a FIFO waits for a writer, a device may do anything and have no end; whoever waits for a
file of the store must not wait for somebody's FIFO. Errors are OSErrors, as those of ``open``.
``python -m tests.checks`` finds what is opened elsewhere.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import select
import stat
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

PIPE_PATIENCE_S = 60.0
"""A password manager asks its person first."""
_OPENING_S = 5.0
"""For somebody to open the other end."""
_PIECE_BYTES = 65_536
_LOCK_POLL_S = 0.01


def open_regular(path: Path) -> BufferedReader:
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


def read_whole(path: Path, max_bytes: int) -> bytes:
    """All of a regular file; raises as ``open_regular``, also where it is larger than that."""
    return _bounded(read_regular(path, max_bytes + 1), path, max_bytes)


def read_text(path: Path, max_bytes: int) -> str:
    """As ``read_whole``, of UTF-8 text; without the byte order mark that some editors leave.

    Raises:
        UnicodeDecodeError: It is no such text.
    """
    return read_whole(path, max_bytes).decode("utf-8-sig")


def read_given(path: Path, max_bytes: int, *, patience_s: float = PIPE_PATIENCE_S) -> bytes:
    """As ``read_whole``, but also of a pipe: what a shell makes of ``<(command)``.

    Args:
        path: What a person named in a command.
        max_bytes: The most that it may hold.
        patience_s: How long a pipe may keep silent.

    Raises:
        OSError: As ``read_whole``; or nothing comes out of the pipe.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            _check_regular(descriptor, path)
            return _bounded(file.read(max_bytes + 1), path, max_bytes)
        coming = select.poll()
        coming.register(descriptor, select.POLLIN)
        content = bytearray()
        while len(content) <= max_bytes:
            if piece := file.read(_PIECE_BYTES):
                content += piece
                continue
            is_open = piece is None  # else nobody writes: not yet, or not any more
            wait_s = patience_s if is_open else min(patience_s, _OPENING_S)
            if not (events := coming.poll(wait_s * 1000)):
                why = f"nothing has come out of it for {wait_s:g} s"
                raise OSError(errno.ETIMEDOUT, why, str(path))
            if not is_open and events[0][1] & select.POLLHUP:
                break
    return _bounded(bytes(content), path, max_bytes)


def check_regular(path: Path) -> None:
    """For what opens files by their name itself; raises as ``open_regular``."""
    open_regular(path).close()


def wait_for_lock(descriptor: int, timeout_s: float) -> bool:
    """Locks a file of ours against other processes, until the descriptor is closed.

    Returns:
        False where another one has held it for so long.

    Raises:
        OSError: The file system has no locks.
    """
    until_s = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until_s:
                return False
            time.sleep(_LOCK_POLL_S)
        else:
            return True


def sync_directory(directory: Path) -> None:
    """Waits until the directory's entries are on disk: without it a rename may be lost."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _bounded(content: bytes, path: Path, max_bytes: int) -> bytes:
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {max_bytes} bytes", str(path))
    return content


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
