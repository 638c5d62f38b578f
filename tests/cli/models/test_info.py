"""``voiceguard models``: the whole card, checked against the files."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard
from tests.older_encoder import put_by
from voiceguard.cli import output
from voiceguard.cli.models.info import info
from voiceguard.encoder.card import native
from voiceguard.encoder.card.model_card import DataSource, Figure, Teacher
from voiceguard.encoder.library import DEFAULT_MODEL, calibration_path, cohort_path, find_model
from voiceguard.errors import EncoderError
from voiceguard.service.encoder_check import examine
from voiceguard.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An encoder of one's own, with a card that says everything."""
    path = put_by(tmp_path)
    card = native.read_card(native.card_path(path))
    full = replace(
        card,
        data=(
            DataSource(corpus="Corpus A", num_speakers=20, hours=1.5, licence="CC0-1.0"),
            DataSource(corpus="Corpus B", num_speakers=5, hours=0.5, licence="CC BY 4.0"),
        ),
        recipe={"steps": 12_000, "loss": {"margin": 0.2}},
        teacher=Teacher(name="Teacher T", licence="MIT", trained_on="LibriSpeech [other]"),
        limits=("Whisper: the EER doubles.",),
        compute="one GPU, 3 h",
        figures=(Figure(what="EER, 3 s", value="2.0 %", command="voiceguard evaluate X"),),
    )
    native.save_card(native.card_path(path), full)
    return path


def test_info_shows_everything_on_the_card(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.stdout, "width", 200)
    assert info(str(model)) == 0
    shown = capsys.readouterr().out
    for words in (
        native.read_card(native.card_path(model)).encoder_id,
        str(model),
        "MB, F32, intact",
        "2.89 M parameters",
        "192 dimensions",
        "Apache-2.0",
        "Corpus B",
        "CC BY 4.0",
        "steps = 12000",
        'loss = {"margin": 0.2}',
        "teacher Teacher T (MIT), which learned from LibriSpeech [other]",
        "compute one GPU, 3 h",
        "$ voiceguard evaluate X",
        "EER, 3 s: 2.0 %",
        "- Whisper: the EER doubles.",
        "cohort of ",
        "calibrated 20",
    ):
        assert words in shown, words
    assert "together" in shown
    assert "25" in shown


def test_info_as_json_holds_the_card_and_the_checks(model: Path) -> None:
    result = voiceguard("models", "info", model, "--json", state=model.parent)
    assert result.returncode == 0, result.stderr
    known = json.loads(result.stdout)
    card = native.read_card(native.card_path(model))
    assert {name: known[name] for name in card.to_json()} == card.to_json()
    assert (known["weights_are_intact"], known["faults"]) == (True, [])
    assert known["num_bytes"] == model.stat().st_size
    assert known["cohort"]["num_speakers"] > 0
    assert known["calibration"]["num_speakers"] > 0


def test_without_a_name_it_is_the_encoder_in_use(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICEGUARD_ENCODER__MODEL", str(model))
    assert info(json_lines=True) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "old"


def test_damaged_weights_are_a_fault_and_the_card_is_still_shown(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:-1] + b"\x00\x01")
    known = examine(load_settings(None, encoder={"model": str(model)}))
    assert not known["weights_are_intact"]
    assert "is damaged or was replaced" in known["faults"][0]
    assert known["trained_on"]
    assert info(str(model), json_lines=True) == 1


def test_somebody_elses_files_are_faults(model: Path) -> None:
    cohort_path(str(model)).write_bytes(cohort_path("default").read_bytes())
    assert (
        "belongs to encoder"
        in examine(load_settings(None, encoder={"model": str(model)}))["faults"][0]
    )
    cohort_path(str(model)).unlink()
    assert (
        "was fitted to cohort"
        in examine(load_settings(None, encoder={"model": str(model)}))["faults"][0]
    )
    calibration_path(str(model)).unlink()
    known = examine(load_settings(None, encoder={"model": str(model)}))
    assert (known["faults"], known["cohort"], known["calibration"]) == ([], None, None)


def test_list_names_what_is_shipped_and_which_is_the_default(tmp_path: Path) -> None:
    rows = [
        json.loads(line)
        for line in voiceguard("models", "list", "--json", state=tmp_path).stdout.splitlines()
    ]
    (default,) = [row for row in rows if row["is_default"]]
    assert default["name"] == DEFAULT_MODEL
    assert default["num_bytes"] == find_model(DEFAULT_MODEL).stat().st_size
    assert DEFAULT_MODEL in voiceguard("models", "list", state=tmp_path).stdout


def test_an_unknown_model_is_told_the_known_ones() -> None:
    with pytest.raises(EncoderError, match=DEFAULT_MODEL):
        info("titanet")
