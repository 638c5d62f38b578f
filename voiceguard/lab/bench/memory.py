"""How much memory a process has held at most, of its own."""

from __future__ import annotations

import os
from pathlib import Path


def peak_memory_mb(pid: int | None = None) -> float:
    """The greatest resident set of a process, in MiB; NaN where the system doesn't tell. Linux.

    Not ``getrusage``: what it tells of a process begins with what its parent held.

    Args:
        pid: None: this one.
    """
    try:
        status = Path(f"/proc/{os.getpid() if pid is None else pid}/status").read_text()
    except OSError:
        return float("nan")
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")
