"""ONNX files: the front end that feeds them, and everything that can contradict it."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.encoder.made_programs import (
    DIM,
    NUM_BANDS,
    describe,
    save_features_graph,
    save_graph,
    save_waveform_graph,
)
from voiceguard.encoder.card.program_config import Layout, OnnxConfig
from voiceguard.encoder.foreign import detecting
from voiceguard.encoder.foreign.programs import onnx as reader
from voiceguard.encoder.frontends.kaldi_config import KaldiFbankConfig
from voiceguard.encoder.frontends.waveform import WaveformConfig
from voiceguard.errors import EncoderError, install_command

if TYPE_CHECKING:
    from pathlib import Path

WESPEAKER = KaldiFbankConfig(window="hamming", sample_scale=32768.0)
SPEAKER_3D = KaldiFbankConfig(window="povey", sample_scale=1.0)
SHERPA_3D = {
    "framework": "3d-speaker",
    "language": "Chinese",
    "url": "https://example.org/campplus",
    "comment": "CAM++",
    "sample_rate": 16000,
    "output_dim": DIM,
    "normalize_samples": 1,
    "feature_normalize_type": "global-mean",
}
SHERPA_WESPEAKER = {
    "framework": "wespeaker",
    "language": "English",
    "sample_rate": 16000,
    "output_dim": DIM,
    "normalize_features": 0,
}


@pytest.mark.parametrize(
    ("made", "features", "told"),
    [
        ({}, WESPEAKER, "as WeSpeaker names its input 'feats'"),
        (
            {"input_name": "feature", "output_name": "embedding"},
            SPEAKER_3D,
            "as 3D-Speaker names its input 'feature'",
        ),
        (
            {"input_name": "x", "output_name": "embedding", "metadata": SHERPA_3D},
            SPEAKER_3D,
            "by its metadata",
        ),
        ({"metadata": SHERPA_WESPEAKER}, WESPEAKER, "by its metadata"),
        ({"input_name": "in"}, WESPEAKER, "ASSUMED, as WeSpeaker's"),
    ],
)
def test_the_front_end_is_found(
    tmp_path: Path, made: dict[str, Any], features: KaldiFbankConfig, told: str
) -> None:
    path = save_features_graph(tmp_path / "model.onnx", **made)
    imported = detecting.read(path)
    assert imported.features == features
    assert imported.architecture == OnnxConfig(
        input=made.get("input_name", "feats"),
        output=made.get("output_name", "embs"),
        layout=Layout.TIME_BANDS,
        embedding_dim=DIM,
        min_frames=50,
    )
    assert imported.program == path
    assert imported.network is None
    assert told in " ".join(imported.found)


def test_metadata_say_what_a_person_wants_to_know(tmp_path: Path) -> None:
    path = save_features_graph(tmp_path / "model.onnx", input_name="x", metadata=SHERPA_3D)
    imported = reader.read(path)
    assert imported.trained_on == "CAM++; Chinese"
    assert imported.source == "https://example.org/campplus"
    assert imported.licence == "unknown"
    assert "framework 3d-speaker, language Chinese, comment CAM++" in " ".join(imported.found)


def test_a_size_that_the_graph_does_not_state_is_found_by_running_it(tmp_path: Path) -> None:
    path = save_features_graph(tmp_path / "model.onnx", output_shape=("B", "D"))
    assert reader.read(path).architecture.embedding_dim == DIM


def test_a_sidecar_goes_before_names(tmp_path: Path) -> None:
    path = save_features_graph(tmp_path / "model.onnx", num_bands=40, shape=("B", "T", 40))
    features = {"type": "kaldi_fbank", "num_bands": 40}
    describe(path, layout="batch,time,bands", features=features, min_seconds=0.3)
    card = detecting.read(path)
    assert card.features == KaldiFbankConfig(num_bands=40)
    assert (card.min_window_s, card.licence) == (0.3, "MIT")


def test_a_waveform_goes_in_where_the_sidecar_says_so(tmp_path: Path) -> None:
    path = save_waveform_graph(tmp_path / "model.onnx")
    describe(path)
    card = reader.read(path)
    assert card.features == WaveformConfig()
    assert isinstance(card.architecture, OnnxConfig)
    assert card.architecture.layout is Layout.WAVEFORM


def test_an_onnx_file_of_another_name_is_recognised_by_its_beginning(tmp_path: Path) -> None:
    path = save_features_graph(tmp_path / "model.onnx").rename(tmp_path / "model")
    assert reader.recognises(path)
    (tmp_path / "text").write_text("\x08 is no model")
    assert not reader.recognises(tmp_path / "text")
    assert not reader.recognises(tmp_path)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            {"num_bands": 64, "shape": ("B", "T", 64)},
            r"no sidecar, and its input feats \(\?, \?, 64\)",
        ),
        ({"metadata": {"framework": "nemo"}}, "export of an NVIDIA NeMo model"),
        ({"metadata": {"framework": "other"}}, "framework 'other', whose front end is not known"),
        ({"metadata": {**SHERPA_3D, "sample_rate": 8000}}, "sample_rate = '8000'"),
        ({"metadata": {**SHERPA_3D, "output_dim": 512}}, "embedding_dim should be 6, but is 512"),
        ({"metadata": {**SHERPA_3D, "output_dim": "many"}}, "embedding_dim should be 6"),
        ({"metadata": {**SHERPA_3D, "normalize_samples": 2}}, "normalize_samples = '2'"),
        (
            {"metadata": {**SHERPA_3D, "feature_normalize_type": "per_feature"}},
            "feature_normalize_type = 'per_feature'",
        ),
        ({"shape": ("B", 200, NUM_BANDS)}, "the time axis of its input .* is fixed at 200"),
        ({"shape": (8, "T", NUM_BANDS)}, "the batch axis of its input .* is fixed at 8"),
        (
            {"keeps_time": True, "output_shape": ("B", 1, DIM)},
            r"its output embs \(\?, 1, 6\) is not \(batch, dimensions\)",
        ),
        ({"bias": float("nan")}, r"values that are not numbers \(NaN or infinite\)"),
        ({"extra_inputs": ("length",)}, r"has 2 inputs \(feats, length\)"),
    ],
)
def test_a_graph_that_does_not_fit_is_refused(
    tmp_path: Path, made: dict[str, Any], message: str
) -> None:
    path = save_features_graph(tmp_path / "model.onnx", **made)
    with pytest.raises(EncoderError, match=message) as caught:
        reader.read(path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": "samples"}, "no input 'samples'; it has feats"),
        ({"output": "vector"}, "no output 'vector'; it has embs"),
        ({"embedding_dim": 7}, "embedding_dim should be 7, but is 6"),
        ({"layout": "batch,bands,time"}, "the time axis of its input .* is fixed at 80"),
        ({"features": {"type": "kaldi_fbank", "num_bands": 64}}, "bands should be 64, but is 80"),
        ({"layout": "waveform", "features": {"type": "waveform"}}, "layout should be waveform"),
    ],
)
def test_a_sidecar_that_contradicts_the_graph_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = save_features_graph(tmp_path / "model.onnx")
    kaldi = {"layout": "batch,time,bands", "features": {"type": "kaldi_fbank"}}
    describe(path, **{**kaldi, **changes})
    with pytest.raises(EncoderError, match=message):
        reader.read(path)


def test_a_sidecar_that_contradicts_the_metadata_is_refused(tmp_path: Path) -> None:
    path = save_features_graph(tmp_path / "model.onnx", metadata=SHERPA_3D)
    features = {"type": "kaldi_fbank", "sample_scale": 32768}
    describe(path, layout="batch,time,bands", features=features)
    with pytest.raises(EncoderError, match=r"says sample_scale 32768, and the metadata .* 1$"):
        reader.read(path)


def test_several_outputs_need_one_of_a_known_name_or_a_sidecar(tmp_path: Path) -> None:
    model = onnx.load(save_features_graph(tmp_path / "model.onnx", output_name="vector"))
    model.graph.output.append(helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["B", 80]))
    path = tmp_path / "two.onnx"
    onnx.save(model, path)
    with pytest.raises(EncoderError, match=r"2 outputs \(vector, mean\)"):
        reader.read(path)
    kaldi = {"layout": "batch,time,bands", "features": {"type": "kaldi_fbank"}}
    describe(path, **kaldi, output="vector")
    architecture = reader.read(path).architecture
    assert isinstance(architecture, OnnxConfig)
    assert architecture.output == "vector"


def test_other_element_types_are_refused(tmp_path: Path) -> None:
    inputs = [helper.make_tensor_value_info("feats", TensorProto.DOUBLE, ["B", "T", 80])]
    nodes = [
        helper.make_node("ReduceMean", ["feats"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Cast", ["mean"], ["embs"], to=TensorProto.FLOAT),
    ]
    path = save_graph(tmp_path / "model.onnx", nodes, inputs, ("embs", ("B", 80)), [])
    with pytest.raises(EncoderError, match=r"feats is tensor\(double\); expected tensor\(float\)"):
        reader.read(path)


def test_weights_in_other_files_are_not_followed(tmp_path: Path) -> None:
    """A path inside a file from somewhere else may lead anywhere."""
    model = onnx.load(save_features_graph(tmp_path / "model.onnx"))
    path = tmp_path / "external.onnx"
    onnx.save(model, path, save_as_external_data=True, size_threshold=0, location="weights.bin")
    assert (tmp_path / "weights.bin").exists()
    with pytest.raises(EncoderError, match="keeps weights in other files"):
        reader.read(path)


def test_so_are_those_of_a_graph_inside_a_node(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(np.ones(3, np.float32), "w")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    inner = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["o"])], "inner", [], [], [tensor]
    )
    node = helper.make_node("If", ["feats"], ["embs"], then_branch=inner, else_branch=inner)
    inputs = [helper.make_tensor_value_info("feats", TensorProto.FLOAT, ["B", "T", 80])]
    path = save_graph(tmp_path / "model.onnx", [node], inputs, ("embs", ("B", 3)), [])
    with pytest.raises(EncoderError, match="keeps weights in other files"):
        reader.read(path)


def test_so_are_those_of_a_function(tmp_path: Path) -> None:
    """A model may define operators of its own, with constants inside."""
    path = save_features_graph(tmp_path / "model.onnx")
    tensor = numpy_helper.from_array(np.ones(3, np.float32), "w")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "secret"
    model = onnx.load(path)
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    opset = [helper.make_opsetid("", 13)]
    model.functions.append(helper.make_function("own", "F", [], ["w"], [constant], opset))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(EncoderError, match="keeps weights in other files"):
        reader.read(path)


def test_truncated_files_are_refused_wherever_they_end(tmp_path: Path) -> None:
    content = save_features_graph(tmp_path / "model.onnx").read_bytes()
    path = tmp_path / "cut.onnx"
    for length in (0, 1, 2, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(EncoderError) as caught:
            reader.read(path)
        assert str(path) in str(caught.value)


def test_no_flipped_bit_of_the_structure_ends_in_anything_but_a_clear_error(tmp_path: Path) -> None:
    """Weights have no check sum before they are imported; all else must hold together."""
    content = bytearray(save_features_graph(tmp_path / "model.onnx").read_bytes())
    path = tmp_path / "flipped.onnx"
    generator = np.random.default_rng(0)
    refused = []
    for position in [*range(0, 40, 3), *generator.integers(0, len(content), 20)]:
        flipped = bytearray(content)
        flipped[position] ^= 1 << int(generator.integers(8))
        path.write_bytes(flipped)
        with suppress(EncoderError):
            reader.read(path)
            continue
        refused.append(position)
    assert len(refused) > 5


def test_an_operator_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("Evil", ["feats"], ["embs"], domain="com.example")
    inputs = [helper.make_tensor_value_info("feats", TensorProto.FLOAT, ["B", "T", 80])]
    path = save_graph(tmp_path / "model.onnx", [node], inputs, ("embs", ("B", 3)), [])
    with pytest.raises(EncoderError, match="can't be run by ONNX Runtime"):
        reader.read(path)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    path = save_features_graph(tmp_path / "model.onnx")
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(EncoderError, match=f"needs the package {package}") as caught:
        reader.read(path)
    assert caught.value.hint == f"run: {install_command(package)}"
