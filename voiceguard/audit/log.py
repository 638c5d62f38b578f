"""The audit log on disk: appended to, never rewritten; on disk when a call returns, or an error.

Several processes append (the daemon, ``enroll``, ``unlock reset``): each takes the file's lock for
the time of one line. What a killed process or a full disk left of a line is cut off by the next
one: nobody was told that it was written.
"""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from voiceguard.audit.chain import (
    MAX_LINE_BYTES,
    UNREADABLE_HINT,
    Head,
    check,
    head_of,
    next_line,
)
from voiceguard.errors import AuditError
from voiceguard.paths import PRIVATE_FILE_MODE, is_there, make_private_dir
from voiceguard.validation.files import (
    open_own,
    open_regular,
    sync_directory,
    wait_for_lock,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

_LOCK_TIMEOUT_S = 5.0


class AuditLog:
    """The log in one file; nothing is read or made before the first call."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def exists(self) -> bool:
        """Whether anything was ever written; enrollments are noted from then on."""
        return is_there(self.path)

    def append(self, event: str, **fields: Any) -> Head:  # noqa: ANN401 - JSON values
        """Writes one entry and waits until it is on disk.

        Raises:
            AuditError: It could not be written (a full disk, permissions, a process that holds
                the lock), or the last line is none of ours; the log is as it was.
        """
        make_private_dir(self.path.parent)
        is_new = not self.exists
        try:
            descriptor = open_own(self.path, PRIVATE_FILE_MODE)
            try:
                if not wait_for_lock(descriptor, _LOCK_TIMEOUT_S):
                    raise TimeoutError("another process holds its lock")
                head = _append(descriptor, event, fields)
            finally:
                os.close(descriptor)
            if is_new:
                sync_directory(self.path.parent)
        except (OSError, TimeoutError) as error:
            raise AuditError(
                f"cannot write the audit log {self.path}: "
                f"{getattr(error, 'strerror', None) or error}",
                hint="free some disk space, or mend the permissions of that file; until then no "
                "lock is answered",
            ) from error
        return head

    def entries(self) -> Iterator[tuple[dict[str, Any], Head]]:
        """Every entry, checked, oldest first; raises AuditError as ``chain.check``."""
        try:
            with open_regular(self.path) as file:
                yield from check(_whole_lines(file))
        except FileNotFoundError:
            raise AuditError(
                f"there is no audit log {self.path}",
                hint="it begins with `voiceguard unlock keys`",
            ) from None
        except OSError as error:
            raise AuditError(
                f"cannot read the audit log {self.path}: {error.strerror}",
                hint="run as the owner of that file",
            ) from error


def _append(descriptor: int, event: str, fields: dict[str, Any]) -> Head:
    end, last = _tail(descriptor)
    head = Head() if last is None else head_of(last)
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line, new_head = next_line(head, at, event, fields)
    os.ftruncate(descriptor, end)
    rest = line + b"\n"
    try:
        at_byte = end
        while rest:
            written = os.pwrite(descriptor, rest, at_byte)
            rest, at_byte = rest[written:], at_byte + written
        os.fsync(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, end)
        raise
    return new_head


def _tail(descriptor: int) -> tuple[int, bytes | None]:
    """Where the last whole line ends, and that line; None: there is none."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - 2 * (MAX_LINE_BYTES + 1))
    tail = os.pread(descriptor, size - start, start)
    end = tail.rfind(b"\n") + 1
    if end == 0:
        if start:
            raise AuditError(
                "the audit log ends in a line that is too long to be ours", hint=UNREADABLE_HINT
            )
        return 0, None
    begin = tail.rfind(b"\n", 0, end - 1) + 1
    return start + end, tail[begin : end - 1]


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """Without newlines; a last line that has none was never finished."""
    while (line := file.readline(MAX_LINE_BYTES + 1)).endswith(b"\n"):
        yield line[:-1]
    if len(line) > MAX_LINE_BYTES:
        yield line  # none of ours: whoever checks it says so
