"""The texts that docs/troubleshooting.md quotes are the program's own."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tests.docs.generated import DOCS, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_every_text_that_is_quoted_is_in_the_source() -> None:
    said = "\n".join(_texts())
    page = (DOCS / "troubleshooting.md").read_text("utf-8")
    quoted = [
        text
        for text in re.findall(r"^\| `(.+?)` \| ", page, re.MULTILINE)
        if not text.startswith("it says")
    ]
    assert len(quoted) > 30
    missing = [text for text in quoted if not re.search(_pattern(text), said)]
    assert not missing


def _pattern(text: str) -> str:
    return ".*".join(re.escape(part) for part in text.split("…"))


def _texts() -> Iterator[str]:
    """Every text in the package, with ``…`` where it has something filled in."""
    for module in (REPOSITORY / "voiceguard").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            match node:
                case ast.Constant(value=str(text)):
                    yield text
                case ast.JoinedStr(values=values):
                    yield "".join(
                        str(part.value) if isinstance(part, ast.Constant) else "…"
                        for part in values
                    )
