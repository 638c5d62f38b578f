"""``history --mark`` and ``voiceprints adapt``, as a person uses them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard
from tests.service.people.test_marking import Home

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    for number in range(6):
        home.decided(number, 2.5, -3.0)
    return home


def test_marks_are_made_shown_and_taken_back(home: Home) -> None:
    state = home.state
    for number in range(6):
        noted = voiceguard("history", "--mark", f"0000000{number}", "Anna", state=state)
        assert noted.stdout == "noted: it was anna\n", noted.stderr
    shown = voiceguard("voiceprints", "adapt", state=state).stdout
    assert "6 mark(s): 6 theirs, 0 not" in shown
    assert "lowered: words of theirs were missed" in shown
    told = json.loads(voiceguard("voiceprints", "adapt", "anna", "--json", state=state).stdout)
    assert told["threshold"] == "lowered"
    assert told["accept_llr"] < told["calibrated_llr"] - 0.4
    undone = voiceguard("voiceprints", "adapt", "anna", "--undo", state=state)
    assert undone.stdout == "took back 6 mark(s) of anna: as calibrated\n"
    assert "as calibrated" in voiceguard("voiceprints", "adapt", "anna", state=state).stdout


def test_a_stricter_rule_is_shown_beside_the_policy(home: Home, tmp_path: Path) -> None:
    config = tmp_path / "voiceguard.toml"
    config.write_text(
        f'state_dir = "{home.state}"\n[people.rules.night]\nwho = ["ben"]\np_fa = 0.0001\n'
    )
    shown = voiceguard("voiceprints", "adapt", "--config", str(config), state=home.state)
    anna, ben, rule = shown.stdout.splitlines()
    assert "anna" in anna.casefold()
    assert "as calibrated" in ben
    assert rule.startswith("  rule night: more than +")
    told = voiceguard(
        "voiceprints", "adapt", "ben", "--json", "--config", str(config), state=home.state
    )
    row = json.loads(told.stdout)
    (by_rule,) = row["rules"]
    assert (by_rule["rule"], by_rule["lock"]) == ("night", None)
    assert by_rule["accept_llr"] > row["accept_llr"]


def test_what_cannot_be_done_says_what_can(home: Home) -> None:
    for arguments, why in (
        (("history", "--mark", "last", "wrong"), "say who it was"),
        (("history", "--mark", "99", "right"), "no decision in"),
        (("history", "--mark", "last", "cleo"), "was not enrolled"),
        (("voiceprints", "adapt", "--undo"), "--undo needs a NAME"),
        (("voiceprints", "adapt", "cleo"), "no voiceprint of 'cleo'"),
    ):
        refused = voiceguard(*arguments, state=home.state)
        assert refused.returncode in {1, 2}, arguments
        assert why in refused.stderr
        assert "Traceback" not in refused.stderr


def test_a_damaged_file_of_marks_is_named_and_moves_nothing(home: Home) -> None:
    voiceguard("history", "--mark", "00000001", "anna", state=home.state)
    (home.state / "voiceprints" / "anna.marks").write_bytes(b"VGMARKS\nbroken")
    shown = voiceguard("voiceprints", "adapt", "anna", state=home.state)
    assert shown.returncode == 0
    assert "as calibrated" in shown.stdout
    assert "marks unusable: the file of marks of 'anna' is truncated" in shown.stdout
    undone = voiceguard("voiceprints", "adapt", "anna", "--undo", state=home.state)
    assert undone.returncode == 0, undone.stderr
