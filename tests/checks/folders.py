"""Folders with more modules than a reader can hold by their names."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.checks.sources import Module

MAX_FILES = 15
MAX_AT_TOP = 11


def crowded_folders(modules: Mapping[str, Module]) -> list[str]:
    """``folder: N modules`` of every folder with too many; ``__init__`` doesn't count inside."""
    top = min(len(module.path.parts) for module in modules.values())
    counts = Counter(
        module.path.parent
        for module in modules.values()
        if module.path.name != "__init__.py" or len(module.path.parts) == top
    )
    return [
        f"{folder.name}: {number} modules, at most {limit}"
        for folder, number in counts.items()
        if number > (limit := MAX_AT_TOP if len(folder.parts) == top - 1 else MAX_FILES)
    ]
