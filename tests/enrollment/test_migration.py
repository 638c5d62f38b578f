"""Migration: voiceprints move to another encoder by their audio, and nothing is lost on the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fakes import NOON, PitchEncoder, hears_tones, quiet, tone
from tests.voiceprints.people import assert_same
from voiceguard.enrollment import TakeJudge, Takes
from voiceguard.enrollment.migration import Migration, MigrationStatus, Migrator
from voiceguard.voiceprints import VoiceprintStore
from voiceguard.voiceprints.kept_audio import KeptAudio, KeptTake
from voiceguard.voiceprints.key import create_key

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.types import Embedding, Samples, Voiceprint

OLD, NEW = "0" * 16, "f" * 16
LATER = NOON + timedelta(days=30)


class NewEncoder(PitchEncoder):
    """Another encoder: the same pitches, in the reverse order of dimensions."""

    def __init__(self) -> None:
        super().__init__(NEW)
        self.fails_at_call: int | None = None

    def embed(self, samples: Samples) -> Embedding:
        if self.num_calls + 1 == self.fails_at_call:
            raise RuntimeError("CUDA out of memory")
        return super().embed(samples)[::-1].copy()


@pytest.fixture
def store(tmp_path: Path) -> VoiceprintStore:
    return VoiceprintStore(tmp_path, environ={})


def enroll(
    store: VoiceprintStore,
    speaker: str,
    hz: float,
    *,
    num_takes: int = 2,
    num_kept: int | None = None,
) -> Voiceprint:
    """By the old encoder, with the audio of the first takes (None: of all)."""
    takes = Takes(TakeJudge(encoder=PitchEncoder(OLD), make_vad=hears_tones))
    for number in range(num_takes):
        take = np.concatenate((quiet(0.5), tone(hz, 3.0, seed=number), quiet(0.5)))
        recorded_at = NOON + timedelta(seconds=10 * number)
        takes.add(take, recorded_at=recorded_at, label=f"room {number}")
    voiceprint = takes.voiceprint(speaker, consent_at=NOON, now=NOON)
    kept = takes.usable_audio[:num_kept]
    audio = KeptAudio(
        speaker=speaker,
        enrolled_at=NOON,
        takes=tuple(
            KeptTake(recorded_at=moment, consent_at=NOON, samples=samples)
            for moment, samples in kept
        ),
    )
    store.save(voiceprint, audio=audio if kept else None)
    return store.load(speaker)


def migrate(
    store: VoiceprintStore,
    speaker: str,
    *,
    encoder: PitchEncoder | None = None,
    allow_partial: bool = False,
    dry_run: bool = False,
) -> Migration:
    judge = TakeJudge(encoder=encoder or NewEncoder(), make_vad=hears_tones)
    migrator = Migrator(store, judge, allow_partial=allow_partial)
    return migrator.migrate(speaker, now=LATER, dry_run=dry_run)


def test_a_voiceprint_is_made_anew_template_by_template(store: VoiceprintStore) -> None:
    """As if the person had read again to the new encoder; consent and times are the old ones."""
    before = enroll(store, "anna", 500.0)
    result = migrate(store, "anna")
    assert (result.status, result.num_migrated) == (MigrationStatus.MIGRATED, 2)
    after = store.load("anna", encoder_id=NEW)
    for old, new in zip(before.templates, after.templates, strict=True):
        np.testing.assert_allclose(new.embedding, old.embedding[::-1], atol=1e-3)
        assert (new.created_at, new.label) == (old.created_at, old.label)
        assert new.net_speech_s == pytest.approx(old.net_speech_s)
        assert new.snr_db == pytest.approx(old.snr_db, abs=1.0)
    assert (after.consent_at, after.created_at) == (before.consent_at, before.created_at)
    assert after.updated_at == LATER


def test_quality_figures_are_recomputed(store: VoiceprintStore) -> None:
    before = enroll(store, "anna", 500.0, num_takes=1)
    wrong = replace(before.templates[0], net_speech_s=99.0, snr_db=-3.0)
    store.save(replace(before, templates=(wrong,)), overwrite=True)
    migrate(store, "anna")
    after = store.load("anna").templates[0]
    assert after.net_speech_s == pytest.approx(before.templates[0].net_speech_s)
    assert after.snr_db == pytest.approx(before.templates[0].snr_db, abs=1.0)


def test_again_there_is_nothing_to_do(store: VoiceprintStore) -> None:
    enroll(store, "anna", 500.0)
    migrate(store, "anna")
    before = store.generation()
    encoder = NewEncoder()
    assert migrate(store, "anna", encoder=encoder).status is MigrationStatus.CURRENT
    assert encoder.num_calls == 0
    assert store.generation() == before


def test_it_can_be_migrated_once_more(store: VoiceprintStore) -> None:
    """The audio outlives the migration: the next encoder needs it as well."""
    before = enroll(store, "anna", 500.0)
    migrate(store, "anna")
    assert migrate(store, "anna", encoder=PitchEncoder(OLD)).status is MigrationStatus.MIGRATED
    again = store.load("anna", encoder_id=OLD)
    np.testing.assert_allclose(
        again.templates[1].embedding, before.templates[1].embedding, atol=1e-3
    )


def test_a_dry_run_says_the_same_and_does_nothing(store: VoiceprintStore) -> None:
    enroll(store, "anna", 500.0)
    enroll(store, "bob", 900.0, num_kept=0)
    before = store.generation()
    assert migrate(store, "anna", dry_run=True).status is MigrationStatus.WOULD_MIGRATE
    assert migrate(store, "bob", dry_run=True).status is MigrationStatus.ENROLL_AGAIN
    assert store.generation() == before


def test_without_audio_the_person_must_enroll_again(store: VoiceprintStore) -> None:
    before = enroll(store, "anna", 500.0, num_kept=0)
    result = migrate(store, "anna")
    assert (result.status, result.encoder_id) == (MigrationStatus.ENROLL_AGAIN, OLD)
    assert "no audio was kept" in result.reason
    assert "voiceguard enroll anna --force --keep-audio" in result.hint
    assert not result.is_well
    assert_same(store.load("anna"), before)


def test_takes_without_audio_are_given_up_only_when_asked(store: VoiceprintStore) -> None:
    before = enroll(store, "anna", 500.0, num_takes=3, num_kept=2)
    refused = migrate(store, "anna")
    assert refused.status is MigrationStatus.ENROLL_AGAIN
    assert "of 1 of its 3 takes no audio was kept" in refused.reason
    assert_same(store.load("anna"), before)
    done = migrate(store, "anna", allow_partial=True)
    assert (done.status, done.num_migrated, done.num_templates) == (MigrationStatus.MIGRATED, 2, 3)
    after = store.load("anna", encoder_id=NEW)
    assert [template.label for template in after.templates] == ["room 0", "room 1"]
    assert store.load_audio(after) is not None


# --- what goes wrong ------------------------------------------------------------------------


def test_an_encoder_that_fails_in_the_middle_leaves_the_old_voiceprint(
    store: VoiceprintStore,
) -> None:
    before = enroll(store, "anna", 500.0, num_takes=3)
    encoder = NewEncoder()
    encoder.fails_at_call = 2
    result = migrate(store, "anna", encoder=encoder)
    assert result.status is MigrationStatus.FAILED
    assert "out of memory" in result.reason
    assert_same(store.load("anna"), before)
    assert migrate(store, "anna").status is MigrationStatus.MIGRATED


def test_ctrl_c_in_the_middle_leaves_the_old_voiceprint(store: VoiceprintStore) -> None:
    class Interrupted(NewEncoder):
        def embed(self, samples: Samples) -> Embedding:
            if self.num_calls == 1:
                raise KeyboardInterrupt
            return super().embed(samples)

    before = enroll(store, "anna", 500.0)
    with pytest.raises(KeyboardInterrupt):
        migrate(store, "anna", encoder=Interrupted())
    assert_same(store.load("anna"), before)


def test_someone_removed_meanwhile_stays_removed(store: VoiceprintStore) -> None:
    class Slow(NewEncoder):
        def embed(self, samples: Samples) -> Embedding:
            if store.holds("anna"):
                store.remove("anna")
            return super().embed(samples)

    enroll(store, "anna", 500.0)
    result = migrate(store, "anna", encoder=Slow())
    assert result.status is MigrationStatus.FAILED
    assert "no voiceprint of 'anna'" in result.reason
    assert not store.holds("anna")


def test_truncated_or_swapped_audio_fails_by_name_and_changes_nothing(
    store: VoiceprintStore,
) -> None:
    before = {name: enroll(store, name, hz) for name, hz in (("anna", 500.0), ("bob", 900.0))}
    anna, bob = (store.directory / f"{name}.audio" for name in before)
    bob.write_bytes(anna.read_bytes())
    anna.write_bytes(anna.read_bytes()[:-100])
    for name, word in (("anna", "damaged"), ("bob", "holds the kept audio of 'anna'")):
        result = migrate(store, name)
        assert result.status is MigrationStatus.FAILED
        assert word in result.reason
        assert result.hint
        assert_same(store.load(name), before[name])


def test_with_another_key_nobody_is_touched(store: VoiceprintStore, tmp_path: Path) -> None:
    enroll(store, "anna", 500.0)
    files = {path: path.read_bytes() for path in store.directory.iterdir()}
    right = store.key_path.read_bytes()
    store.key_path.unlink()
    create_key(store.key_path)
    result = migrate(store, "anna")
    assert result.status is MigrationStatus.FAILED
    assert "another key" in result.reason
    assert {path: path.read_bytes() for path in store.directory.iterdir()} == files
    store.key_path.write_bytes(right)
    assert migrate(VoiceprintStore(tmp_path, environ={}), "anna").is_well


def test_a_take_in_which_no_speech_is_found_any_more_stops_it(store: VoiceprintStore) -> None:
    voiceprint = enroll(store, "anna", 500.0, num_takes=1)
    audio = store.load_audio(voiceprint)
    assert audio is not None
    silent = replace(audio, takes=(replace(audio.takes[0], samples=quiet(3.0)),))
    store.save(voiceprint, overwrite=True, audio=silent)
    result = migrate(store, "anna")
    assert result.status is MigrationStatus.FAILED
    assert "too little speech is found in the audio of take 1" in result.reason
    assert_same(store.load("anna"), voiceprint)
