"""What README and the pages say: their code, their commands, the files that they name."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from tests.docs.generated import DOCS, PAGES, README, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITTEN = [
    README,
    REPOSITORY / "CONTRIBUTING.md",
    *sorted(path for path in DOCS.glob("*.md") if path not in PAGES),
]
"""Everything that is written by hand."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n)(?:(?: {4}.*)?\n)*")
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_CALL = re.compile(r"(?:^|[\s/;(|])voiceguard (?P<rest>[a-z-][^|;]*)")


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks in a language."""
    return [found[2] for found in _FENCE.finditer(path.read_text("utf-8")) if found[1] == language]


def spans(path: Path) -> list[str]:
    """Code inside sentences and tables, each on one line."""
    prose = _FENCE.sub("", path.read_text("utf-8"))
    return [" ".join(found[1].split()) for found in _SPAN.finditer(prose)]


def shell_lines(path: Path) -> list[str]:
    """Lines for a shell, continued ones joined: in blocks and in sentences."""
    text = path.read_text("utf-8")
    shell = "\n".join(found[2] for found in _FENCE.finditer(text) if found[1] in {"", "sh"})
    shell += "".join(_INDENTED.findall(_FENCE.sub("", text)))
    return [*shell.replace("\\\n", " ").splitlines(), *spans(path)]


def calls(path: Path) -> Iterator[list[str]]:
    """The words after ``voiceguard`` wherever it is called."""
    for line in shell_lines(path):
        command = line.partition(" #")[0]
        for found in _CALL.finditer(command):
            yield shlex.split(found["rest"])
