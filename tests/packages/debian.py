"""The Debian package, for the Debian and the processor of this machine.

::

    python -m tests.packages.debian [FOLDER]        # dist/; what `make deb` calls
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.packages.making import REPOSITORY, last_commit_s, make

SCRIPT = REPOSITORY / "packaging" / "debian" / "build.sh"


def build(wheel: Path, folder: Path, *, version: str = "", compression: str = "xz") -> Path:
    """Builds it by the script, with what a shell has.

    Args:
        wheel: That goes into it.
        folder: Gets it.
        version: Another than the wheel's.
        compression: xz is small, none is quick.

    Returns:
        The package.
    """
    done = subprocess.run(
        ["sh", str(SCRIPT), str(wheel), str(folder), *([version] if version else [])],
        env={
            **{
                name: os.environ[name]
                for name in ("PATH", "HOME", "PIP_CERT")
                if name in os.environ
            },
            "SOURCE_DATE_EPOCH": str(last_commit_s()),
            "COMPRESSION": compression,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{SCRIPT}:\n{done.stdout}{done.stderr}"
    return Path(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "dist"
    with tempfile.TemporaryDirectory() as aside:
        print(build(make(Path(aside))[1], target))
