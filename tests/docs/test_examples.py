"""The examples in README and docs/python-api.md run, each page's from top to bottom."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.docs.generated import DOCS, README
from tests.docs.texts import blocks
from tests.recordings import SPOKEN, TAKES

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("page", [README, DOCS / "python-api.md"], ids=lambda page: page.name)
def test_the_examples_run(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOICEGUARD_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for take, name in zip(TAKES, ("a1.wav", "a2.wav", "a3.wav"), strict=False):
        shutil.copy(take, name)  # what is inside counts, not the name
    shutil.copy(SPOKEN[0], "test.m4a")
    names: dict[str, object] = {}
    for number, block in enumerate(blocks(page, "python")):
        exec(compile(block, f"{page.name}, example {number}", "exec"), names)
    assert "accepted above_threshold" in capsys.readouterr().out
