"""What the store says of files that it does not believe, and what it leaves alone."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
import structlog

from tests.voiceprints.failing_disk import fail, stepping
from tests.voiceprints.people import (
    ENCODER_ID,
    ENROLLED_AT,
    make_audio,
    make_person,
    make_voiceprint,
)
from voiceguard.errors import StateError, StoreKeyError, UsageError, VoiceprintError
from voiceguard.voiceprints.format import MAX_FILE_BYTES
from voiceguard.voiceprints.kept_audio import MAX_FILE_BYTES as MAX_AUDIO_BYTES
from voiceguard.voiceprints.store import VoiceprintStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> VoiceprintStore:
    return VoiceprintStore(tmp_path, environ={})


def test_a_link_to_nothing_hides_nobody(store: VoiceprintStore) -> None:
    """As a file that was removed since the directory was read; whoever saves is not kept from it.

    It counts as a change, though: somebody should look again.
    """
    store.save(make_voiceprint("bob"))
    before = store.generation()
    (store.directory / "anna.voiceprint").symlink_to(store.directory / "nothing")
    after = store.generation()
    assert [entry[0] for entry in after] == ["anna.voiceprint", *(entry[0] for entry in before)]
    assert after[0][1] < 0
    assert [each.speaker for each in store.load_all().voiceprints] == ["bob"]
    store.save(make_voiceprint("carl"))
    assert [each.speaker for each in store.load_all().voiceprints] == ["bob", "carl"]


def test_a_refusal_is_logged_with_speaker_reason_and_remedy(store: VoiceprintStore) -> None:
    store.save(make_voiceprint("anna"))
    store.save(make_voiceprint("bob"))
    (store.directory / "anna.voiceprint").write_bytes(b"nonsense")
    with structlog.testing.capture_logs() as events:
        loaded = store.load_all()
    (refusal,) = loaded.refusals
    assert refusal.speaker == "anna"
    assert events == [
        {
            "event": "voiceprint_refused",
            "log_level": "warning",
            "speaker": refusal.speaker,
            "reason": refusal.reason,
            "hint": refusal.hint,
        }
    ]
    assert (VoiceprintStore(store.directory / "new", environ={}).load_all().refusals) == ()


def test_one_that_is_asked_for_must_be_of_the_encoder_that_is_asked_for(
    store: VoiceprintStore,
) -> None:
    """And what to do depends on whether its audio was kept."""
    anna = make_person("anna")
    store.save(anna)
    assert store.load("anna", encoder_id=ENCODER_ID).speaker == "anna"
    with pytest.raises(VoiceprintError, match="one in use is fedcba9876543210") as refused:
        store.load("anna", encoder_id="fedcba9876543210")
    assert "voiceguard enroll anna --force" in refused.value.hint
    store.save(anna, overwrite=True, audio=make_audio(anna))
    with pytest.raises(VoiceprintError) as refused:
        store.load("anna", encoder_id="fedcba9876543210")
    assert "voiceprints migrate anna" in refused.value.hint


def test_encoders_have_the_names_that_they_have_here(tmp_path: Path) -> None:
    store = VoiceprintStore(tmp_path, environ={}, encoder_name={"e1": "old"}.get)
    assert (store.encoder_name("e1"), store.encoder_name("e2")) == ("old", None)


def test_refusals_to_write_name_the_speaker(store: VoiceprintStore) -> None:
    anna = make_voiceprint("anna")
    store.save(anna)
    with pytest.raises(VoiceprintError, match="'anna' is already enrolled"):
        store.save(anna)
    store.save(replace(anna, updated_at=ENROLLED_AT + timedelta(days=1)), overwrite=True)
    with pytest.raises(VoiceprintError, match="voiceprint of 'anna' was changed"):
        store.replace(anna, anna)


def test_what_is_replaced_may_bring_its_audio(store: VoiceprintStore) -> None:
    anna = make_person("anna")
    store.save(anna)
    store.replace(anna, anna, audio=make_audio(anna))
    audio = store.load_audio(anna)
    assert audio is not None
    assert len(audio.takes) == len(anna.templates)


def test_nobody_is_named_with_the_place_and_those_who_are_there(store: VoiceprintStore) -> None:
    store.save(make_voiceprint("bob"))
    with pytest.raises(VoiceprintError, match=f"'anna' in {store.directory}") as refused:
        store.load("anna")
    assert "enrolled: bob" in refused.value.hint


def test_damaged_audio_stays_for_the_person_to_restore(store: VoiceprintStore) -> None:
    """Whose it is can't be seen, so that nobody deletes it but the person."""
    anna = make_person("anna")
    store.save(anna, audio=make_audio(anna))
    path = store.directory / "anna.audio"
    path.write_bytes(b"damaged")
    store.save(make_person("anna", seed=2), overwrite=True)
    assert path.read_bytes() == b"damaged"


