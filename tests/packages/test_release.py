"""Packages are the same whoever builds them; a release says what changed and what is inside."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.packages import light, making, release
from voiceguard.types import RELEASED_AT, VERSION

if TYPE_CHECKING:
    from pathlib import Path


def test_two_builds_have_one_hash(packages: tuple[Path, Path], tmp_path: Path) -> None:
    before = os.umask(0o077)  # somebody else's habits
    try:
        again = making.make(tmp_path)
    finally:
        os.umask(before)
    for one, other in zip(packages, again, strict=True):
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()


def test_an_index_would_take_them(packages: tuple[Path, Path]) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, packages)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


def test_the_notes_are_the_section_of_the_version() -> None:
    changelog = (
        "# Changelog\n\n## [Unreleased]\n\n- b\n\n## [1.2.0] - 2026-12-01\n\n- a\n\n## [1.1.0]\n"
    )
    assert release.notes(changelog, "1.2.0") == "# voiceguard 1.2.0\n\n- a\n"
    for version in ("1.1.0", "1.3.0", "1x2.0"):
        with pytest.raises(SystemExit, match="has no section"):
            release.notes(changelog, version)


def test_the_day_of_a_release_is_the_one_that_clocks_are_measured_by() -> None:
    changelog = "# Changelog\n\n## [1.2.0] - 2026-12-01\n\n- a\n"
    release.check_released_at(changelog, "1.2.0", "2026-12-01T00:00:00+00:00")
    with pytest.raises(SystemExit, match="make them one day"):
        release.check_released_at(changelog, "1.2.0", RELEASED_AT)


def test_the_bill_of_materials_names_every_package_with_its_licence() -> None:
    bill = release.bill(VERSION)
    assert {part["name"] for part in bill["components"]} == set(light.closure())
    for part in bill["components"]:
        (licence,) = part["licenses"]
        assert licence["license"]["name"] != "not stated", part["name"]
    assert json.loads(json.dumps(bill)) == bill


def test_hashes_are_of_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "notes", lambda _changelog, version: f"# voiceguard {version}\n")
    files = release.release(tmp_path)
    lines = (tmp_path / release.HASHES).read_text("utf-8").splitlines()
    assert [line.partition("  ")[2] for line in lines] == [file.name for file in files[:-1]]
    for line in lines:
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
