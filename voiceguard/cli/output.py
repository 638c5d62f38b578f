"""How results look: rich tables for people on a terminal, JSON lines for machines."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.measure import Measurement
from rich.segment import Segments

from voiceguard.cli.credentials import without_credentials

if TYPE_CHECKING:
    from rich.table import Table

    from voiceguard.types import Outcome

WIDTH_ELSEWHERE = 140
"""Columns in a file or a pipe, where nobody can widen the window."""

WIDEST = 1000
"""Columns that any table fits in."""

stdout = Console(highlight=False)
if not stdout.is_terminal and "COLUMNS" not in os.environ:
    stdout.width = WIDTH_ELSEWHERE
stderr = Console(stderr=True, highlight=False)

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
    stderr.print("[bold red]error:[/]", end=" ")
    stderr.print(shown, markup=False, soft_wrap=True)
    if hint:
        stderr.print("[bold]hint:[/]", end=" ")
        stderr.print(without_credentials(hint), markup=False, soft_wrap=True)


def print_json(value: Any) -> None:  # noqa: ANN401  # anything that JSON can say
    """One object, one line, on standard output; in ASCII where that is not UTF-8."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    print(json.dumps(value, ensure_ascii=encoding != "utf8"), flush=True)


def print_table(table: Table) -> None:
    """Prints every figure whole: in a window that is too narrow, lines go on in the next one.

    rich would cut the cells, digits too.
    """
    options = stdout.options
    needed = Measurement.get(stdout, options.update(max_width=WIDEST), table).minimum
    whole = stdout.render(table, options.update_width(max(needed, options.max_width)))
    stdout.print(Segments(whole), crop=False, soft_wrap=True, end="")


def styled_outcome(outcome: Outcome | str) -> str:
    """The outcome in its colour, as rich markup."""
    return f"[{OUTCOME_STYLES[str(outcome)]}]{outcome}[/]"


def format_llr(llr: float | None) -> str:
    """``+4.6``, or a dash where there is no calibration."""
    return "-" if llr is None else f"{llr:+.1f}"
