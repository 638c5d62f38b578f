"""Kept audio: comes back as it was, for its own speaker and enrollment only, and goes with them."""

from __future__ import annotations

import os
import resource
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import tone
from tests.voiceprints.people import (
    AGREED_AT,
    ENROLLED_AT,
    assert_same,
    make_audio,
    make_person,
)
from voiceguard.errors import StateError, StoreKeyError, VoiceprintError
from voiceguard.types import SAMPLE_RATE_HZ, Voiceprint
from voiceguard.voiceprints import VoiceprintStore, kept_audio
from voiceguard.voiceprints.kept_audio import MAX_KEPT_S, seal, unseal
from voiceguard.voiceprints.key import StoreKey, create_key

KEY = StoreKey(Path("nowhere"), bytes(range(32)))


@pytest.fixture
def store(tmp_path: Path) -> VoiceprintStore:
    return VoiceprintStore(tmp_path, environ={})


def audio_file(store: VoiceprintStore, speaker: str) -> Path:
    return store.directory / f"{speaker}.audio"


# --- what is kept comes back ----------------------------------------------------------------


def test_audio_comes_back_to_16_bits_with_its_times(store: VoiceprintStore, tmp_path: Path) -> None:
    anna = make_person()
    kept = make_audio(anna)
    store.save(anna, audio=kept)
    loaded = VoiceprintStore(tmp_path, environ={}).load_audio(anna)
    assert loaded is not None
    assert loaded.seconds == pytest.approx(3.0)
    for mine, theirs in zip(loaded.takes, kept.takes, strict=True):
        assert (mine.recorded_at, mine.consent_at) == (theirs.recorded_at, AGREED_AT)
        assert mine.samples.dtype == np.float32
        np.testing.assert_allclose(mine.samples, theirs.samples, atol=0.5001 / 32767)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-32767, 32767), max_size=300))
def test_any_16_bit_audio_survives_to_the_bit(values: list[int]) -> None:
    """Full-scale jumps included, whose difference does not fit 16 bits."""
    samples = (np.array(values, dtype=np.int16) / np.float32(32767)).astype(np.float32)
    anna = make_person(num_templates=1)
    (take,) = unseal(seal(make_audio(anna, samples), KEY), "anna", KEY).takes
    np.testing.assert_array_equal(take.samples, samples)


def test_what_is_beyond_full_scale_is_cut_not_wrapped(store: VoiceprintStore) -> None:
    anna = make_person(num_templates=1)
    store.save(anna, audio=make_audio(anna, np.array([1.5, -1.5, 0.0], dtype=np.float32)))
    loaded = store.load_audio(anna)
    assert loaded is not None
    np.testing.assert_array_equal(loaded.takes[0].samples, [1.0, -1.0, 0.0])


def test_the_file_is_private_encrypted_and_smaller_than_the_samples(store: VoiceprintStore) -> None:
    anna = make_person(num_templates=1)
    speech = tone(300.0, 3.0)
    store.save(anna, audio=make_audio(anna, speech))
    path = audio_file(store, "anna")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size < 0.75 * 2 * len(speech)
    assert store.audio_bytes("anna") == path.stat().st_size
    assert AGREED_AT.isoformat().encode() not in path.read_bytes()


def test_nobody_keeps_audio_unless_it_is_given(store: VoiceprintStore) -> None:
    anna = make_person()
    store.save(anna)
    assert store.load_audio(anna) is None
    assert store.audio_bytes("anna") is None
    assert store.names() == ("anna",)


def test_more_than_ten_minutes_are_refused_before_anything_is_stored(
    store: VoiceprintStore,
) -> None:
    anna = make_person(num_templates=1)
    long = np.zeros(int((MAX_KEPT_S + 1) * SAMPLE_RATE_HZ), dtype=np.float32)
    with pytest.raises(VoiceprintError, match="601 s of audio of 'anna' are too much to keep"):
        store.save(anna, audio=make_audio(anna, long))
    assert not store.holds("anna")


# --- it lives and goes with its enrollment --------------------------------------------------


def test_adding_takes_keeps_the_earlier_audio(store: VoiceprintStore) -> None:
    """``enroll --add`` without --keep-audio: the new take has none, the others still do."""
    anna = make_person(num_templates=3)
    before = replace(anna, templates=anna.templates[:2])
    store.save(before, audio=make_audio(before))
    store.save(anna, overwrite=True)
    loaded = store.load_audio(store.load("anna"))
    assert loaded is not None
    found = [loaded.samples_of(template) is not None for template in anna.templates]
    assert found == [True, True, False]


