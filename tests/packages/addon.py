"""The folder of the Home Assistant add-on, complete: what its Dockerfile copies lies in it.

::

    python -m tests.packages.addon [FOLDER]         # build/addon; what `make addon` calls
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.packages.making import REPOSITORY, make

ADDON = REPOSITORY / "packaging" / "home-assistant-addon"
CONTAINER = REPOSITORY / "packaging" / "container"


def write(folder: Path, wheel: Path) -> None:
    """Writes it anew."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ADDON, folder)
    for each in (wheel, REPOSITORY / "requirements-light.txt", *CONTAINER.glob("*.sh")):
        shutil.copy(each, folder)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "build" / "addon"
    write(target, make(REPOSITORY / "dist")[1])
    print(target)
