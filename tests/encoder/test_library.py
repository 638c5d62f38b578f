"""Encoders by name and by path."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from voiceguard.encoder.config import EncoderConfig
from voiceguard.encoder.library import (
    DEFAULT_MODEL,
    calibration_path,
    cohort_path,
    find_model,
    shipped_models,
    stated_encoder_id,
)
from voiceguard.encoder.loading import load_encoder
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.protocols import Encoder


def test_the_default_is_shipped() -> None:
    assert DEFAULT_MODEL in shipped_models()
    assert find_model("default") == find_model(DEFAULT_MODEL)
    assert find_model("default").is_file()


def test_shipped_weights_are_small_enough_for_a_package() -> None:
    for name in shipped_models():
        assert find_model(name).stat().st_size <= 15e6, name


def test_the_id_is_known_from_the_card_without_loading(tmp_path: Path, encoder: Encoder) -> None:
    assert stated_encoder_id("default") == encoder.info.encoder_id
    own = tmp_path / "own.safetensors"
    own.touch()
    assert stated_encoder_id(str(own)) is None, "no card"
    own.with_suffix(".json").write_text("[]")
    assert stated_encoder_id(str(own)) is None
    assert stated_encoder_id("/nowhere/own.safetensors") is None


def test_a_path_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.safetensors").touch()
    assert find_model("~/own.safetensors") == tmp_path / "own.safetensors"


def test_cohort_and_calibration_are_beside_the_weights_and_are_no_models(tmp_path: Path) -> None:
    own = tmp_path / "own.safetensors"
    own.touch()
    assert cohort_path(str(own)) == tmp_path / "own.cohort.safetensors"
    assert calibration_path(str(own)) == tmp_path / "own.calibration.json"
    assert all(find_model(name).with_suffix(".json").is_file() for name in shipped_models())
    assert not [name for name in shipped_models() if "." in name]


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(EncoderError, match=f"no encoder 'ecapa': expected .*{DEFAULT_MODEL}"):
        find_model("ecapa")


def test_a_path_to_nothing_is_an_error_with_the_path() -> None:
    with pytest.raises(EncoderError, match=r"no encoder file /nowhere/own.safetensors"):
        load_encoder("/nowhere/own.safetensors")


@pytest.mark.parametrize(
    "values",
    [
        {"model": ""},
        {"device": "gpu"},
        {"device": "cuda:"},
        {"device": "cpu:0x"},
        {"num_threads": 0},
        {"num_threads": 65},
    ],
)
def test_settings_out_of_range_are_refused_by_name(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        EncoderConfig(**values)  # type: ignore[arg-type]


def test_the_settings_are_read_without_torch() -> None:
    """Commands that embed nothing start at once."""
    program = "import sys, voiceguard.encoder; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
