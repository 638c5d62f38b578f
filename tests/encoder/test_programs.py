"""Programs as encoders: the numbers of their documented front ends, streams, hashes and trust."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
import torch

from tests.encoder.conftest import synthetic_voice
from tests.encoder.made_programs import (
    Ecapa2Like,
    FeaturesModule,
    TwoResults,
    WaveformModule,
    describe,
    save_features_graph,
    save_script,
    save_waveform_graph,
    weights,
)
from voiceguard.encoder import installed
from voiceguard.encoder.checkpoints import detecting
from voiceguard.encoder.programs import Ecapa2Encoder, OnnxEncoder, TorchScriptEncoder
from voiceguard.encoder.registry import load_encoder
from voiceguard.encoder.torchaudio_compat import import_torchaudio
from voiceguard.errors import AudioError, EncoderError, UsageError
from voiceguard.types import Samples, Window

if TYPE_CHECKING:
    from pathlib import Path

VOICE = synthetic_voice(6.0) + np.random.default_rng(1).normal(0, 0.01, 96_000).astype(np.float32)


def bring(
    program: Path,
    models_dir: Path,
    *,
    trust: bool = False,
    device: str = "auto",
    num_threads: int = 1,
) -> Any:  # noqa: ANN401 - one of programs' encoders, each test knows which
    """Imported as "mine", and loaded again."""
    installed.install(detecting.read(program, name="mine"), models_dir, trust=trust)
    return load_encoder("mine", device, num_threads, models_dir=models_dir)


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


# --- ECAPA2, by the documented interface: the published file is not here ---------------------


@pytest.fixture(scope="module")
def ecapa2(tmp_path_factory: pytest.TempPathFactory) -> Ecapa2Encoder:
    directory = tmp_path_factory.mktemp("ecapa2")
    program = save_script(directory / "ecapa2.pt", Ecapa2Like())
    loaded = bring(program, directory / "models", trust=True, device="cpu")
    assert isinstance(loaded, Ecapa2Encoder)
    return loaded


def test_the_waveform_goes_in_as_it_is(ecapa2: Ecapa2Encoder) -> None:
    expected = Ecapa2Like()(torch.from_numpy(VOICE).unsqueeze(0))[0].detach().numpy()
    found = ecapa2.raw(VOICE)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_array_equal(found, ecapa2.features(VOICE, ["embedding"])["embedding"])


def test_features_come_by_label_whatever_the_order(ecapa2: Ecapa2Encoder) -> None:
    labels = ["embedding", "attention", "pool", "gfe_2", "gfe_1"]
    found = ecapa2.features(VOICE, labels)
    assert [(label, len(found[label])) for label in found] == [
        ("embedding", 192),
        ("attention", 3072),
        ("pool", 3072),
        ("gfe_2", 2048),
        ("gfe_1", 2048),
    ]
    np.testing.assert_allclose(found["gfe_2"], 2 * found["gfe_1"], rtol=1e-6)
    np.testing.assert_allclose(found["attention"] / 4, found["pool"] / 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["gfe_3"], "no features 'gfe_3'; it has gfe_1, gfe_2, pool, attention, embedding"),
        ([""], "no features ''"),
        (["pool", "pool"], "each label once"),
        ([], "each label once"),
    ],
)
def test_labels_that_it_has_not_are_refused(
    ecapa2: Ecapa2Encoder, labels: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        ecapa2.features(VOICE, labels)


def test_features_of_bad_audio_are_refused(ecapa2: Ecapa2Encoder) -> None:
    with pytest.raises(AudioError, match="too short"):
        ecapa2.features(VOICE[:1000], ["pool"])
    with pytest.raises(AudioError, match="no features: its samples are far outside"):
        ecapa2.features(VOICE[:16_000] * np.float32(1e30), ["pool"])


def test_a_layer_of_another_size_is_told(tmp_path: Path) -> None:
    program = save_script(tmp_path / "ecapa2.pt", Ecapa2Like(pool_dim=1536))
    encoder = bring(program, tmp_path / "models", trust=True, device="cpu")
    with pytest.raises(EncoderError, match=r"gives \(1, 1536\) where .* \(1, 3072\)"):
        encoder.features(VOICE, ["pool"])


def test_other_programs_have_no_features(tmp_path: Path) -> None:
    program = save_script(tmp_path / "model.pt", WaveformModule())
    describe(program)
    encoder = bring(program, tmp_path / "models", trust=True)
    assert isinstance(encoder, TorchScriptEncoder)
    assert not isinstance(encoder, Ecapa2Encoder)


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


def test_calling_it_otherwise_makes_another_encoder(tmp_path: Path) -> None:
    """The same file, fed by another front end, gives embeddings that must not be compared."""
    ids = set()
    for index, window in enumerate(("povey", "hamming")):
        program = save_features_graph(tmp_path / f"{index}.onnx")
        features = {"type": "kaldi_fbank", "window": window}
        describe(program, layout="batch,time,bands", features=features)
        ids.add(bring(program, tmp_path / f"models{index}").info.encoder_id)
    assert len(ids) == 2
