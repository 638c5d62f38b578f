"""What a run needs is looked at before the teacher is, and said in a sentence."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fakes import tone
from tests.lab.training.tiny import TINY, tiny_inputs, tiny_run
from voiceguard.errors import StateError, UsageError, VoiceguardError
from voiceguard.lab.training.corruption.augment import AugmentConfig
from voiceguard.lab.training.needs import available_memory, check_inputs, check_space, without_short
from voiceguard.lab.training.speech.material import Material, Passage, to_pcm

if TYPE_CHECKING:
    from pathlib import Path


def material(*seconds: float) -> Material:
    passages = tuple(
        Passage(f"tones/s{number}", "tones", to_pcm(tone(300.0, length)))
        for number, length in enumerate(seconds)
    )
    return Material(passages=passages, skips=(), counts=())


def endless(num_samples: int) -> Material:
    """Speech that takes no memory."""
    pcm = np.broadcast_to(np.int16(0), (num_samples,))
    return Material(passages=(Passage("tones/s", "tones", pcm),), skips=(), counts=())


def test_a_missing_package_is_told_before_the_teacher_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)

    with pytest.raises(VoiceguardError, match="pyroomacoustics, which is not installed"):
        tiny_run(tmp_path / "corpus", tmp_path / "out", teacher="nobody", augment=AugmentConfig())


def test_noise_that_is_not_there_is_told_before_the_teacher_is_loaded(tmp_path: Path) -> None:
    inputs = replace(tiny_inputs(tmp_path / "corpus", tmp_path / "out"), noise=tmp_path / "quiet")

    with pytest.raises(UsageError, match="quiet is not there"):
        check_inputs(inputs, TINY)


def test_passages_too_short_for_the_fastest_voice_are_left_out_and_counted() -> None:
    left = without_short(material(0.3, 2.0, 0.55, 1.0), 0.6)

    assert left.speakers == ["tones/s1", "tones/s3"]
    assert [str(skip.path) for skip in left.skips] == ["tones/s0", "tones/s2"]
    assert len({skip.reason for skip in left.skips}) == 1
    with pytest.raises(UsageError, match="1 speakers have a passage"):
        without_short(material(0.3, 2.0), 0.6)


def test_a_run_leaves_out_what_its_teacher_cannot_embed(tmp_path: Path) -> None:
    run = tiny_run(
        tmp_path / "corpus", tmp_path / "out", teacher="default", changed_speed=(0.8, 1.9)
    )

    assert all(passage.seconds >= 0.5 * 1.9 for passage in run.material.passages)


def test_a_disk_too_small_is_told_with_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"2 voices of this speech take 4000000 MB"):
        check_space(tmp_path, endless(10**12), TINY)


def test_checkpoints_without_room_are_told_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = tiny_inputs(tmp_path / "corpus", tmp_path)
    room = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room._replace(free=1_000_000))

    with pytest.raises(StateError, match=r"checkpoints of this network take \d+ MB in"):
        check_inputs(inputs, TINY)


@pytest.mark.skipif(available_memory() is None, reason="this system does not say")
def test_memory_too_small_is_told_with_what_is_needed(tmp_path: Path) -> None:
    available = available_memory()
    assert available is not None
    there = tmp_path / "voices-00.i16"  # a hole: rounds that are there already take no room
    with there.open("wb") as file:
        file.truncate(available)

    with pytest.raises(StateError, match="of memory"):
        check_space(tmp_path, endless(available // 4), replace(TINY, num_voices=1))
