"""Rules for people, as one writes them, checks them, reads them and takes somebody out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard
from tests.voiceprints.people import make_person
from voiceguard.voiceprints.store import VoiceprintStore

if TYPE_CHECKING:
    from pathlib import Path

RULES = """
[audio]
sources = ["kitchen=device"]
[mqtt]
broker = "none"
[people]
child = ["mia"]
[people.rules.children]
who = ["child"]
streams = ["kitchen"]
hours = "06:00-20:00"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    VoiceprintStore(tmp_path, environ={}).save(make_person("mia"))
    made = tmp_path / "voiceguard.toml"
    made.write_text(RULES, encoding="utf-8")
    return made


def test_they_are_checked_by_name_and_shown_by_their_whole_names(
    tmp_path: Path, file: Path
) -> None:
    assert voiceguard("config", "check", file, state=tmp_path).returncode == 0
    shown = voiceguard("config", "show", "people.rules", "-c", file, state=tmp_path)
    assert 'people.rules.children.hours = "06:00-20:00"\n' in shown.stdout
    assert "None" not in shown.stdout
    whole = voiceguard("config", "show", "--config", file, state=tmp_path).stdout
    again = tmp_path / "again.toml"
    again.write_text(whole, encoding="utf-8")
    assert (
        voiceguard("config", "show", "--config", again, state=tmp_path).stdout.replace(
            str(again), str(file)
        )
        == whole
    )
    file.write_text(RULES.replace('"mia"', '"mai"'), encoding="utf-8")
    wrong = voiceguard("config", "check", file, state=tmp_path)
    assert wrong.returncode == 2
    assert "people.child: 'mai' is not enrolled; did you mean mia?" in wrong.stderr


def test_whoever_is_removed_and_still_named_is_told_of(tmp_path: Path, file: Path) -> None:
    removed = voiceguard("voiceprints", "remove", "mia", "--yes", "--config", file, state=tmp_path)
    assert removed.returncode == 0
    assert "people.child still names mia" in removed.stderr
