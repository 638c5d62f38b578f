"""Memory of the running daemon, and how long it takes from its start until it listens.

::

    taskset -c 0 python -m tests.benchmarks.light [PYTHON] [ENCODER]     # PYTHON: of an environment

Starts ``voiceguard run`` on standard input three times, with a voice on it; memory is what is
resident once the voice was decided on, as the kernel counts it. The start is by the clock, which
means something on an idle core, and what it took of the processor.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from voiceguard.encoder import golden

NUM_STARTS = 3


def main(python: str = sys.executable, model: str = "default") -> None:
    """Prints the medians."""
    each = [_once(python, model) for _ in range(NUM_STARTS)]
    starts, processor, memory = zip(*each, strict=True)
    print(
        f"{model}: start to listening {statistics.median(starts):.2f} s (fastest {min(starts):.2f})"
        f", {statistics.median(processor):.2f} s of the processor"
    )
    print(f"{model}: resident {statistics.median(memory):.0f} MB")


def _once(python: str, model: str) -> tuple[float, float, float]:
    speech = np.int16(2**14 * golden.signal(4.0)).tobytes()
    with tempfile.TemporaryDirectory() as folder:
        words = ("run", "--source", "stdin", "--broker", "none", "--model", model)
        where = os.environ.get("VOICEGUARD_STATE_DIR", folder)
        command = [python, "-m", "voiceguard", *words, "--state-dir", where, "-v"]
        began = time.perf_counter()
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as daemon:
            assert daemon.stdin is not None
            assert daemon.stderr is not None
            for line in daemon.stderr:
                if b"listening" in line:
                    break
            start_s = time.perf_counter() - began
            took_s = processor_s(daemon.pid)
            daemon.stdin.write(speech)
            daemon.stdin.flush()
            time.sleep(3)
            memory_mb = resident_mb(daemon.pid)
            daemon.terminate()
            daemon.stdin.close()
            daemon.stderr.read()
    return start_s, took_s, memory_mb


def processor_s(pid: int) -> float:
    """What a process has taken of the processor, kernel's work included."""
    stat = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return sum(map(int, stat[11:13])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """What a process has in memory, as Linux counts it, in units of 2**20 bytes."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    kib = next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]
    return int(kib) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
