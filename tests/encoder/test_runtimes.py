"""The fastest runtime that agrees is taken; one that does not is named, and the next one taken."""

from __future__ import annotations

import json
import shutil
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.encoder.conftest import tiny_config
from voiceguard.encoder import golden, runtimes
from voiceguard.encoder.card import native
from voiceguard.encoder.card.model_card import ModelCard
from voiceguard.encoder.config import EncoderConfig
from voiceguard.encoder.frontends.speechbrain import SpeechBrainFbankConfig
from voiceguard.encoder.library import find_model
from voiceguard.encoder.loading import load_encoder, load_file
from voiceguard.errors import EncoderError, install_command

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A copy of the shipped encoder's."""
    shipped = find_model("ecapa-c320", tmp_path)
    for each in (shipped, shipped.with_suffix(".json")):
        shutil.copy(each, tmp_path / each.name)
    return tmp_path / shipped.name


def change_card(weights: Path, **values: object) -> None:
    card = weights.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | values))


def only(monkeypatch: pytest.MonkeyPatch, *installed: str) -> None:
    monkeypatch.setattr(runtimes, "is_installed", lambda name: name in installed)


def test_the_fastest_that_is_installed_is_taken(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, "torch", "onnx")
    assert load_file(weights, device="cpu").info.runtime == "onnx"
    only(monkeypatch, "torch")
    assert load_file(weights, device="cpu").info.runtime == "torch"


def test_one_that_cannot_run_is_named_and_the_next_one_taken(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, "torch", "onnx")
    old = ModuleType("onnxruntime")
    old.__version__ = "1.16.3"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "onnxruntime", old)
    with capture_logs() as logged:
        encoder = load_file(weights, device="cpu")
    assert encoder.info.runtime == "torch"
    (refused,) = [each for each in logged if each["event"] == "encoder_runtime_refused"]
    assert refused["reason"] == "onnxruntime 1.16.3 is too old: at least 1.20 is needed"
    assert refused["next"] == "torch"


def test_one_that_disagrees_is_named_and_the_next_one_taken(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, "torch", "onnx")
    honest = golden.deviation
    monkeypatch.setattr(
        golden,
        "deviation",
        lambda encoder, expected: (
            0.01 if encoder.info.runtime == "onnx" else honest(encoder, expected)
        ),
    )
    with capture_logs() as logged:
        assert load_file(weights, device="cpu").info.runtime == "torch"
    (refused,) = [each for each in logged if each["event"] == "encoder_runtime_refused"]
    assert refused["reason"].startswith("onnxruntime does not give what ecapa-c320.safetensors")


def test_where_none_agrees_no_encoder_is_loaded(weights: Path) -> None:
    (first, *others) = json.loads(weights.with_suffix(".json").read_text())["golden"]
    change_card(weights, golden=[first + 0.1, *others])
    with pytest.raises(EncoderError, match="torch does not give what"):
        load_file(weights, device="cpu")


def test_one_that_is_asked_for_is_not_replaced(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_encoder(str(weights), device="cpu", runtime="torch").info.runtime == "torch"
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EncoderError, match="needs the package openvino") as caught:
        load_encoder(str(weights), device="cpu", runtime="openvino")
    assert caught.value.hint == f"run: {install_command('openvino')}"
    only(monkeypatch, "onnx")
    with pytest.raises(EncoderError, match="torch is not installed"):
        load_encoder(str(weights), device="cpu", runtime="torch")


def test_an_encoder_without_a_graph_needs_torch_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config()
    card = ModelCard(
        name="theirs",
        architecture=config,
        features=SpeechBrainFbankConfig(num_mels=config.num_mels),
        min_window_s=0.5,
        licence="Apache-2.0",
        trained_on="nothing",
    )
    path = tmp_path / "theirs.safetensors"
    native.save(path, card, config.build().eval())
    assert load_file(path, device="cpu").info.runtime == "torch"
    with pytest.raises(EncoderError, match="runs on torch only"):
        load_file(path, device="cpu", runtime="onnx")
    only(monkeypatch, "onnx")
    with pytest.raises(EncoderError, match=r"theirs .*needs torch, which is not installed"):
        load_file(path, device="cpu")


def test_nothing_to_compute_with_is_said(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch)
    with pytest.raises(EncoderError, match="neither onnxruntime nor torch is installed"):
        load_file(weights)


def test_a_runtime_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="runtime must be auto, torch, onnx, openvino, not 'tf'"):
        EncoderConfig(runtime="tf")  # type: ignore[arg-type]