def test_a_new_enrollment_deletes_the_audio_of_the_old_one(store: VoiceprintStore) -> None:
    """``enroll --force`` without --keep-audio: who did not agree again has nothing kept."""
    anna = make_person()
    store.save(anna, audio=make_audio(anna))
    store.save(replace(anna, created_at=ENROLLED_AT + timedelta(days=1)), overwrite=True)
    assert not audio_file(store, "anna").exists()


def test_removing_a_speaker_deletes_both_files_and_needs_no_key(store: VoiceprintStore) -> None:
    anna = make_person()
    store.save(anna, audio=make_audio(anna))
    store.key_path.unlink()
    store.remove("anna")
    assert not list(store.directory.glob("anna*"))


def test_audio_without_a_voiceprint_can_be_removed_too(store: VoiceprintStore) -> None:
    anna = make_person()
    store.save(anna, audio=make_audio(anna))
    (store.directory / "anna.voiceprint").unlink()
    assert store.holds("anna")
    store.remove("anna")
    assert not store.holds("anna")


def test_a_crash_between_the_two_files_loses_neither(store: VoiceprintStore) -> None:
    """The voiceprint is replaced first: the audio of the added take is then missing, no more."""
    anna = make_person(num_templates=2)
    before = replace(anna, templates=anna.templates[:1])
    store.save(before, audio=make_audio(before))
    kept = audio_file(store, "anna").read_bytes()
    store.save(anna, overwrite=True, audio=make_audio(anna))
    audio_file(store, "anna").write_bytes(kept)  # as if its rename never came
    loaded = store.load_audio(store.load("anna"))
    assert loaded is not None
    assert len(loaded.takes) == 1


