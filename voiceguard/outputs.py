"""Standard output and error that fail without taking anything along.

A full disk, a closed pipe or a terminal that can't show a letter costs what is printed, never what
is decided: errors of the descriptor are noted instead of raised, and letters outside the encoding
are written as escapes. Whoever prints need not know.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import ReadableBuffer


class ForgivingFile(io.FileIO):
    """A descriptor whose first error is noted; what is written from then on goes nowhere."""

    def __init__(self, descriptor: int, *, closefd: bool) -> None:
        super().__init__(descriptor, "w", closefd=closefd)
        self.failure: OSError | None = None
        self.on_failure: Callable[[OSError], None] = lambda _error: None

    def write(self, content: ReadableBuffer, /) -> int:
        num_bytes = memoryview(content).nbytes
        if self.failure is not None:
            return num_bytes
        try:
            return super().write(content) or 0
        except OSError as error:
            self.failure = error
            self.on_failure(error)
            return num_bytes


def forgiving(descriptor: int, *, encoding: str = "utf-8", closefd: bool = False) -> TextIO:
    """A text file over a descriptor that never fails; written line by line."""
    raw = io.BufferedWriter(ForgivingFile(descriptor, closefd=closefd))
    return io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", line_buffering=True)


def forgive_standard_streams() -> None:
    """From here on ``sys.stdout`` and ``sys.stderr`` never fail.

    A descriptor that was closed (``>&-``) becomes /dev/null: the next file to be opened, the
    history say, would get its number, and with it what a library prints.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    sys.stdout = forgiving(1, encoding=getattr(sys.stdout, "encoding", "utf-8"))
    sys.stderr = forgiving(2, encoding=getattr(sys.stderr, "encoding", "utf-8"))


def file_of(stream: TextIO | None) -> ForgivingFile | None:
    """What is behind a stream that never fails; None behind any other."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, ForgivingFile) else None
