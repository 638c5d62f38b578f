"""Nothing of a table is lost in a window that is too narrow for it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from voiceguard.cli import output

COLUMNS = 80


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 80 columns is sent."""
    sent = io.StringIO()
    console = Console(file=sent, width=COLUMNS, force_terminal=True, color_system=None)
    monkeypatch.setattr(output, "stdout", console)
    return sent


def test_a_table_too_wide_for_the_window_keeps_every_digit(window: io.StringIO) -> None:
    cells = [f"{number}.12345" for number in range(20)]
    table = Table(*(f"column{number}" for number in range(20)), box=None, caption="a caption")
    table.add_row(*cells)
    output.print_table(table)
    header, row, _ = window.getvalue().splitlines()
    assert row.split() == cells
    assert header.split() == [f"column{number}" for number in range(20)]


def test_words_wrap_where_wrapping_is_enough(window: io.StringIO) -> None:
    table = Table("number", "why", box=None)
    table.add_row("1", "many words that together are much longer than the window is wide " * 2)
    output.print_table(table)
    lines = window.getvalue().splitlines()
    assert len(lines) > 2
    assert max(len(line) for line in lines) <= COLUMNS