def test_a_file_that_can_not_be_written_changes_neither(store: VoiceprintStore) -> None:
    """A limit on file sizes stands for a full disk: the voiceprint would fit, the audio doesn't."""
    anna, other = make_person(seed=1), make_person(seed=2)
    store.save(anna, audio=make_audio(anna))
    before = store.generation(), audio_file(store, "anna").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, hard))
    try:
        with pytest.raises(StateError, match="cannot write") as caught:
            store.save(other, overwrite=True, audio=make_audio(other, tone(700.0, 9.0)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "unharmed" in caught.value.hint
    assert (store.generation(), audio_file(store, "anna").read_bytes()) == before
    assert_same(store.load("anna"), anna)
    assert not list(store.directory.glob(".*.tmp"))


def test_a_migrated_voiceprint_keeps_its_audio(store: VoiceprintStore) -> None:
    anna = make_person()
    store.save(anna, audio=make_audio(anna))
    moved = replace(anna, encoder_id="f" * 16, updated_at=ENROLLED_AT + timedelta(days=1))
    store.replace(anna, moved)
    assert store.load("anna").encoder_id == "f" * 16
    assert store.load_audio(moved) is not None


def test_a_speaker_who_was_removed_or_changed_meanwhile_is_not_brought_back(
    store: VoiceprintStore,
) -> None:
    anna = make_person()
    store.save(anna)
    changed = replace(anna, updated_at=ENROLLED_AT + timedelta(hours=1))
    store.save(changed, overwrite=True)
    with pytest.raises(VoiceprintError, match="changed by somebody else meanwhile"):
        store.replace(anna, replace(anna, encoder_id="f" * 16))
    assert_same(store.load("anna"), changed)
    store.remove("anna")
    with pytest.raises(VoiceprintError, match="no voiceprint of 'anna'"):
        store.replace(changed, replace(changed, encoder_id="f" * 16))
    assert not store.holds("anna")


# --- what can't be trusted ------------------------------------------------------------------


@pytest.fixture
def two(store: VoiceprintStore) -> tuple[Voiceprint, Voiceprint]:
    """Anna and Bert, both with audio."""
    anna, bert = make_person("anna", seed=1), make_person("bert", seed=2)
    for person in (anna, bert):
        store.save(person, audio=make_audio(person))
    return anna, bert


def test_swapped_files_are_refused(
    store: VoiceprintStore, two: tuple[Voiceprint, Voiceprint]
) -> None:
    anna, bert = two
    audio_file(store, "anna").write_bytes(audio_file(store, "bert").read_bytes())
    with pytest.raises(VoiceprintError, match="file of 'anna' holds the kept audio of 'bert'"):
        store.load_audio(anna)
    renamed = audio_file(store, "bert").read_bytes().replace(b'"bert"', b'"anna"', 1)
    audio_file(store, "anna").write_bytes(renamed)
    with pytest.raises(VoiceprintError, match="kept audio of 'anna' is damaged"):
        store.load_audio(anna)
    assert store.load_audio(bert) is not None


def test_a_voiceprint_is_no_audio_and_audio_no_voiceprint(
    store: VoiceprintStore, two: tuple[Voiceprint, Voiceprint]
) -> None:
    anna = two[0]
    audio_file(store, "anna").write_bytes((store.directory / "anna.voiceprint").read_bytes())
    with pytest.raises(VoiceprintError, match="is no kept audio"):
        store.load_audio(anna)
    sealed = audio_file(store, "bert").read_bytes()
    (store.directory / "bert.voiceprint").write_bytes(b"VGPRINT\n" + sealed[8:])
    with pytest.raises(VoiceprintError, match="voiceprint of 'bert' has a damaged header"):
        store.load("bert")


def test_audio_of_an_earlier_enrollment_is_refused(
    store: VoiceprintStore, two: tuple[Voiceprint, Voiceprint]
) -> None:
    """An old backup put back beside a new voiceprint."""
    anna = two[0]
    old = audio_file(store, "anna").read_bytes()
    again = replace(anna, created_at=ENROLLED_AT + timedelta(days=1))
    store.save(again, overwrite=True)
    audio_file(store, "anna").write_bytes(old)
    with pytest.raises(VoiceprintError, match="belongs to another enrollment"):
        store.load_audio(again)


def test_audio_is_not_stored_with_a_voiceprint_that_was_not_made_from_it(
    store: VoiceprintStore,
) -> None:
    anna = make_person()
    audio = make_audio(anna)
    twice = replace(audio, takes=(audio.takes[0], audio.takes[0]))
    strange = replace(
        audio, takes=(replace(audio.takes[0], recorded_at=ENROLLED_AT - timedelta(days=1)),)
    )
    for wrong in (twice, strange, replace(audio, speaker="bert")):
        with pytest.raises(VoiceprintError, match="another enrollment"):
            store.save(anna, audio=wrong)
    assert not store.holds("anna")


@pytest.mark.parametrize("num_bytes", [0, 4, 60, 5000])
def test_truncated_audio_is_refused_and_the_voiceprint_goes_on(
    store: VoiceprintStore, two: tuple[Voiceprint, Voiceprint], num_bytes: int
) -> None:
    os.truncate(audio_file(store, "anna"), num_bytes)
    with pytest.raises(VoiceprintError, match=r"anna.* (truncated|damaged|no kept audio)"):
        store.load_audio(two[0])
    assert len(store.load_all().voiceprints) == 2


def test_one_flipped_bit_is_noticed(
    store: VoiceprintStore, two: tuple[Voiceprint, Voiceprint]
) -> None:
    path = audio_file(store, "anna")
    whole = path.read_bytes()
    for position in (20, len(whole) // 2, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(VoiceprintError):
            store.load_audio(two[0])


def test_another_key_is_told_from_damage(
    store: VoiceprintStore, two: tuple[Voiceprint, Voiceprint], tmp_path: Path
) -> None:
    foreign = create_key(tmp_path / "foreign")
    audio_file(store, "anna").write_bytes(seal(make_audio(two[0]), foreign))
    with pytest.raises(StoreKeyError, match="kept audio of 'anna' was sealed with another key"):
        store.load_audio(two[0])


def test_a_newer_format_is_refused_without_guessing(
    store: VoiceprintStore, two: tuple[Voiceprint, Voiceprint]
) -> None:
    path = audio_file(store, "anna")
    path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(VoiceprintError, match="kept audio of 'anna' has format 2"):
        store.load_audio(two[0])


def test_many_takes_are_no_way_past_what_may_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """An export of somebody else's: a megabyte of it could unfold into terabytes."""
    anna = make_person("anna")
    audio = make_audio(anna, *(np.zeros(8000, np.float32) for _ in anna.templates))
    body = kept_audio.pack(audio)
    monkeypatch.setattr(kept_audio, "MAX_KEPT_S", 0.75)
    with pytest.raises(ValueError, match="a take of 8000 samples; 4000 at most"):
        kept_audio.unpack(body, speaker="anna", enrolled_at=anna.created_at)
