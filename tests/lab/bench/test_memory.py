"""A process's memory is its own, whatever its parent held."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from voiceguard.lab.bench.memory import peak_memory_mb

HELD_MB = 400
ASK = "from voiceguard.lab.bench.memory import peak_memory_mb; print(peak_memory_mb())"


def test_a_child_does_not_begin_with_its_parents() -> None:
    held = np.ones(HELD_MB << 20, dtype=np.uint8)
    assert peak_memory_mb() > HELD_MB
    asked = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert 1 < float(asked.stdout) < 100
    del held
    assert peak_memory_mb() > HELD_MB, "the greatest, not the present one"


def test_of_a_process_that_is_not_there_nothing_is_known() -> None:
    assert np.isnan(peak_memory_mb(2**30))
