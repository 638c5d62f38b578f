"""The rival's numbers are its package's, without running the package."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.encoder.conftest import synthetic_voice
from tests.fakes import make_window
from voiceguard.encoder.loading import load_encoder
from voiceguard.encoder.running.resemblyzer import (
    Ge2eNetwork,
    ResemblyzerEncoder,
    find_weights,
    partial_starts,
)
from voiceguard.errors import AudioError, EncoderError, install_command

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.protocols import Encoder

is_installed = importlib.util.find_spec("resemblyzer") is not None
needs_resemblyzer = pytest.mark.skipif(
    not is_installed, reason="Resemblyzer is not installed (extra rivals)"
)


def write_weights(path: Path, seed: int = 0) -> Path:
    """A file as the package has it, with random weights."""
    torch.manual_seed(seed)
    state = Ge2eNetwork().state_dict()
    state["similarity_weight"] = torch.ones(1)
    torch.save({"step": 1, "model_state": state, "optimizer_state": {}}, path)
    return path


@pytest.fixture(scope="module")
def rival(tmp_path_factory: pytest.TempPathFactory) -> ResemblyzerEncoder:
    path = write_weights(tmp_path_factory.mktemp("weights") / "pretrained.pt")
    return ResemblyzerEncoder(path, device="cpu")


def test_embeddings_have_norm_1_and_depend_on_the_voice(rival: ResemblyzerEncoder) -> None:
    low, high = (rival.embed(synthetic_voice(2.0, pitch_hz=hz)) for hz in (110.0, 220.0))
    assert low.shape == (256,)
    assert low.dtype == np.float32
    assert np.linalg.norm(low) == pytest.approx(1.0, abs=1e-6)
    assert np.abs(low - high).max() > 1e-4


def test_several_at_once_are_the_same_as_one_by_one(rival: ResemblyzerEncoder) -> None:
    recordings = [synthetic_voice(seconds) for seconds in (0.6, 3.0, 5.3)]
    together = rival.embed_many(recordings)
    for samples, embedding in zip(recordings, together, strict=True):
        np.testing.assert_allclose(embedding, rival.embed(samples), atol=1e-6)


def test_a_window_is_embedded_as_a_recording(rival: ResemblyzerEncoder) -> None:
    window = make_window(seconds=2)
    window.samples[:] = synthetic_voice(2.0)
    embedding = rival.open_stream().embed(window)
    np.testing.assert_array_equal(embedding, rival.embed(window.samples))


def test_quiet_audio_is_amplified_and_loud_audio_left_alone(rival: ResemblyzerEncoder) -> None:
    voice = synthetic_voice(2.0)
    whisper, murmur = (rival.embed(voice * np.float32(gain)) for gain in (1e-3, 1e-2))
    np.testing.assert_allclose(whisper, murmur, atol=1e-5)
    assert np.abs(rival.embed(voice) - murmur).max() > 1e-4
    assert np.isfinite(rival.embed(np.zeros(16_000, np.float32))).all()


@pytest.mark.parametrize(
    ("num_samples", "starts"),
    [
        (8_000, [0]),  # padded, however short
        (25_600, [0]),
        (30_000, [0]),  # 69 % of a second stretch are too little
        (35_000, [0, 77]),  # 89 % are enough
        (48_000, [0, 77, 154]),
    ],
)
def test_stretches_begin_where_the_package_begins_them(num_samples: int, starts: list[int]) -> None:
    assert partial_starts(num_samples) == starts


def test_what_cannot_be_embedded_is_refused(rival: ResemblyzerEncoder) -> None:
    with pytest.raises(AudioError, match=r"resemblyzer needs at least 0\.5 s"):
        rival.embed(np.zeros(7_000, np.float32))
    with pytest.raises(AudioError, match="not numbers"):
        rival.embed(np.full(16_000, np.nan, np.float32))


def test_the_id_follows_the_weights(tmp_path: Path, rival: ResemblyzerEncoder) -> None:
    other = ResemblyzerEncoder(write_weights(tmp_path / "other.pt", seed=1), device="cpu")
    assert len(other.info.encoder_id) == 16
    assert other.info.encoder_id != rival.info.encoder_id


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pretrained.pt"
    path.write_bytes(content)
    with pytest.raises(EncoderError, match=r"pretrained\.pt does not hold"):
        ResemblyzerEncoder(path, device="cpu")


def test_another_network_is_refused(tmp_path: Path) -> None:
    torch.save({"model_state": {"lstm.weight_ih_l0": torch.ones(3)}}, tmp_path / "pretrained.pt")
    with pytest.raises(EncoderError, match="does not hold Resemblyzer's weights"):
        ResemblyzerEncoder(tmp_path / "pretrained.pt", device="cpu")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EncoderError, match="not installed") as raised:
        load_encoder("resemblyzer", device="cpu")
    assert raised.value.hint == f"run: {install_command('resemblyzer')}"


@needs_resemblyzer
def test_it_is_loaded_by_name() -> None:
    loaded: Encoder = load_encoder("resemblyzer", device="cpu")
    assert loaded.info.name == "resemblyzer"
    assert loaded.info.num_parameters == 1_423_616


@needs_resemblyzer
def test_embeddings_are_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, normalize_volume = import_package(monkeypatch)
    ours = ResemblyzerEncoder(find_weights(), device="cpu")
    for seconds, gain in ((0.6, 1.0), (2.3, 0.01), (4.1, 1.0)):
        samples = synthetic_voice(seconds) * np.float32(gain)
        expected = theirs.embed_utterance(normalize_volume(samples, -30, increase_only=True))
        np.testing.assert_allclose(ours.embed(samples), expected, atol=2e-6)


def import_package(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """The package's encoder, with a stand-in for the detector that it cannot import today."""
    monkeypatch.setitem(sys.modules, "webrtcvad", ModuleType("webrtcvad"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its, of scipy
        package = importlib.import_module("resemblyzer")
        return package.VoiceEncoder("cpu", verbose=False), package.normalize_volume
