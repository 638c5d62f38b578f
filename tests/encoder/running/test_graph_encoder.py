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
from voiceguard.encoder.foreign import detecting
from voiceguard.encoder.installed import GRAPH_NAME
from voiceguard.encoder.installing import install
from voiceguard.encoder.loading import load_encoder
from voiceguard.encoder.running.graph_encoder import GraphEncoder
from voiceguard.errors import AudioError, EncoderError
from voiceguard.types import Window

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
pytest.importorskip("onnx", reason="the extra onnx is not installed")

WITHOUT_TORCH = """
import json, sys
sys.modules["torch"] = sys.modules["torchaudio"] = None
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


@pytest.fixture
def weights(installed: Path, tmp_path: Path) -> Path:
    """A copy's."""
    shutil.copytree(installed / "tiny", tmp_path / "tiny")
    return tmp_path / "tiny" / "model.safetensors"


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
    encoder = load_encoder("tiny", device="cpu", models_dir=installed)
    assert encoder_id == encoder.info.encoder_id, "voiceprints are of both"
    assert num_parameters == encoder.info.num_parameters
    assert golden.deviation(encoder, found_golden) < 1e-4
    assert np.abs(encoder.embed(golden.signal(1.7)) - embedding).max() < 1e-4
    for name in ("model.safetensors", GRAPH_NAME):
        here, there = installed / "tiny" / name, tmp_path / "tiny" / name
        assert here.read_bytes() == there.read_bytes(), name


def test_the_graph_holds_no_weights_of_its_own(weights: Path) -> None:
    before = GraphEncoder(weights).embed(golden.signal(1.0))
    assert before.dtype == np.float32
    assert np.linalg.norm(before) == pytest.approx(1.0, abs=1e-6)
    with weights.open("r+b") as file:  # of a file that the hash does not fit any more
        file.seek(-4, 2)
        file.write(b"\0\0\0\0")
    with pytest.raises(EncoderError, match=r"model\.safetensors is damaged or was replaced"):
        GraphEncoder(weights)


def test_a_missing_or_damaged_graph_is_named(weights: Path) -> None:
    graph = weights.with_name(GRAPH_NAME)
    content = graph.read_bytes()
    changed = content.replace(b"Sigmoid", b"Softplu")
    for damaged in (content[:1000], b"", changed):
        graph.write_bytes(damaged)
        with pytest.raises(EncoderError, match="the graph of encoder tiny can't be run"):
            GraphEncoder(weights)
    graph.write_bytes(content.replace(b"ReduceMean", b"ReduceSum_")[: len(content)])
    with pytest.raises(EncoderError):
        GraphEncoder(weights)
    graph.unlink()
    with pytest.raises(EncoderError, match=r"torch is not installed, and .* has no graph"):
        GraphEncoder(weights)


def test_a_graph_that_computes_something_else_is_not_used(weights: Path) -> None:
    card = weights.with_suffix(".json")
    values = json.loads(card.read_text())
    values["golden"][0] += 0.1
    card.write_text(json.dumps(values))
    with pytest.raises(EncoderError, match="does not give what"):
        GraphEncoder(weights)


def test_windows_of_a_stream_and_bad_audio(weights: Path) -> None:
    encoder = GraphEncoder(weights)
    voice = golden.signal(2.0)
    window = Window(
        segment=0,
        first_sample=0,
        samples=voice,
        net_speech_s=1.0,
        segment_speech_s=1.0,
        snr_db=20.0,
    )
    np.testing.assert_array_equal(encoder.open_stream().embed(window), encoder.embed(voice))
    with pytest.raises(AudioError, match="too short"):
        encoder.embed(voice[:1000])
    with pytest.raises(AudioError, match="mono"):
        encoder.embed(voice.reshape(2, -1))
