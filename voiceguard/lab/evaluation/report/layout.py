"""What every table of a report is made with, for people and for machines."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.lab.fitting.rates import Rate


def percent(rate: float | None, digits: int = 1) -> str:
    """``7.2``; a dash for nothing."""
    return "-" if rate is None else f"{100 * rate:.{digits}f}"


def interval(rate: Rate, digits: int) -> str:
    """``1.2 to 3.4`` in percent; a dash where it is not known."""
    if rate.low is None or rate.high is None:
        return "-"
    return f"{percent(rate.low, digits)} to {percent(rate.high, digits)}"


def make_table(title: str, caption: str, words: Sequence[str], numbers: Sequence[str]) -> Table:
    """An empty one: columns of words to the left, of numbers to the right."""
    table = Table(title=title, caption=caption, box=None, header_style="bold")
    for name in words:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def policy(p_fa: float, shipped_p_fa: float) -> str:
    """A rate, and whether it is the one that ships."""
    return f"{p_fa:g}{' (shipped)' if p_fa == shipped_p_fa else ''}"


def plain(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Dataclasses for JSON: no NaN, figures to six digits."""
    return [_plain(asdict(row)) for row in rows]


def _plain(value: Any) -> Any:  # noqa: ANN401  # whatever a row holds
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
