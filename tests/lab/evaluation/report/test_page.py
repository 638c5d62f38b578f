"""The page that a person looks at."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from tests.lab.evaluation.made_up import CONDITIONS, make_daemon, make_encoders
from voiceguard.errors import UsageError, install_command
from voiceguard.lab.evaluation.report.page import About, check_report, write_report

if TYPE_CHECKING:
    from pathlib import Path

ABOUT = About(title="ours & <theirs>", facts={"command": "voiceguard evaluate 'a b' --noise n"})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "page.html"
    check_report(path)
    write_report(path, ABOUT, encoders=make_encoders(), daemon=make_daemon())
    return path.read_text(encoding="utf-8")


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    outside = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert "http" not in outside
    assert "<script" not in outside
    assert "url(#" in outside or "url(" not in outside
    assert "@import" not in outside
    assert "@@" not in outside


def test_colours_are_the_pages_own_in_light_and_dark(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert "var(--series-1)" in page
    assert not re.search(r"#0[0-9a]000[0-9]", page)  # marks that were not replaced


def test_everything_that_was_measured_is_on_it(page: str) -> None:
    assert "ours &amp; &lt;theirs&gt;" in page
    assert "voiceguard evaluate &#x27;a b&#x27; --noise n" in page
    for condition in CONDITIONS:
        assert f">{condition}<" in page
    for title in (
        "Detection error trade-off", "Equal error rates at a glance", "Log-likelihood ratios",
        "Promises: false accepts", "per hour of other people", "Time to the accept",
        "How to read this",
    ):  # fmt: skip
        assert title in page, title
    assert page.count("<svg") == page.count("</svg>") == 7


def test_scores_alone_make_a_page_too(tmp_path: Path) -> None:
    write_report(tmp_path / "page.html", ABOUT, encoders=make_encoders(("ours",)), daemon=None)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "The daemon's path" not in page
    assert page.count("<svg") == 3


def test_a_report_that_could_not_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        check_report(tmp_path / "nowhere" / "page.html")
    with pytest.raises(UsageError, match="cannot be written"):
        check_report(tmp_path)
    kept = tmp_path / "old.html"
    kept.write_text("as it was")
    check_report(kept)
    assert kept.read_text() == "as it was"
    check_report(tmp_path / "new.html")
    assert not (tmp_path / "new.html").exists()


def test_missing_matplotlib_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match="needs matplotlib") as caught:
        check_report(tmp_path / "page.html")
    assert install_command("matplotlib") in caught.value.hint
