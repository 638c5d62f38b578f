"""Runs the command line on a terminal of a given width, as a person does."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
TIMEOUT_S = 60.0


class Terminal:
    """``voiceguard ARGUMENTS`` with standard input, output and error on a terminal.

    A context manager; at its end the process is killed where it still runs.
    """

    def __init__(
        self,
        *arguments: str | Path,
        state: Path,
        columns: int = 80,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.said = ""
        self._master, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        kept = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "voiceguard", *map(str, arguments)],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            env={
                **kept,
                "TERM": "xterm",
                "VOICEGUARD_STATE_DIR": str(state),
                "XDG_CONFIG_HOME": str(state.parent / "config"),
                **(environment or {}),
            },
        )
        os.close(terminal)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._master)

    def wait_for(self, text: str, timeout_s: float = TIMEOUT_S) -> None:
        """Reads until that was said since the last answer; fails with what was said instead."""
        self.read_until(lambda: text in self.said, timeout_s)
        assert text in self.said, f"{text!r} was not said:\n{self.said}"

    def answer(self, text: str) -> None:
        """Types a line; what was said before it is forgotten."""
        self.said = ""
        self.type(f"{text}\n")

    def type(self, keys: str) -> None:
        """Types exactly that."""
        os.write(self._master, keys.encode())

    def finish(self, timeout_s: float = TIMEOUT_S) -> int:
        """Reads to the end; the exit code."""
        self.read_until(lambda: False, timeout_s)
        return self.process.wait(timeout=5)

    def read_until(self, is_enough: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
        """Reads until that is so, the process has ended, or the time is up."""
        deadline_s = time.monotonic() + timeout_s
        while not is_enough() and time.monotonic() < deadline_s:
            if not select.select([self._master], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the process has ended
                return
            self.said += _ESCAPES.sub("", data.decode(errors="replace")).replace("\r\n", "\n")
