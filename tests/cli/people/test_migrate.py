"""``voiceguard voiceprints migrate``, from one real encoder to another."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard
from tests.fakes import hears_tones
from tests.older_encoder import put_by
from tests.recordings import TAKES
from voiceguard.audio.files import load_audio
from voiceguard.encoder.library import stated_encoder_id
from voiceguard.encoder.loading import load_encoder
from voiceguard.enrollment import TakeJudge, Takes
from voiceguard.voiceprints import VoiceprintStore, audio_to_keep

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> VoiceprintStore:
    """Robin agreed to keep the audio, Sam did not; both were enrolled with an older encoder."""
    store = VoiceprintStore(tmp_path, environ={})
    takes = Takes(
        TakeJudge(encoder=load_encoder(str(put_by(tmp_path)), device="cpu"), make_vad=hears_tones)
    )
    for file in TAKES[:2]:
        takes.add(load_audio(file), recorded_at=datetime.now(UTC))
    now = datetime.now(UTC)
    robin = takes.voiceprint("robin", consent_at=now, now=now)
    store.save(robin, audio=audio_to_keep(robin, takes.usable_audio, now, None))
    store.save(takes.voiceprint("sam", consent_at=now, now=now))
    return store


def test_what_was_kept_is_migrated_and_the_others_are_told(
    tmp_path: Path, store: VoiceprintStore
) -> None:
    """Dry run, migration and use, in the order in which somebody would do it."""
    generation = store.generation()
    dry = voiceguard("voiceprints", "migrate", "--dry-run", "--json", state=tmp_path)
    assert dry.returncode == 1, "Sam must enroll again"
    statuses = [json.loads(line)["status"] for line in dry.stdout.splitlines()]
    assert statuses == ["would_migrate", "enroll_again"]
    assert store.generation() == generation

    done = voiceguard("voiceprints", "migrate", state=tmp_path)
    assert done.returncode == 1
    assert "migrated" in done.stdout
    assert "2 of 2" in done.stdout
    assert "sam: `voiceguard enroll sam --force --keep-audio`" in done.stdout
    assert store.load("robin").encoder_id == stated_encoder_id("default")
    assert voiceguard("verify", "robin", TAKES[3], state=tmp_path).returncode == 0


def test_a_name_that_is_not_there_is_an_error_before_anything_is_done(
    tmp_path: Path, store: VoiceprintStore
) -> None:
    generation = store.generation()
    result = voiceguard("voiceprints", "migrate", "robin", "nobody", state=tmp_path)
    assert result.returncode == 1
    assert "no voiceprint of 'nobody'" in result.stderr
    assert store.generation() == generation


def test_with_nobody_enrolled_there_is_nothing_to_do(tmp_path: Path) -> None:
    result = voiceguard("voiceprints", "migrate", state=tmp_path)
    assert result.returncode == 0
    assert "Nobody is enrolled" in result.stderr
