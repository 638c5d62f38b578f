"""A graph beside installed weights, for machines without torch.

In: ``model.safetensors`` and its card. Out: ``graph.onnx``, which takes the waveform, and whose
weights are those of the file beside it, where they are: nothing is stored twice.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from voiceguard.encoder.export.campplus_graph import onnx_model
from voiceguard.encoder.frontends.kaldi_config import KaldiFbankConfig
from voiceguard.encoder.installed import GRAPH_NAME
from voiceguard.encoder.networks.campplus_config import CamPlusPlusConfig

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.encoder.export.graph import Graph


def write_graph(weights: Path, card: ModelCard) -> bool:
    """Writes the graph, for an architecture that has one; whether it has.

    Raises:
        EncoderError: The package onnx is missing.
        OSError: The file can't be written, or the weights can't be read.
    """
    architecture, features = card.architecture, card.features
    if not isinstance(architecture, CamPlusPlusConfig):
        return False
    if not isinstance(features, KaldiFbankConfig):
        return False
    model = onnx_model(architecture, _Beside(weights), features)
    weights.with_name(GRAPH_NAME).write_bytes(model.SerializeToString())
    return True


class _Beside:
    """Refers to tensors by their place in a safetensors file: 8 bytes of length, JSON, numbers."""

    def __init__(self, weights: Path) -> None:
        with weights.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            self._tensors = json.loads(file.read(length))
        self._file = weights.name
        self._begin = 8 + length
        self._known: set[str] = set()

    def __call__(self, graph: Graph, name: str) -> str:
        if name not in self._known:
            self._known.add(name)
            tensor = self._tensors[name]
            offset = self._begin + tensor["data_offsets"][0]
            graph.external(name, tensor["shape"], self._file, offset)
        return name
