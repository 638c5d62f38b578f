"""Encoders by name and by path."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from voiceguard.encoder import library
from voiceguard.encoder.config import EncoderConfig
from voiceguard.encoder.foreign.catalogue import CATALOGUE
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
from voiceguard.scoring.calibration import load_calibration
from voiceguard.scoring.snorm import load_cohort

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


def test_an_encoder_without_scoring_data_of_its_own_has_what_is_shipped_for_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "SCORING_DIR", tmp_path / "scoring")
    (tmp_path / "scoring").mkdir()
    own = tmp_path / "own.safetensors"
    own.touch()
    own.with_suffix(".json").write_bytes(find_model("default").with_suffix(".json").read_bytes())
    encoder_id = stated_encoder_id(str(own))
    beside = tmp_path / "own.calibration.json"
    assert calibration_path(str(own)) == beside
    assert library.shipped_calibration(str(encoder_id)) is None

    shipped = tmp_path / "scoring" / f"{encoder_id}.calibration.json"
    shipped.touch()
    (tmp_path / "scoring" / f"{encoder_id}.cohort.safetensors").touch()
    assert calibration_path(str(own)) == library.shipped_calibration(str(encoder_id)) == shipped
    assert cohort_path(str(own)).parent == tmp_path / "scoring"
    assert library.own_cohort_path(str(own)) == tmp_path / "own.cohort.safetensors"
    assert find_model(str(own)) == own, "they are no models"

    library.own_cohort_path(str(own)).touch()
    assert cohort_path(str(own)) == library.own_cohort_path(str(own))
    assert calibration_path(str(own)) == beside, "fitted to another cohort"


def test_what_is_shipped_for_an_id_fits_it_and_its_own_cohort() -> None:
    for path in library.SCORING_DIR.glob("*.calibration.json"):
        encoder_id = path.name.removesuffix(library.CALIBRATION_SUFFIX)
        cohort = load_cohort(
            path.with_name(encoder_id + library.COHORT_SUFFIX), encoder_id=encoder_id
        )
        load_calibration(path, encoder_id=encoder_id, cohort_id=cohort.cohort_id)
        assert encoder_id in {known.encoder_id for known in CATALOGUE}


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
