"""How results look: rich tables for people on a terminal, JSON lines for machines."""

from __future__ import annotations

import json
import os
import re
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.segment import Segments
from rich.text import Text

from voiceguard.cli.credentials import without_credentials

if TYPE_CHECKING:
    from rich.table import Table

    from voiceguard.types import Outcome

WIDTH_ELSEWHERE = 140
"""Columns in a file or a pipe, where nobody can widen the window."""

WIDEST = 1000
"""Columns that any table fits in."""


class WholeWords(Console):
    """A console that breaks lines on a terminal between words only, a long word standing alone.

    Elsewhere a line that is printed with ``soft_wrap`` stays one; with ``no_wrap`` it does
    everywhere, to be copied in one piece.
    """

    def print(self, *objects: Any, **options: Any) -> None:  # noqa: ANN401 - as rich has it
        """As rich's, which would break a word that is longer than a line.

        Nor does what a file is called move the cursor or colour what follows.
        """
        objects = tuple(_harmless(each) for each in objects)
        is_text = len(objects) == 1 and isinstance(objects[0], str | Text)
        is_prose = not options.get("no_wrap") and options.get("end", "\n") == "\n"
        if not (is_text and is_prose and self.is_terminal):
            super().print(*objects, **options)
            return
        (text,) = objects
        style = options.get("style") or ""
        if isinstance(text, str):
            text = self.render_str(text, markup=options.get("markup"), style=style)
        for line in text.split("\n", allow_blank=True) or [text]:
            for part in line.divide(_breaks(line.plain, self.width)):
                part.rstrip()
                super().print(part, soft_wrap=True)


def _harmless(shown: object) -> object:
    """A text with control characters as pictures, ``␛`` for an escape; lines and tabs stay."""
    if isinstance(shown, str):
        return shown.translate(_PICTURES)
    if isinstance(shown, Text) and shown.plain != (plain := shown.plain.translate(_PICTURES)):
        shown = shown.copy()
        shown.plain = plain
    return shown


_PICTURES = (
    {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"}
    | {0x7F: 0x2421}
    | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
)


def _breaks(line: str, width: int) -> list[int]:
    """Where to break it so that every part of several words fits."""
    offsets, begin = [], 0
    for word in re.finditer(r"\S+", line):
        if (
            word.start() > begin
            and word.end() - begin > width
            and line[begin : word.start()].strip()
        ):
            begin = word.start()
            offsets.append(begin)
    return offsets


def fitted(text: str, console: Console) -> str:
    """A text for a console that it is written to as it is: its lines broken between words."""
    if not console.is_terminal:
        return text
    lines = (Text(line).divide(_breaks(line, console.width)) for line in text.split("\n"))
    return "\n".join(part.plain.rstrip() for parts in lines for part in parts)


stdout = WholeWords(highlight=False)
if not stdout.is_terminal and "COLUMNS" not in os.environ:
    stdout.width = WIDTH_ELSEWHERE
stderr = WholeWords(stderr=True, highlight=False)

OUTCOME_STYLES = {
    "accepted": "bold green",
    "rejected": "bold red",
    "unknown": "red",
    "inconclusive": "yellow",
}


def explain(message: str, hint: str) -> None:
    """An error and how to mend it, on standard error."""
    shown = without_credentials(message)
    if shown != message:  # a hint may repeat it in another spelling
        hint = "a broker's address goes into mqtt.broker, and its password into mqtt.password_file"
    stderr.print(Text.assemble(("error:", "bold red"), " ", shown), soft_wrap=True)
    if hint:
        told = without_credentials(hint)
        stderr.print(Text.assemble(("hint:", "bold"), " ", told), soft_wrap=True)


def print_json(value: Any) -> None:  # noqa: ANN401  # anything that JSON can say
    """One object, one line, on standard output; in ASCII where that is not UTF-8."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    print(json.dumps(value, ensure_ascii=encoding != "utf8"), flush=True)


def print_hanging(
    console: Console,
    first: str,
    text: str,
    indent: int,
    *,
    style: str = "",
    is_folded: bool = False,
) -> None:
    """A few words, and beside them a text whose further lines are indented.

    Args:
        console: Where to.
        first: As rich markup.
        text: As it is.
        indent: Where it begins; less in a narrow window.
        style: Of the text.
        is_folded: In files too, and within a word that is longer than a line, a path say.
    """
    width = console.width - indent
    if not (console.is_terminal or is_folded):
        lines = [text]
    else:
        if width < _NARROW:
            indent, width = 2, console.width - 2
        lines = textwrap.wrap(
            text, max(width, 1), break_long_words=is_folded, break_on_hyphens=False
        ) or [""]
    head = Text.from_markup(first)
    if len(head) < indent:
        head.append(" " * (indent - len(head)))
        head.append(lines.pop(0), style)
    elif not console.is_terminal:
        head.append(f" {lines.pop(0)}", style)
    for line in (head, *(Text(" " * indent + each, style) for each in lines)):
        console.print(line, soft_wrap=True)


_NARROW = 30
"""Columns; a text in fewer is hard to read."""


def print_table(table: Table) -> None:
    """Prints every figure and word whole.

    In a window that is too narrow for the columns, each row is a block of lines instead; in a
    file, lines are as long as they must be. rich would cut or break the cells.
    """
    options = stdout.options
    measured = Measurement.get(stdout, options.update(max_width=WIDEST), table)
    if not stdout.is_terminal:
        whole = stdout.render(table, options.update_width(max(measured.minimum, options.max_width)))
        stdout.print(Segments(whole), crop=False, soft_wrap=True, end="")
    elif measured.maximum <= stdout.width:
        stdout.print(table)
    elif measured.minimum <= stdout.width:
        _share_width(table, measured)
        stdout.print(table)
    else:
        _print_blocks(table)


def _share_width(table: Table, measured: Measurement) -> None:
    """Gives each column its longest word's width, and what is left to those that have most."""
    cells = [[column.header, *column.cells] for column in table.columns]
    sizes = [
        [Measurement.get(stdout, stdout.options.update(max_width=WIDEST), cell) for cell in column]
        for column in cells
    ]
    widths = [max(size.minimum for size in column) for column in sizes]
    wanted = [max(size.maximum for size in column) for column in sizes]
    for _ in range(stdout.width - measured.minimum):
        lacks = [most - has for most, has in zip(wanted, widths, strict=True)]
        if max(lacks) <= 0:
            break
        widths[lacks.index(max(lacks))] += 1
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width


def _print_blocks(table: Table) -> None:
    headers = [stdout.render_str(str(column.header)).plain for column in table.columns]
    indent = max(map(len, headers)) + 2
    if table.title:
        stdout.print(table.title)
    for number, cells in enumerate(zip(*(column.cells for column in table.columns), strict=True)):
        if number:
            stdout.print()
        for header, cell in zip(headers, cells, strict=True):
            if text := stdout.render_str(str(cell)).plain:
                print_hanging(stdout, f"[dim]{escape(header)}[/]", text, indent)
    if table.caption:
        stdout.print(table.caption)


def styled_outcome(outcome: Outcome | str) -> str:
    """The outcome in its colour, as rich markup."""
    return f"[{OUTCOME_STYLES[str(outcome)]}]{outcome}[/]"


def format_llr(llr: float | None) -> str:
    """``+4.6``, or a dash where there is no calibration."""
    return "-" if llr is None else f"{llr:+.1f}"
