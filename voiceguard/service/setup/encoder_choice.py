"""Which encoder to propose: the strongest one that this machine carries, with what it costs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

STRONG = "campplus"
MIN_CORES = 2
MIN_MEMORY_MB = 1500

COST = (
    "it confuses 0.9 % of 3 s tests instead of 1.9 %, takes twice the CPU while somebody "
    "speaks, 60 MB more memory, and is fetched once (81 MB)"
)
"""From docs/what-was-measured.md and docs/encoders.md."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What it has."""

    num_cores: int
    memory_mb: int

    @property
    def carries_strong(self) -> bool:
        """Whether the strong encoder leaves it room for other work."""
        return self.num_cores >= MIN_CORES and self.memory_mb >= MIN_MEMORY_MB


def this_machine() -> Machine:
    """Cores that this process may use, and the machine's memory; 0 where nobody tells."""
    return Machine(len(os.sched_getaffinity(0)), _memory_mb(Path("/proc/meminfo")))


def _memory_mb(meminfo: Path) -> int:
    try:
        first = meminfo.read_text("ascii").splitlines()[0].split()
        return int(first[1]) // 1024
    except (OSError, ValueError, IndexError):
        return 0
