"""``python -m tests.checks``: every finding on a line, exit code 1 if there is one."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.checks.circles import find_circles
from tests.checks.doors import ALLOWED, other_doors
from tests.checks.folders import crowded_folders
from tests.checks.lengths import long_functions
from tests.checks.shapes import unsaid_shapes
from tests.checks.sources import read_package

PACKAGE = Path(__file__).resolve().parents[2] / "voiceguard"


def findings(package: Path) -> list[str]:
    """What is wrong in a package, a line each."""
    modules = read_package(package)
    found = [f"import circle: {' -> '.join(circle)}" for circle in find_circles(modules)]
    found += crowded_folders(modules)
    found += other_doors(modules, ALLOWED)
    for module in modules.values():
        where = module.path.relative_to(package.parent)
        found += [f"{where}: {each}" for each in long_functions(module)]
        found += [f"{where}: {name}: no shapes" for name in unsaid_shapes(module)]
    return found


if __name__ == "__main__":
    lines = findings(PACKAGE)
    well = "structure: no circle, no crowded folder, every function in bounds, one door for files"
    print("\n".join(lines) or well)
    sys.exit(bool(lines))
