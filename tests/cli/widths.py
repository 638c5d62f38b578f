"""Whether what is shown fits a window of 80 or 60 columns, with every word whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.cli import output

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

WIDTHS = (80, 60)
ANY_WIDTH = 1000


def check_fits(
    show: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No word, name or id is cut or broken; only a word that is longer than a line stands out.

    Args:
        show: Prints it all; called once per width.
        monkeypatch: Makes a terminal of standard output.
        capsys: Reads it.
    """
    whole = words_in(shown(show, ANY_WIDTH, monkeypatch, capsys))
    for width in WIDTHS:
        lines = shown(show, width, monkeypatch, capsys)
        words = words_in(lines)
        assert words <= whole, (width, sorted(words - whole))
        too_long = [line for line in lines if len(line.rstrip()) > width]
        assert all(len(line.split()) <= 2 for line in too_long), too_long


def words_in(lines: list[str]) -> set[str]:
    """All but the frames of tables, which are as wide as these."""
    words = {word for line in lines for word in line.split()}
    return {word for word in words if any(letter.isalnum() for letter in word)}


def shown(
    show: Callable[[], None],
    width: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> list[str]:
    """What a terminal of that width is sent."""
    for console in (output.stdout, output.stderr):
        monkeypatch.setattr(console, "_force_terminal", True)
        monkeypatch.setattr(console, "no_color", True)
        monkeypatch.setattr(console, "_color_system", None)
        monkeypatch.setattr(console, "_width", width)
    show()
    sent = capsys.readouterr()
    return [*sent.out.splitlines(), *sent.err.splitlines()]
