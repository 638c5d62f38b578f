"""What ``voiceguard demo`` shows, without the forty seconds that it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from tests.demo.test_household import FAN, ROBIN, SCENE, STRANGER, heard
from voiceguard.cli.demo import conclusion, decision_table
from voiceguard.demo.household import Heard, summarise

if TYPE_CHECKING:
    from voiceguard.demo.scene import Scene


def shown(scene: Scene, decisions: list[Heard], *, is_over: bool = False, width: int = 80) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(decision_table(scene, decisions, is_over=is_over))
    return capture.get()


ACCEPT = heard(1, 4, "accepted")


def test_everything_said_is_there_before_anything_is_decided() -> None:
    text = shown(SCENE, [])

    for item in (ROBIN, STRANGER, FAN):
        assert item.text in text
    assert "no speech heard" not in text


def test_a_decision_stands_beside_what_it_is_about() -> None:
    text = shown(SCENE, [ACCEPT])

    first, second = text.splitlines()[1:3]
    assert first.split() == ["1", "Robin", "Hello.", "accepted", "+2.5", "30", "ms"]
    assert second.split() == ["above", "threshold", "of", "+3.1"]


def test_an_accept_that_came_early_says_after_how_much_speech() -> None:
    early = heard(1, 2.8, "accepted", is_final=False)

    assert "accept at 1.8 s" in shown(SCENE, [early, ACCEPT])


def test_what_nobody_decided_about_is_told_at_the_end() -> None:
    assert shown(SCENE, [ACCEPT], is_over=True).count("no speech heard") == 2


def test_two_decisions_about_one_thing_are_two_rows() -> None:
    text = shown(SCENE, [heard(6, 7), heard(7, 9)])

    assert text.count("unknown") == 2
    assert text.count("stranger") == 1


def test_it_fits_80_columns() -> None:
    long = replace(STRANGER, text="Please unlock the front door, my keys are in the car. " * 2)
    scene = replace(SCENE, said=(ROBIN, long, FAN))
    decisions = [ACCEPT, heard(6, 9, "inconclusive", reason="between_thresholds")]

    text = shown(scene, decisions)

    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text


@pytest.mark.parametrize(
    ("decisions", "verdict"),
    [
        ([ACCEPT], "It has worked"),
        ([], "never accepted"),
        ([ACCEPT, heard(6, 9, "accepted")], "must not be"),
    ],
)
def test_the_conclusion_says_whether_it_has_worked(decisions: list[Heard], verdict: str) -> None:
    assert verdict in conclusion(SCENE, summarise(SCENE, decisions))
