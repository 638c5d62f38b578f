"""Rows of a manifest that are left out: by licence, by label, by where they came from.

In: ``COLUMN=PATTERN`` as a user types it. Out: the other rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Self

from voiceguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Of the rows whose column matches."""

    column: str
    pattern: str
    """With the wildcards of a shell: ``*GPL*``; upper and lower case differ."""

    @classmethod
    def parse(cls, said: str) -> Self:
        """Reads ``COLUMN=PATTERN``.

        Raises:
            UsageError: It is none.
        """
        column, equals, pattern = said.partition("=")
        if not (column and equals and pattern):
            raise UsageError(
                f"--exclude must be COLUMN=PATTERN, not {said!r}",
                hint="for example --exclude 'licence=*GPL*'",
            )
        return cls(column, pattern)

    def matches(self, row: Row) -> bool:
        """Whether the row is to be left out."""
        return fnmatchcase(row[self.column], self.pattern)


def without(exclusions: Sequence[Exclusion], rows: list[Row], manifest: Path) -> list[Row]:
    """The rows that no exclusion matches.

    Args:
        exclusions: Each must match something: whoever excludes a licence must not be left with its
            recordings for a slip of the pen.
        rows: Of the manifest, at least one.
        manifest: For what is said of it.

    Raises:
        UsageError: There is no such column, or nothing in it matches.
    """
    for each in exclusions:
        said = f"--exclude {each.column}={each.pattern}"
        if each.column not in rows[0]:
            raise UsageError(
                f"{said}: manifest {manifest} has no column {each.column}",
                hint=f"its columns are {', '.join(rows[0])}",
            )
        if not any(each.matches(row) for row in rows):
            raise UsageError(
                f"{said} excludes nothing in manifest {manifest}",
                hint="correct the pattern, or leave it out; * stands for any text",
            )
    return [row for row in rows if not any(each.matches(row) for each in exclusions)]
