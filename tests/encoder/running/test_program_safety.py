"""Programs that were changed, are not trusted, or lie about themselves are not run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch

from tests.encoder.made_programs import (
    Ecapa2Like,
    WaveformModule,
    bring,
    save_features_graph,
    save_script,
)
from voiceguard.encoder import installed, installing
from voiceguard.encoder.library import find_model
from voiceguard.encoder.loading import load_encoder
from voiceguard.errors import EncoderError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_that_was_changed_after_its_import_is_not_run(tmp_path: Path) -> None:
    bring(save_features_graph(tmp_path / "model.onnx"), tmp_path / "models")
    path = tmp_path / "models" / "mine" / "model.onnx"
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.raises(EncoderError, match="is damaged or was replaced"):
        load_encoder("mine", models_dir=tmp_path / "models")


def test_torchscript_needs_trust_and_its_file_the_hash_that_was_trusted(tmp_path: Path) -> None:
    models_dir = tmp_path / "models"
    program = save_script(tmp_path / "ecapa2.pt", Ecapa2Like())
    with pytest.raises(UsageError, match="is a program") as caught:
        bring(program, models_dir)
    assert "--trust" in caught.value.hint
    assert installed.installed_models(models_dir) == []
    bring(program, models_dir, trust=True)
    save_script(models_dir / "mine" / "model.pt", WaveformModule())
    with pytest.raises(EncoderError, match="is damaged or was replaced"):
        load_encoder("mine", models_dir=models_dir)


def test_a_card_that_lost_its_trust_runs_nothing(tmp_path: Path) -> None:
    models_dir = tmp_path / "models"
    bring(save_script(tmp_path / "ecapa2.pt", Ecapa2Like()), models_dir, trust=True)
    card_file = models_dir / "mine" / "model.json"
    card = json.loads(card_file.read_text())
    assert card.pop("is_trusted") is True
    card_file.write_text(json.dumps(card))
    with pytest.raises(EncoderError, match="nobody has said may run"):
        load_encoder("mine", models_dir=models_dir)


@pytest.mark.parametrize("name", ["evil.safetensors", "evil.pt"])
def test_a_card_that_came_along_cannot_trust_its_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Only what an import put into the state directory runs: there somebody gave the trust."""
    models_dir = tmp_path / "models"
    bring(save_script(tmp_path / "ecapa2.pt", Ecapa2Like()), models_dir, trust=True)
    evil = (models_dir / "mine" / "model.pt").rename(tmp_path / name)
    (models_dir / "mine" / "model.json").rename(evil.with_suffix(".json"))
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("it was run"))
    with pytest.raises(EncoderError, match=r"not a safetensors file|there is no encoder") as caught:
        load_encoder(str(evil), models_dir=models_dir)
    if evil.suffix == ".pt":
        assert f"voiceguard models import {evil}" in caught.value.hint


def test_a_program_with_a_card_of_weights_is_not_run(tmp_path: Path) -> None:
    models_dir = tmp_path / "models"
    bring(save_script(tmp_path / "ecapa2.pt", Ecapa2Like()), models_dir, trust=True)
    card_file = models_dir / "mine" / "model.json"
    card = json.loads(find_model("default", models_dir).with_suffix(".json").read_text())
    card_file.write_text(json.dumps(card))
    with pytest.raises(EncoderError, match="'ecapa_tdnn' on its card is none"):
        load_encoder("mine", models_dir=models_dir)


def test_trust_is_kept_only_where_it_is_needed(tmp_path: Path) -> None:
    bring(save_features_graph(tmp_path / "model.onnx"), tmp_path / "models", trust=True)
    card = json.loads((tmp_path / "models" / "mine" / "model.json").read_text())
    assert "is_trusted" not in card


def test_a_program_too_large_for_a_speaker_encoder_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installing, "MAX_PROGRAM_BYTES", 100)
    with pytest.raises(EncoderError, match="at most 100 are read"):
        bring(save_features_graph(tmp_path / "model.onnx"), tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []
