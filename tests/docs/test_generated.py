"""What is generated is what the source says: else ``make docs``, ``make docs-pictures``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.entities_picture import entities_svg
from tests.docs.generated import DOCS, PAGES, README, scene_in_readme
from tests.docs.scene_run import run_scene
from tests.docs.scene_text import scene_text

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.scene_run import SceneRun

MOST_LLR_APART = 0.3
"""Processors round differently."""


@pytest.fixture(scope="module")
def run() -> SceneRun:
    return run_scene()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_generated_page_is_current(page: Path) -> None:
    assert page.read_text("utf-8") == PAGES[page](), f"run `make docs`: {page.name} is old"


def test_every_setting_has_a_meaning() -> None:
    page = (DOCS / "settings.md").read_text("utf-8")
    assert not re.findall(r"^\| `(\w+)` .*\|  \|$", page, re.MULTILINE)


def test_home_assistants_page_is_current() -> None:
    drawn = (DOCS / "pictures" / "entities.svg").read_text("utf-8")
    assert drawn == entities_svg(), "run `make docs-pictures`"


def test_readme_shows_what_the_demo_decides(run: SceneRun) -> None:
    """All of it as it is, but for the last digit of the figures."""
    number = re.compile(r"[+-]\d+\.\d")
    shown, made = scene_in_readme(), scene_text(run)
    assert number.sub("", shown).split() == number.sub("", made).split(), "run `make docs-pictures`"
    figures = zip(number.findall(shown), number.findall(made), strict=True)
    assert max(abs(float(was) - float(is_)) for was, is_ in figures) < MOST_LLR_APART
    assert f"above {run.accept_llr:.1f} here it is an accept" in README.read_text("utf-8")


def test_the_picture_shows_what_the_demo_decides(run: SceneRun) -> None:
    drawn = (DOCS / "pictures" / "scene.svg").read_text("utf-8")
    outcomes = [payload["outcome"] for payload in run.finals]
    for outcome in ("accepted", "unknown"):
        assert drawn.count(f">{outcome}<") == outcomes.count(outcome)
    assert f"more than {run.accept_llr:.1f}: accepted" in drawn
