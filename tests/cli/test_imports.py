"""What looks and lists starts quickly: what computes and decodes is not imported for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.pinned.product import copy_of_state

if TYPE_CHECKING:
    from pathlib import Path

LOOKS = [
    ["--help"],
    ["history"],
    ["voiceprints"],
    ["config", "show"],
    ["config", "check"],
    ["models", "info", "default"],
    ["doctor", "--broker", "none"],
]
THREADS = """
import os
from voiceguard.cli import calm_threads
calm_threads()
import numpy
print(len(os.listdir("/proc/self/task")))
"""
RUN = """
import contextlib, io, json, sys
from voiceguard.cli.command_line import command_line
found = {}
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()):
        command_line().main(words, "voiceguard", standalone_mode=False)
    found[" ".join(words)] = sorted({"torch", "torchaudio", "av", "soxr"} & set(sys.modules))
print(json.dumps(found))
"""


def test_what_looks_imports_neither_torch_nor_decoders(tmp_path: Path) -> None:
    """One process for all, in this order: what one of them imports, the next ones have."""
    state = copy_of_state(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(LOOKS)],
        env={"PATH": "/usr/bin", "HOME": str(tmp_path), "VOICEGUARD_STATE_DIR": str(state)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {" ".join(words): [] for words in LOOKS}


def test_numpy_has_one_thread_unless_somebody_wants_more() -> None:
    """Several would wait for each other's small products in circles, while somebody speaks."""

    def num_threads(**wanted: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", THREADS],
            env={"PATH": "/usr/bin", **wanted},
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stdout)

    assert num_threads() == 1
    if len(os.sched_getaffinity(0)) > 1:
        assert num_threads(OPENBLAS_NUM_THREADS="2") == 2
