"""A dead link is an error of ``make check``: its own command, its configuration, a page of ours."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.generated import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("link", "is_dead"),
    [("other.md#here", False), ("other.md#nowhere", True), ("nowhere.md", True)],
)
def test_a_dead_link_is_an_error(tmp_path: Path, link: str, *, is_dead: bool) -> None:
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    site = re.search(r"^SITE := .*/mkdocs (.*)$", makefile, re.MULTILINE)
    assert site is not None
    assert "$(SITE)" in makefile.partition("\ncheck:")[2].partition("\n\n")[0]
    configuration = (REPOSITORY / ".mkdocs.yml").read_text("utf-8")
    configuration = re.sub(r"^nav:.*", "", configuration, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / ".mkdocs.yml").write_text(configuration)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "other.md").write_text("# Other\n\n## Here\n")
    (tmp_path / "docs" / "index.md").write_text(f"# Page\n\n[text]({link})\n")
    command = [sys.executable, "-m", "mkdocs", *site[1].split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == is_dead, done.stderr
