"""Training speech: what is used, what is left out and why, and what is refused."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fakes import quiet, tone
from tests.lab.evaluation.voices import Written, people, write_corpus, write_wav
from voiceguard.errors import UsageError
from voiceguard.lab.corpora.corpus import read_corpus
from voiceguard.lab.training.speech.material import (
    PASSAGE_S,
    gather,
    store_material,
    stored_material,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_words_of_one_occasion_are_joined_and_occasions_kept_apart(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path, people(10, utterances=3, second_session=2))

    material = gather(read_corpus(manifest), max_speaker_s=60)

    assert len(material.speakers) == 10
    assert len(material.passages) == 20  # two sessions each
    assert max(passage.seconds for passage in material.passages) <= PASSAGE_S + 1
    (count,) = material.counts
    assert count.num_speakers == 10
    assert count.licences == ("CC0-1.0",)
    assert count.speech_s == pytest.approx(sum(p.seconds for p in material.passages))


def test_nobody_brings_more_than_the_limit(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path, people(10, utterances=5, second_session=0))

    material = gather(read_corpus(manifest), max_speaker_s=4)

    per_speaker = [
        sum(p.seconds for p in material.passages if p.speaker == speaker)
        for speaker in material.speakers
    ]
    assert max(per_speaker) < 8  # the recording that crosses the limit is still whole


def test_unfit_recordings_are_named_with_their_reason(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path, people(11, utterances=4, second_session=0))
    first, second, third, fourth = sorted((tmp_path / "tones/s00").iterdir())
    first.write_bytes(b"RIFF, but not really")
    write_wav(second, tone(300.0, 0.1))
    write_wav(third, np.clip(20 * tone(300.0, 3.0), -1, 1))
    write_wav(fourth, quiet(3.0))

    material = gather(read_corpus(manifest), max_speaker_s=60)

    reasons = {skip.path.name: skip.reason for skip in material.skips}
    assert "too short" in reasons[second.name]
    assert "clipped" in reasons[third.name]
    assert "no speech" in reasons[fourth.name]
    assert first.name in reasons
    assert "tones/s00" in reasons["s00"]  # nothing of the speaker is left
    assert len(material.speakers) == 10


def test_the_same_recording_twice_is_used_once(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path, people(10, utterances=4, second_session=0))
    original, copy, *_ = sorted((tmp_path / "tones/s03").iterdir())
    shutil.copy(original, copy)

    material = gather(read_corpus(manifest), max_speaker_s=60)

    assert [skip.path.name for skip in material.skips] == [copy.name]
    assert "same audio" in material.skips[0].reason


def test_one_recording_under_two_speakers_is_refused(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path, people(10, utterances=4, second_session=0))
    original = min((tmp_path / "tones/s03").iterdir())
    shutil.copy(original, min((tmp_path / "tones/s04").iterdir()))

    with pytest.raises(UsageError, match=r"two speakers.*s03.*s04"):
        gather(read_corpus(manifest), max_speaker_s=60)


def test_too_few_speakers_are_refused_and_the_reasons_told(tmp_path: Path) -> None:
    rows = [*people(3, utterances=4, second_session=0), Written("short", "a", 900.0, seconds=0.15)]
    manifest = write_corpus(tmp_path, rows)

    with pytest.raises(UsageError, match=r"3 speakers .* needs 10; left out: .*short") as caught:
        gather(read_corpus(manifest), max_speaker_s=60)
    assert "more people" in caught.value.hint


def test_what_was_gathered_is_kept_for_the_same_key_only(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path, people(10, utterances=4, second_session=1))
    material = gather(read_corpus(manifest), max_speaker_s=60)

    store_material(material, tmp_path, "a")
    again = stored_material(tmp_path, "a")

    assert again is not None
    assert [p.speaker for p in again.passages] == [p.speaker for p in material.passages]
    for one, other in zip(again.passages, material.passages, strict=True):
        np.testing.assert_array_equal(one.pcm, other.pcm)
    assert again.counts == material.counts
    assert stored_material(tmp_path, "b") is None
    assert stored_material(tmp_path / "elsewhere", "a") is None
