"""Who is enrolled, by the importable API: listed, renamed, exported, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voiceguard.errors import UsageError, VoiceprintError
from voiceguard.testing import FakeEncoder, fake_guard, tone
from voiceguard.voiceprints.store import VoiceprintStore
from voiceguard.voiceprints.transfer import unseal

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard import Guard


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    made = fake_guard(tmp_path)
    for name, hz in (("ben", 1500.0), ("anna", 440.0)):
        takes = [tone(hz, 6.0, seed=take) for take in range(2)]
        made.enroll(name, takes, consent=True, keep_audio=True)
    return made


def test_everybody_is_listed_by_name(guard: Guard) -> None:
    anna, ben = guard.people()
    assert (anna.speaker, anna.display_name, anna.num_takes) == ("anna", "anna", 2)
    assert anna.net_speech_s > 5
    assert (ben.speaker, ben.is_usable, ben.fault) == ("ben", True, "")


def test_who_cannot_be_used_is_listed_with_the_reason(guard: Guard, tmp_path: Path) -> None:
    (tmp_path / "voiceprints" / "ben.voiceprint").write_bytes(b"torn")
    anna, ben = guard.people()
    assert anna.is_usable
    assert (ben.is_usable, ben.enrolled_at) == (False, None)
    assert "ben" in ben.fault
    others = fake_guard(tmp_path, encoder=FakeEncoder("fedcba9876543210")).people()
    assert "encoder" in others[0].fault
    assert others[0].num_takes == 2, "it can be read, though not compared"


def test_another_display_name_leaves_everything_else_as_it_was(
    guard: Guard, tmp_path: Path
) -> None:
    store = VoiceprintStore(tmp_path)
    before = store.load("anna")
    guard.rename("anna", "  Anna   Müller ")
    after = store.load("anna")
    assert after.display_name == "Anna Müller"
    assert after.created_at == before.created_at
    assert store.load_audio(after) is not None
    assert guard.identify(tone(440.0, 3.0, seed=9)).speaker == "anna"


@pytest.mark.parametrize("name", ["", "   ", "An\x1bna"])
def test_a_name_that_nobody_can_read_is_refused(guard: Guard, name: str) -> None:
    with pytest.raises(UsageError, match="no name that people can read"):
        guard.rename("anna", name)
    assert guard.people()[0].display_name == "anna"


def test_an_export_opens_with_its_passphrase(guard: Guard, tmp_path: Path) -> None:
    file = tmp_path / "people.export"
    guard.export(file, "correct horse battery", ["anna"], with_audio=True)
    (parcel,) = unseal(file.read_bytes(), "correct horse battery")
    assert parcel.voiceprint.speaker == "anna"
    assert parcel.audio is not None
    with pytest.raises(VoiceprintError, match="carl"):
        guard.export(file, "correct horse battery", ["carl"])


def test_a_person_is_forgotten(guard: Guard) -> None:
    assert guard.remove("ben") == 0
    assert [each.speaker for each in guard.people()] == ["anna"]
    with pytest.raises(VoiceprintError, match="ben"):
        guard.remove("ben")
