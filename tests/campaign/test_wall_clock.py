"""The preload of ``clock_steps`` shifts the wall clock, by any of its ways, and no other clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.campaign.clock_steps import compiled

if TYPE_CHECKING:
    from pathlib import Path

ASK = """
import datetime, json, time
now = datetime.datetime.now(datetime.timezone.utc).timestamp()
print(json.dumps([now, time.time(), time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME)]))
"""


def test_only_the_wall_clock_is_shifted(tmp_path: Path) -> None:
    library = compiled(tmp_path)
    if library is None:
        pytest.skip("there is no C compiler called cc")
    shift = tmp_path / "shift"

    def ask(shift_s: int) -> list[float]:
        shift.write_text(str(shift_s))
        environment = {**os.environ, "LD_PRELOAD": str(library), "SHIFT_FILE": str(shift)}
        command = [sys.executable, "-c", ASK]
        return list(json.loads(subprocess.run(command, check=True, capture_output=True,
                                              env=environment).stdout))  # fmt: skip

    straight, shifted = ask(0), ask(-3600)
    differences = [round((b - a) / 60) for a, b in zip(straight, shifted, strict=True)]
    assert differences == [-60, -60, 0, 0]
