"""Hop 3 without torch: installed weights of ours by the graph beside them, in ONNX Runtime.

In: windows. Out: embeddings, those that torch gives to 1e-4. Features are computed in the graph,
of each window by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voiceguard.encoder import golden
from voiceguard.encoder.card import native
from voiceguard.encoder.export.graph import OUTPUT, WAVEFORM_INPUT
from voiceguard.encoder.installed import GRAPH_NAME
from voiceguard.encoder.running.onnx_session import open_session
from voiceguard.encoder.running.samples import check_samples, describe, normalised
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.types import Embedding, Samples, Window


class GraphEncoder:
    """Weights with a graph beside them. Several threads may call at the same time.

    Args:
        weights: ``model.safetensors``; its card and graph are beside it.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        num_threads: How many CPU threads work on one window.

    Raises:
        EncoderError: A file is missing, damaged, or not what the others say; onnxruntime is missing
            or can't use the device.
    """

    def __init__(self, weights: Path, *, device: str = "auto", num_threads: int = 1) -> None:
        card, _ = native.read_checked(weights)
        graph = weights.with_name(GRAPH_NAME)
        if not graph.is_file():
            raise EncoderError(
                f"torch is not installed, and encoder {card.name} has no {GRAPH_NAME}",
                hint="Remove it and pull or import it again, with the package onnx installed; or "
                "install torch.",
            )
        self._session, self.runs_on = open_session(
            graph, f"the graph of encoder {card.name}", device=device, num_threads=num_threads
        )
        self.info = describe(card, card.num_parameters or 0)
        # Also the first call, which allocates what later ones use.
        deviation = golden.deviation(self, card.golden or golden.embedding(self))
        # Made on a CPU; a GPU may round products to fewer bits.
        if self.runs_on == "cpu" and not deviation <= golden.TOLERANCE:
            raise EncoderError(
                f"{graph} does not give what {weights.name} gave when it was installed",
                hint="It is damaged: remove the encoder and pull or import it again.",
            )

    def embed(self, samples: Samples) -> Embedding:
        """See ``protocols.Encoder.embed``."""
        check_samples(samples, self.info)
        given = np.ascontiguousarray(samples, dtype=np.float32)[None]  # (1, num_samples)
        found: Embedding = self._session.run([OUTPUT], {WAVEFORM_INPUT: given})[0][0]
        return normalised(found)

    def open_stream(self) -> GraphStream:
        """See ``protocols.Encoder.open_stream``."""
        return GraphStream(self)


class GraphStream:
    """One stream's windows; nothing is shared between them. See ``protocols.EncoderStream``."""

    def __init__(self, encoder: GraphEncoder) -> None:
        self._encoder = encoder

    def embed(self, window: Window) -> Embedding:
        """See ``protocols.EncoderStream.embed``."""
        return self._encoder.embed(window.samples)
