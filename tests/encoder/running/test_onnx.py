"""Programs as encoders: the numbers of their documented front ends, streams."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
import torch

from tests.encoder.made_programs import (
    VOICE,
    FeaturesModule,
    TwoResults,
    WaveformModule,
    bring,
    describe,
    save_features_graph,
    save_script,
    save_waveform_graph,
    weights,
)
from voiceguard.encoder import installed
from voiceguard.encoder.loading import load_encoder
from voiceguard.encoder.running import onnx_session
from voiceguard.encoder.running.onnx import OnnxEncoder
from voiceguard.encoder.torchaudio_compat import import_torchaudio
from voiceguard.errors import AudioError, EncoderError
from voiceguard.types import Samples, Window

if TYPE_CHECKING:
    from pathlib import Path


def kaldi_features(samples: Samples, *, window: str, scale: float) -> np.ndarray[Any, Any]:
    """``(frames, 80)`` by torchaudio, without its mean."""
    import_torchaudio()
    kaldi: Any = importlib.import_module("torchaudio.compliance.kaldi")
    log_power = kaldi.fbank(
        torch.from_numpy(samples).unsqueeze(0) * scale,
        num_mel_bins=80,
        window_type=window,
        dither=0.0,
    )
    found: np.ndarray[Any, Any] = (log_power - log_power.mean(0)).numpy()
    return found


def window_of(first_sample: int, end_sample: int, segment: int = 0) -> Window:
    """A window of the voice."""
    return Window(
        segment=segment,
        first_sample=first_sample,
        samples=VOICE[first_sample:end_sample],
        net_speech_s=1.0,
        segment_speech_s=1.0,
        snr_db=20.0,
    )


@pytest.mark.parametrize(
    ("input_name", "window", "scale"), [("feats", "hamming", 32768.0), ("feature", "povey", 1.0)]
)
def test_an_onnx_encoder_gives_the_numbers_of_its_projects_own_front_end(
    tmp_path: Path, input_name: str, window: str, scale: float
) -> None:
    program = save_features_graph(tmp_path / "model.onnx", input_name=input_name)
    encoder = bring(program, tmp_path / "models")
    assert isinstance(encoder, OnnxEncoder)
    features = kaldi_features(VOICE, window=window, scale=scale)
    expected = np.abs(features).mean(0) @ weights() + 0.5
    np.testing.assert_allclose(encoder.raw(VOICE), expected, atol=1e-4 * np.abs(expected).max())
    assert np.linalg.norm(encoder.embed(VOICE)) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("kind", ["onnx waveform", "torchscript waveform", "torchscript features"])
def test_a_described_program_gets_what_its_sidecar_says(tmp_path: Path, kind: str) -> None:
    if kind == "onnx waveform":
        program = save_waveform_graph(tmp_path / "model.onnx")
        describe(program)
    elif kind == "torchscript waveform":
        program = save_script(tmp_path / "model.pt", WaveformModule())
        describe(program)
    else:
        program = save_script(tmp_path / "model.pt", FeaturesModule(80))
        features = {"type": "kaldi_fbank", "window": "hamming", "sample_scale": 32768}
        describe(program, layout="batch,bands,time", features=features)
    encoder = bring(program, tmp_path / "models", trust=True)
    if kind == "torchscript features":
        bands = kaldi_features(VOICE, window="hamming", scale=32768.0)
        expected = np.abs(bands).mean(0) @ weights() + 0.5
    else:
        stats = np.array([np.abs(VOICE).mean(), np.square(VOICE).mean()])
        expected = stats @ weights(2) + 0.5
    np.testing.assert_allclose(encoder.raw(VOICE), expected, atol=1e-4 * np.abs(expected).max())
    assert encoder.info.min_window_s == 0.5
    assert encoder.info.name == "mine"


def test_a_stream_gives_what_whole_windows_give(tmp_path: Path) -> None:
    """Features that windows share are computed once; a waveform passes as it is."""
    graphs = (
        save_features_graph(tmp_path / "features.onnx"),
        save_waveform_graph(tmp_path / "waveform.onnx"),
    )
    describe(graphs[1])
    for index, program in enumerate(graphs):
        encoder = bring(program, tmp_path / f"models{index}")
        stream = encoder.open_stream()
        for first, end in ((0, 16_000), (0, 40_000), (8000, 72_000), (24_000, 32_000), (0, 16_000)):
            cut = window_of(first, end)
            np.testing.assert_allclose(stream.embed(cut), encoder.embed(cut.samples), atol=1e-5)


def test_bad_audio_is_refused(tmp_path: Path) -> None:
    encoder = bring(save_features_graph(tmp_path / "model.onnx"), tmp_path / "models")
    with pytest.raises(AudioError, match=r"too short to embed: encoder mine needs at least 0\.5 s"):
        encoder.embed(VOICE[:7000])
    with pytest.raises(AudioError, match="not numbers"):
        encoder.embed(np.full(16_000, np.nan, np.float32))


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_audio_longer_than_a_window_of_the_daemon_may_be_the_shortest(
    tmp_path: Path, kind: str
) -> None:
    """What it is tried with is as long as it needs."""
    if kind == "onnx":
        program = save_waveform_graph(tmp_path / "model.onnx")
    else:
        program = save_script(tmp_path / "model.pt", WaveformModule())
    describe(program, min_seconds=5.5)
    encoder = bring(program, tmp_path / "models", trust=True)
    assert encoder.info.min_window_s == 5.5
    assert np.isfinite(encoder.embed(VOICE)).all()


@pytest.mark.parametrize(
    ("module", "changes", "message"),
    [
        (WaveformModule(), {"embedding_dim": 7}, r"gives \(1, 6\) where its card says \(1, 7\)"),
        (WaveformModule(float("nan")), {}, "values that are not numbers"),
        (WaveformModule(0.0), {}, "nothing but zeros"),
        (TwoResults(), {}, "gives a tuple instead of one tensor"),
        (FeaturesModule(80), {}, "can't be run on this input"),
    ],
)
def test_a_module_that_gives_something_else_is_not_installed(
    tmp_path: Path, module: torch.nn.Module, changes: dict[str, Any], message: str
) -> None:
    program = save_script(tmp_path / "model.pt", module)
    describe(program, **changes)
    with pytest.raises(EncoderError, match=message) as caught:
        bring(program, tmp_path / "models", trust=True)
    assert caught.value.hint
    assert installed.installed_models(tmp_path / "models") == []


def test_the_number_of_threads_and_the_device_are_onnxruntimes(tmp_path: Path) -> None:
    program = save_features_graph(tmp_path / "model.onnx")
    encoder = bring(program, tmp_path / "models", device="cpu", num_threads=2)
    assert encoder._session.get_session_options().intra_op_num_threads == 2
    assert encoder.runs_on == "cpu"


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="there is CUDA"
)
def test_cuda_is_refused_where_onnxruntime_has_none(tmp_path: Path) -> None:
    program = save_features_graph(tmp_path / "model.onnx")
    assert bring(program, tmp_path / "models", device="auto").runs_on == "cpu"
    with pytest.raises(EncoderError, match="has no CUDA") as caught:
        load_encoder("mine", device="cuda:0", models_dir=tmp_path / "models")
    assert "onnxruntime-gpu" in caught.value.hint


def test_a_gpu_that_onnxruntime_could_not_use_is_never_said_to_compute() -> None:
    """Where CUDA's libraries are missing it goes to the CPU by itself, and goes on."""

    class Session:
        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    assert onnx_session._runs_on(Session(), "auto", 0) == "cpu"
    with pytest.raises(
        EncoderError, match="device is 'cuda:1', but ONNX Runtime can't use"
    ) as told:
        onnx_session._runs_on(Session(), "cuda:1", 1)
    assert "'auto' or 'cpu'" in told.value.hint


def test_calling_it_otherwise_makes_another_encoder(tmp_path: Path) -> None:
    """The same file, fed by another front end, gives embeddings that must not be compared."""
    ids = set()
    for index, window in enumerate(("povey", "hamming")):
        program = save_features_graph(tmp_path / f"{index}.onnx")
        features = {"type": "kaldi_fbank", "window": window}
        describe(program, layout="batch,time,bands", features=features)
        ids.add(bring(program, tmp_path / f"models{index}").info.encoder_id)
    assert len(ids) == 2
