"""Nothing of a table is lost in a window that is too narrow for it."""

from __future__ import annotations

import io

import pytest
from rich.table import Table
from rich.text import Text

from voiceguard.cli import output

COLUMNS = 80


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 80 columns is sent."""
    sent = io.StringIO()
    console = output.WholeWords(file=sent, width=COLUMNS, force_terminal=True, color_system=None)
    monkeypatch.setattr(output, "stdout", console)
    return sent


def test_a_row_too_wide_for_the_window_is_a_block_of_whole_lines(window: io.StringIO) -> None:
    cells = [f"{number}.12345" for number in range(20)]
    table = Table(*(f"column{number}" for number in range(20)), box=None, caption="a caption")
    table.add_row(*cells)
    output.print_table(table)
    *lines, caption = window.getvalue().splitlines()
    assert [line.split() for line in lines] == [
        [f"column{number}", cell] for number, cell in enumerate(cells)
    ]
    assert caption == "a caption"


def test_a_word_longer_than_the_window_stands_alone_and_whole(window: io.StringIO) -> None:
    word = "x" * (COLUMNS + 9)
    output.stdout.print(f"before [bold]{word}[/] after")
    assert window.getvalue().splitlines() == ["before", word, "after"]


def test_words_wrap_where_wrapping_is_enough(window: io.StringIO) -> None:
    table = Table("number", "why", box=None)
    table.add_row("1", "many words that together are much longer than the window is wide " * 2)
    output.print_table(table)
    lines = window.getvalue().splitlines()
    assert len(lines) > 2
    assert max(len(line) for line in lines) <= COLUMNS


def test_no_name_of_a_file_moves_the_cursor(window: io.StringIO) -> None:
    """Escapes, returns and C1 codes are shown as what they are; the lines of a text stay."""
    name = "\x1b[31ma\rb\x9b2J\x7f.wav"
    output.stdout.print(f"{name}: 192\n\tnumbers", markup=False, soft_wrap=True)
    output.stdout.print(Text.assemble(("error:", "bold red"), f" {name}"), soft_wrap=True)
    said = window.getvalue()
    assert "␛[31ma␍b\ufffd2J␡.wav: 192\n" in said
    assert "\r" not in said
    assert "\x9b" not in said
    assert "\x1b[31ma" not in said


@pytest.mark.usefixtures("window")
def test_what_is_written_past_the_console_is_broken_between_words_too() -> None:
    text = f"{'a word ' * 20}end\n  a hint"
    *lines, hint = output.fitted(text, output.stdout).split("\n")
    assert len(lines) == 2
    assert max(map(len, lines)) <= COLUMNS
    assert " ".join(lines) == text.split("\n", maxsplit=1)[0]
    assert hint == "  a hint"
    elsewhere = output.WholeWords(file=io.StringIO(), width=COLUMNS)
    assert output.fitted(text, elsewhere) == text
