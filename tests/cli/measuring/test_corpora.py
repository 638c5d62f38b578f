"""Progress where nobody watches: a line a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.cli.measuring.corpora import told_now_and_then

if TYPE_CHECKING:
    import pytest


def test_without_a_terminal_it_says_once_a_minute_where_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seconds = iter(range(0, 10_000, 25))

    done = list(told_now_and_then(list("abcdefgh"), "teaching", lambda: float(next(seconds))))

    assert done == list("abcdefgh")
    assert capsys.readouterr().err.splitlines() == ["teaching: 2 of 8", "teaching: 5 of 8"]
