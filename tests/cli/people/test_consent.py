"""What is asked before anything is recorded."""

from __future__ import annotations

import io
import sys

import pytest

from voiceguard.cli.people.consent import ask_to_keep_audio, confirmed


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "is_kept"), [("\n", False), ("n\n", False), ("y\n", True)])
def test_somebody_who_says_nothing_keeps_no_audio(
    answer: str,
    is_kept: bool,  # noqa: FBT001 - a parameter
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert (ask_to_keep_audio("anna", wanted=None, agreed=False) is not None) is is_kept
    asked = " ".join(capsys.readouterr().err.split())
    assert "voiceguard voiceprints remove anna" in asked
    assert "Does anna agree to that as well? [y/N]" in asked


@pytest.mark.parametrize(("wanted", "is_kept"), [(True, True), (False, False)])
def test_an_option_answers_the_question(
    *, wanted: bool, is_kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert (ask_to_keep_audio("anna", wanted=wanted, agreed=False) is not None) is is_kept


def test_neither_yes_nor_a_missing_terminal_speaks_for_the_audio(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert ask_to_keep_audio("anna", wanted=None, agreed=True) is None
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert ask_to_keep_audio("anna", wanted=None, agreed=False) is None


@pytest.mark.parametrize(("answers", "is_yes"), [("\n\nmaybe\ny\n", True), ("\nNo\n", False)])
def test_an_enter_by_accident_is_neither_yes_nor_no(
    answers: str,
    is_yes: bool,  # noqa: FBT001 - a parameter
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answers))
    assert confirmed("Does anna agree?") is is_yes
