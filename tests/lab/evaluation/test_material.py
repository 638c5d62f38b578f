"""Noise and rooms: what is tested with is not fitted with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes import quiet
from tests.lab.evaluation.voices import write_wav
from voiceguard.errors import UsageError
from voiceguard.lab.evaluation.material import (
    FIT_NOISE,
    FIT_ROOM,
    conditions_to_fit,
    divided,
    read_material,
)

if TYPE_CHECKING:
    from pathlib import Path


def folder(path: Path, num_files: int) -> Path:
    for number in range(num_files):
        write_wav(path / f"{number}.wav", quiet(0.1))
    return path


def test_without_material_there_is_clean_speech_and_the_telephone() -> None:
    material = read_material(None, None)
    assert [each.name for each in material.conditions] == ["clean", "telephone"]
    assert (material.fitting, material.facts) == ((), {})


def test_a_folder_without_splits_is_divided(tmp_path: Path) -> None:
    files = divided(folder(tmp_path / "noise", 5))
    assert [path.name for path in files.to_test] == ["0.wav", "2.wav", "4.wav"]
    assert [path.name for path in files.to_fit] == ["1.wav", "3.wav"]


def test_splits_of_a_manifest_count(tmp_path: Path) -> None:
    folder(tmp_path, 3)
    rows = "0.wav,eval\n1.wav,train\n2.wav,eval\n"
    (tmp_path / "manifest.csv").write_text("path,split\n" + rows)
    files = divided(tmp_path)
    assert [path.name for path in files.to_test] == ["0.wav", "2.wav"]
    assert [path.name for path in files.to_fit] == ["1.wav"]


def test_noise_is_of_the_speechs_split_where_there_is_one(tmp_path: Path) -> None:
    folder(tmp_path, 3)
    (tmp_path / "manifest.csv").write_text("path,split\n0.wav,eval\n1.wav,train\n2.wav,test\n")
    for split, name in (("test", "2.wav"), ("eval", "0.wav"), ("train", "0.wav"), ("new", "0.wav")):
        files = divided(tmp_path, split)
        assert [path.name for path in files.to_test] == [name]
        assert [path.name for path in files.to_fit] == ["1.wav"]


def test_everything_that_the_material_allows_is_heard(tmp_path: Path) -> None:
    noise, rooms = folder(tmp_path / "noise", 2), folder(tmp_path / "rooms", 4)
    material = read_material(noise, rooms)
    names = ["clean", "10 dB", "5 dB", "0 dB", "reverberant", "10 dB reverberant", "telephone"]
    assert [each.name for each in material.conditions] == names
    assert [each.name for each in material.fitting] == [FIT_NOISE, FIT_ROOM]
    assert material.facts["rooms"] == f"{rooms}: 2 files to test with, 2 to fit"
    chosen = read_material(noise, None, "clean, 5 dB")
    assert [each.name for each in chosen.conditions] == ["clean", "5 dB"]


def test_conditions_without_material_or_without_clean_speech_are_refused() -> None:
    with pytest.raises(UsageError, match="no condition 'reverberant'") as caught:
        read_material(None, None, "clean,reverberant")
    assert "--rir" in caught.value.hint
    with pytest.raises(UsageError, match="clean speech is always measured"):
        read_material(None, None, "telephone")


def test_a_calibration_is_fitted_to_noise_and_rooms_of_the_split_train(
    tmp_path: Path,
) -> None:
    for name in ("fan", "rain", "hall", "attic"):
        write_wav(tmp_path / f"{name}.wav", quiet(0.5, level=0.1))
    for manifest, rows in (("noise", ("fan", "rain")), ("rooms", ("hall", "attic"))):
        (tmp_path / f"{manifest}.csv").write_text(
            f"path,split\n{rows[0]}.wav,train\n{rows[1]}.wav,eval\n", encoding="utf-8"
        )
    noise, room = conditions_to_fit(tmp_path / "noise.csv", tmp_path / "rooms.csv")
    assert (noise.name, room.name) == ("10 dB", "reverberant")
    assert conditions_to_fit(None, None) == ()
