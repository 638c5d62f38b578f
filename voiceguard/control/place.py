"""Where the control socket is: ``control.sock`` in the state directory, for its owner only.

A path of a Unix socket has at most 107 bytes. A state directory may be longer, so both sides reach
the socket through a descriptor of its directory.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from typing import TYPE_CHECKING

from voiceguard.paths import PRIVATE_FILE_MODE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "control.sock"
_BACKLOG = 16


def control_socket(state: Path) -> Path:
    """Its path, whether or not somebody listens there."""
    return state / NAME


def listen(state: Path) -> socket.socket:
    """Makes the socket, in the place of one that an earlier daemon left.

    Only the holder of the state directory's lock may call it.

    Raises:
        OSError: Something else has its place, or it can't be made.
    """
    server = _new_socket()
    try:
        with _reachable(state) as path:
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISSOCK(os.lstat(path).st_mode):
                    os.unlink(path)  # noqa: PTH108 - through a descriptor
            server.bind(path)
            os.chmod(path, PRIVATE_FILE_MODE)  # noqa: PTH101 - before it listens nobody is let in
        server.listen(_BACKLOG)
    except BaseException:
        server.close()
        raise
    server.setblocking(False)  # noqa: FBT003 - its only parameter
    return server


def connect(state: Path, timeout_s: float) -> socket.socket:
    """Connects to whoever listens there.

    Raises:
        OSError: Nobody does, or one may not.
    """
    client = _new_socket()
    try:
        client.settimeout(timeout_s)
        with _reachable(state) as path:
            client.connect(path)
    except BaseException:
        client.close()
        raise
    return client


def _new_socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)


@contextlib.contextmanager
def _reachable(state: Path) -> Iterator[str]:
    directory = os.open(state, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{NAME}"
    finally:
        os.close(directory)
