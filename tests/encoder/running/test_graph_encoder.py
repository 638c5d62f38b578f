"""Without torch: an encoder is read, installed and run, and gives what torch gives."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.encoder.foreign.made_campplus import make_campplus
from voiceguard.encoder import golden
from voiceguard.encoder.card import native
from voiceguard.encoder.foreign import detecting
from voiceguard.encoder.installing import install
from voiceguard.encoder.library import find_model
from voiceguard.encoder.loading import load_encoder, load_file
from voiceguard.encoder.running.graph_encoder import GraphEncoder
from voiceguard.errors import AudioError, EncoderError
from voiceguard.types import Window

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.protocols import Encoder

WITHOUT_TORCH = """
import json, sys
sys.modules["torch"] = sys.modules["torchaudio"] = sys.modules["onnx"] = None
from pathlib import Path
from voiceguard.encoder import golden
from voiceguard.encoder.foreign import detecting
from voiceguard.encoder.installing import install
from voiceguard.encoder.loading import load_encoder
models = Path(sys.argv[2])
card = install(detecting.read(Path(sys.argv[1])), "tiny", models)
encoder = load_encoder("tiny", models_dir=models)
print(json.dumps([encoder.info.encoder_id, encoder.info.num_parameters, card.golden,
                  encoder.embed(golden.signal(1.7)).tolist()]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models' directory, with "tiny" in it; not to be changed."""
    directory = tmp_path_factory.mktemp("models")
    checkpoint = make_campplus(directory / "theirs.pt", block_layers=(2, 3, 2))
    install(detecting.read(checkpoint), "tiny", directory)
    return directory


@pytest.fixture(params=["default", "tiny"])
def pair(request: pytest.FixtureRequest, installed: Path) -> tuple[GraphEncoder, Encoder]:
    """The same encoder in ONNX Runtime and in torch."""
    graph = load_encoder(request.param, "cpu", models_dir=installed, runtime="onnx")
    assert isinstance(graph, GraphEncoder)
    return graph, load_encoder(request.param, "cpu", models_dir=installed, runtime="torch")


@pytest.fixture
def weights(installed: Path, tmp_path: Path) -> Path:
    """A copy's."""
    shutil.copytree(installed / "tiny", tmp_path / "tiny")
    return tmp_path / "tiny" / "model.safetensors"


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Of the largest entry."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def test_embeddings_are_torchs_for_any_length(pair: tuple[GraphEncoder, Encoder]) -> None:
    ours, torchs = pair
    assert (ours.info.runtime, torchs.info.runtime) == ("onnx", "torch")
    assert ours.info.encoder_id == torchs.info.encoder_id, "voiceprints are of both"
    for seconds in (0.5, 0.83, 2.0, 4.0, 6.5):
        samples = golden.signal(seconds)
        found = ours.embed(samples)
        assert found.dtype == np.float32
        assert np.linalg.norm(found) == pytest.approx(1.0, abs=1e-6)
        assert difference(found, torchs.embed(samples)) <= 1e-4


def test_a_streams_windows_share_frames_and_are_the_same(
    pair: tuple[GraphEncoder, Encoder],
) -> None:
    ours, torchs = pair
    stream, voice = ours.open_stream(), golden.signal(4.0)
    for first, seconds in ((0, 1.0), (0, 1.5), (8000, 1.5), (16_000, 2.0)):
        samples = voice[first : first + int(seconds * 16_000)]
        window = Window(
            segment=0,
            first_sample=first,
            samples=samples,
            net_speech_s=1.0,
            segment_speech_s=1.0,
            snr_db=20.0,
        )
        found = stream.embed(window)
        assert difference(found, torchs.embed(samples)) <= 1e-4
        assert difference(found, ours.embed(samples)) <= 1e-4


def test_a_machine_without_torch_installs_and_embeds_the_same(
    installed: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, installed / "theirs.pt", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    encoder_id, num_parameters, found_golden, embedding = json.loads(done.stdout)
    encoder = load_encoder("tiny", device="cpu", models_dir=installed, runtime="torch")
    assert encoder_id == encoder.info.encoder_id, "voiceprints are of both"
    assert num_parameters == encoder.info.num_parameters
    assert golden.deviation(encoder, found_golden) < 1e-4
    assert np.abs(encoder.embed(golden.signal(1.7)) - embedding).max() < 1e-4
    here, there = (each / "tiny" / "model.safetensors" for each in (installed, tmp_path))
    assert here.read_bytes() == there.read_bytes()


def test_damaged_weights_are_named(weights: Path) -> None:
    with weights.open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\0\0\0\0")
    with pytest.raises(EncoderError, match=r"model\.safetensors is damaged or was replaced"):
        load_file(weights, runtime="onnx")


def test_bad_audio_is_refused(weights: Path) -> None:
    encoder, voice = load_file(weights, runtime="onnx"), golden.signal(2.0)
    with pytest.raises(AudioError, match="too short"):
        encoder.embed(voice[:1000])
    with pytest.raises(AudioError, match="mono"):
        encoder.embed(voice.reshape(2, -1))
    with pytest.raises(AudioError, match="not numbers"):
        encoder.embed(np.full(16_000, np.nan, np.float32))
    with pytest.raises(AudioError, match="far outside"):
        encoder.embed(np.float32(1e30) * voice)


def test_weights_of_another_size_than_the_card_says_are_refused(tmp_path: Path) -> None:
    shipped = find_model("default", tmp_path)
    card, network = native.load(shipped)
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    del state["projection.bias"]
    native.save_arrays(tmp_path / "other.safetensors", card, state)
    with pytest.raises(EncoderError, match=r"other\.safetensors does not hold .*projection\.bias"):
        load_file(tmp_path / "other.safetensors", runtime="onnx")
