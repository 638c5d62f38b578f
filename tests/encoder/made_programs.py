"""Small programs of the documented interfaces, ONNX graphs and TorchScript modules, and a voice."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from tests.encoder.conftest import synthetic_voice
from voiceguard.encoder import installing
from voiceguard.encoder.foreign import detecting
from voiceguard.encoder.loading import load_encoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DIM = 6
NUM_BANDS = 80
VOICE = synthetic_voice(6.0) + np.random.default_rng(1).normal(0, 0.01, 96_000).astype(np.float32)


def weights(num_in: int = NUM_BANDS, dim: int = DIM) -> np.ndarray[Any, np.dtype[np.float32]]:
    """``(num_in, dim)``."""
    return np.random.default_rng(3).normal(size=(num_in, dim)).astype(np.float32)


def save_features_graph(
    path: Path,
    *,
    input_name: str = "feats",
    output_name: str = "embs",
    shape: Sequence[int | str] = ("B", "T", NUM_BANDS),
    output_shape: Sequence[int | str] = ("B", DIM),
    time_axis: int = 1,
    num_bands: int = NUM_BANDS,
    bias: float = 0.5,
    keeps_time: bool = False,
    metadata: Mapping[str, object] | None = None,
    extra_inputs: Sequence[str] = (),
) -> Path:
    """``mean over time of |features|``, times ``weights(num_bands)``, plus a bias."""
    nodes = [
        helper.make_node("Abs", [input_name], ["size"]),
        helper.make_node(
            "ReduceMean", ["size"], ["mean"], axes=[time_axis], keepdims=int(keeps_time)
        ),
        helper.make_node("MatMul", ["mean", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], [output_name]),
    ]
    constants = [
        numpy_helper.from_array(weights(num_bands), "weights"),
        numpy_helper.from_array(np.full(DIM, bias, np.float32), "bias"),
    ]
    inputs = [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, shape)]
    inputs += [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["B"]) for name in extra_inputs
    ]
    return save_graph(path, nodes, inputs, (output_name, output_shape), constants, metadata)


def save_waveform_graph(path: Path, *, fixed_samples: int | str = "N") -> Path:
    """``mean |samples|`` and ``mean samples^2`` over time, times ``weights(2)``, plus 0.5."""
    nodes = [
        helper.make_node("Abs", ["wave"], ["size"]),
        helper.make_node("ReduceMean", ["size"], ["first"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["wave", "wave"], ["square"]),
        helper.make_node("ReduceMean", ["square"], ["second"], axes=[1], keepdims=1),
        helper.make_node("Concat", ["first", "second"], ["both"], axis=1),
        helper.make_node("MatMul", ["both", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["vector"]),
    ]
    constants = [
        numpy_helper.from_array(weights(2), "weights"),
        numpy_helper.from_array(np.full(DIM, 0.5, np.float32), "bias"),
    ]
    inputs = [helper.make_tensor_value_info("wave", TensorProto.FLOAT, ["B", fixed_samples])]
    return save_graph(path, nodes, inputs, ("vector", ("B", DIM)), constants)


def save_graph(
    path: Path,
    nodes: list[Any],
    inputs: list[Any],
    output: tuple[str, Sequence[int | str]],
    constants: list[Any],
    metadata: Mapping[str, object] | None = None,
) -> Path:
    """Any graph with one output."""
    wanted = helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])
    graph = helper.make_graph(nodes, "made", inputs, [wanted], constants)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="tests"
    )
    if metadata:
        helper.set_model_props(model, {key: str(value) for key, value in metadata.items()})
    path.write_bytes(model.SerializeToString())
    return path


def describe(program: Path, **changes: object) -> Path:
    """Writes a sidecar; a change to None takes that field away."""
    fields: dict[str, Any] = {
        "format": "voiceguard-program",
        "format_version": 1,
        "layout": "waveform",
        "features": {"type": "waveform"},
        "embedding_dim": DIM,
        "min_seconds": 0.5,
        "licence": "MIT",
        "trained_on": "nothing",
        **changes,
    }
    path = program.with_name(program.name + ".json")
    stated = {name: value for name, value in fields.items() if value is not None}
    path.write_text(json.dumps(stated))
    return path


class Ecapa2Like(nn.Module):
    """ECAPA2's interface; labels come in the network's order, whatever order they are asked in."""

    def __init__(self, pool_dim: int = 3072) -> None:
        super().__init__()
        self.pool_dim = pool_dim
        self.projection = nn.Linear(4, 192)
        nn.init.uniform_(self.projection.weight, generator=torch.Generator().manual_seed(2))
        nn.init.constant_(self.projection.bias, 0.1)

    def forward(self, audio: Tensor, label: str = "embedding") -> Tensor:
        """``(1, samples)`` to the labels' features, one after the other."""
        stats = torch.stack(
            [audio.abs().mean(1), audio.std(1), audio.amax(1), audio.square().mean(1)], dim=1
        )
        asked = label.split("|")
        found: list[Tensor] = []
        if "gfe_1" in asked:
            found.append(stats.repeat(1, 512))
        if "gfe_2" in asked:
            found.append(stats.repeat(1, 512) * 2)
        if "pool" in asked:
            found.append(stats.repeat(1, self.pool_dim // 4) * 3)
        if "attention" in asked:
            found.append(stats.repeat(1, 768) * 4)
        if "embedding" in asked:
            found.append(self.projection(stats))
        return torch.cat(found, dim=1)


class LabelsInAList(nn.Module):
    """Knows ECAPA2's labels as data."""

    def __init__(self) -> None:
        super().__init__()
        self.labels = ["gfe_1", "gfe_2", "pool", "attention", "embedding"]

    def forward(self, audio: Tensor, label: str = "embedding") -> Tensor:
        """``(1, samples)`` to something that depends on the label."""
        return audio[:, :192] * self.labels.index(label)


class WaveformModule(nn.Module):
    """``(1, samples)`` to ``(1, DIM)``."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor
        self.weight = nn.Parameter(torch.from_numpy(weights(2)))

    def forward(self, audio: Tensor) -> Tensor:
        """As ``save_waveform_graph``, times the factor."""
        stats = torch.stack([audio.abs().mean(1), audio.square().mean(1)], dim=1)
        return (stats @ self.weight + 0.5) * self.factor


class FeaturesModule(nn.Module):
    """``(1, bands, frames)`` to ``(1, DIM)``."""

    def __init__(self, num_bands: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(weights(num_bands)))

    def forward(self, features: Tensor) -> Tensor:
        """As ``save_features_graph``."""
        return features.abs().mean(2) @ self.weight + 0.5


class TwoResults(nn.Module):
    """Gives more than the embedding."""

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """``(1, samples)`` to two things."""
        return audio[:, :6], audio


def save_script(path: Path, module: nn.Module) -> Path:
    """A TorchScript file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch.jit.script is deprecated
        torch.jit.script(module).save(str(path))  # type: ignore[no-untyped-call]
    return path


def bring(
    program: Path,
    models_dir: Path,
    *,
    trust: bool = False,
    device: str = "auto",
    num_threads: int = 1,
) -> Any:  # noqa: ANN401 - one of programs' encoders, each test knows which
    """Imported as "mine", and loaded again."""
    installing.install(detecting.read(program), "mine", models_dir, trust=trust)
    return load_encoder("mine", device, num_threads, models_dir=models_dir)