@pytest.mark.parametrize(
    ("suffix", "max_bytes"), [(".voiceprint", MAX_FILE_BYTES), (".audio", MAX_AUDIO_BYTES)]
)
def test_a_file_of_any_size_costs_no_more_memory_than_the_largest(
    store: VoiceprintStore, suffix: str, max_bytes: int
) -> None:
    """Read no further than it may be long, and then refused: 64 GB, of which the disk has none."""
    anna = make_person("anna")
    store.save(anna, audio=make_audio(anna))
    os.truncate(store.directory / f"anna{suffix}", 64 << 30)
    with pytest.raises(VoiceprintError, match="of 'anna' is damaged"):
        store.load_audio(store.load("anna"))
    assert max_bytes < 64 << 20


def test_a_file_that_may_not_be_read_is_named(store: VoiceprintStore) -> None:
    anna = make_person("anna")
    store.save(anna, audio=make_audio(anna))
    for suffix, what in ((".audio", "the kept audio"), (".voiceprint", "the voiceprint")):
        path = store.directory / f"anna{suffix}"
        path.unlink()
        path.mkdir()
        with pytest.raises(VoiceprintError, match=f"cannot read {what} of 'anna', {path}: "):
            store.load_audio(store.load("anna"))


def test_where_a_speaker_can_not_be_removed_the_file_and_the_reason_are_named(
    store: VoiceprintStore,
) -> None:
    refused = []
    for at in count():
        store.save(make_voiceprint("anna"), overwrite=True)
        with stepping(at, fail) as steps:
            try:
                store.remove("anna")
            except StateError as error:
                refused.append(str(error))
        if steps.num_taken <= at:
            break
    assert any("anna.voiceprint" in each for each in refused)
    assert all("Input/output error" in each for each in refused)


def test_a_key_that_is_gone_or_wrong_is_named_with_what_it_sealed(store: VoiceprintStore) -> None:
    for name in ("anna", "bob"):
        store.save(make_voiceprint(name))
    store.key_path.unlink()
    with pytest.raises(StoreKeyError, match=rf"the 2 voiceprint\(s\) in {store.directory}"):
        store.load("anna")
    store.key_path.write_text("cd" * 32)
    store.key_path.chmod(0o600)
    with pytest.raises(StoreKeyError, match=f"sealed the voiceprints in {store.directory}"):
        store.load_all()


def test_systemds_credential_is_a_key_whose_mode_is_not_judged(tmp_path: Path) -> None:
    """In the environment that the store was given."""
    (tmp_path / "voiceguard-key").write_text("ab" * 32)
    (tmp_path / "voiceguard-key").chmod(0o440)
    store = VoiceprintStore(tmp_path / "state", environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    store.save(make_voiceprint("anna"))
    assert store.load("anna").speaker == "anna"


def test_a_name_that_is_no_text_is_shown_byte_by_byte(store: VoiceprintStore) -> None:
    store.save(make_voiceprint("anna"))
    (store.directory / os.fsdecode(b"\xff.voiceprint")).write_bytes(b"")
    assert store.names() == ("anna", "\\xff")
    (refusal,) = store.load_all().refusals
    assert refusal.speaker == "\\xff"


def test_what_has_a_name_that_nobody_can_have_can_be_removed(store: VoiceprintStore) -> None:
    """An earlier version took a hyphen in front; and anybody can copy a file."""
    store.save(make_voiceprint("anna"))
    for name in ("-anna", "--help", "Anna B", os.fsdecode(b"\xff")):
        for suffix in (".voiceprint", ".audio"):
            (store.directory / f"{name}{suffix}").write_bytes(b"x")
    refused = {each.speaker: each.hint for each in store.load_all().refusals}
    assert refused["-anna"] == "`voiceguard voiceprints remove -- -anna` removes it"
    assert refused["Anna B"] == "`voiceguard voiceprints remove -- 'Anna B'` removes it"
    for name in refused:
        assert store.holds(name)
        store.remove(name)
    assert [path.name for path in store.directory.iterdir() if path.name != ".lock"] == [
        "anna.voiceprint"
    ]
    with pytest.raises(UsageError):
        store.remove("../anna")
