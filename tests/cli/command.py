"""Runs the command line in a process of its own, as a user does.

A fork of one that has imported everything, where nothing speaks against it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.cli.forked import Forks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_FORKS = Forks({**os.environ, "COLUMNS": "160"})


def voiceguard(
    *arguments: str | Path,
    state: Path,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    prefix: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """``voiceguard ARGUMENTS`` with a state directory of its own; output as text.

    ``prefix`` goes before it: ``("prlimit", "--fsize=0")``.
    """
    settings = {
        "VOICEGUARD_STATE_DIR": str(state),
        "XDG_CONFIG_HOME": str(state / "no-config"),
        "COLUMNS": "160",
        **(environment or {}),
    }
    variables = {**os.environ, **settings}
    if not (stdin or prefix) and _FORKS.fits(variables):
        return _FORKS.run([*map(str, arguments)], variables)
    finished = subprocess.run(
        [*prefix, sys.executable, "-m", "voiceguard", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=120,
        env=variables,
    )
    return subprocess.CompletedProcess(
        finished.args, finished.returncode, finished.stdout.decode(), finished.stderr.decode()
    )
