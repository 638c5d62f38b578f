"""Hop 3 of 6 without torch: weights of ours as an ONNX graph, features by numpy.

In: windows. Out: embeddings, those that torch gives to 1e-4 of the largest entry. The graph is
written in memory from the weights, when the encoder is loaded: there is one file of weights, and
nothing beside it that could disagree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from voiceguard.encoder.card import native
from voiceguard.encoder.export import campplus_frames, ecapa_frames
from voiceguard.encoder.frontends.arrays import array_front_end
from voiceguard.encoder.frontends.rolling import RollingFeatures
from voiceguard.encoder.networks.campplus_config import CamPlusPlusConfig
from voiceguard.encoder.networks.ecapa_config import EcapaTdnnConfig
from voiceguard.encoder.running.samples import check_samples, describe, normalised
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.encoder.frontends.arrays import ArrayFrontEnd
    from voiceguard.types import Embedding, Samples, Window


class Session(Protocol):
    """A runtime with a graph in it."""

    runs_on: str

    def run(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(frames, num_bands)`` to ``(1, embedding_dim)``."""
        ...


class GraphEncoder:
    """A network of ours in another runtime than torch. Several threads may call at the same time.

    Args:
        card: What the model is.
        front_end: Makes its features.
        session: Of its graph.
        runtime: What that is of, "onnx" or "openvino".
    """

    def __init__(
        self, card: ModelCard, front_end: ArrayFrontEnd, session: Session, runtime: str
    ) -> None:
        self.info = describe(card, card.num_parameters or 0, runtime)
        self.front_end = front_end
        self._session = session
        self.runs_on = session.runs_on

    def embed(self, samples: Samples) -> Embedding:
        """See ``protocols.Encoder.embed``."""
        check_samples(samples, self.info)
        with np.errstate(all="ignore"):  # of what overflows ``normalised`` tells
            features = self.front_end(np.asarray(samples, dtype=np.float32))
        return self.embed_features(features)

    def embed_features(self, features: NDArray[np.float32]) -> Embedding:
        """``(frames, num_bands)`` to ``(embedding_dim,)``, at norm 1."""
        return normalised(self._session.run(np.ascontiguousarray(features))[0])

    def open_stream(self) -> GraphStream:
        """See ``protocols.Encoder.open_stream``."""
        return GraphStream(self)


class GraphStream:
    """One stream's windows. See ``protocols.EncoderStream``."""

    def __init__(self, encoder: GraphEncoder) -> None:
        self._encoder = encoder
        self._rolling: RollingFeatures[NDArray[np.float32]] = RollingFeatures(encoder.front_end)

    def embed(self, window: Window) -> Embedding:
        """See ``protocols.EncoderStream.embed``."""
        check_samples(window.samples, self._encoder.info)
        samples = np.asarray(window.samples, dtype=np.float32)
        with np.errstate(all="ignore"):  # as in ``embed``
            features = self._rolling(
                samples, segment=window.segment, first_sample=window.first_sample
            )
        return self._encoder.embed_features(features)


def has_graph(card: ModelCard) -> bool:
    """Whether a card's encoder can be run so: its architecture, and its features."""
    is_written = isinstance(card.architecture, EcapaTdnnConfig | CamPlusPlusConfig)
    return is_written and array_front_end(card.features) is not None


def read_graph(weights: Path) -> tuple[ModelCard, ArrayFrontEnd, bytes]:
    """The card, the front end and the graph of a weights file.

    Raises:
        EncoderError: A file is missing, damaged or not what the other says; or there is no graph
            of such an encoder.
    """
    import safetensors.numpy  # noqa: PLC0415 - as everywhere in this package

    card, content = native.read_checked(weights)
    front_end = array_front_end(card.features)
    if front_end is None or not has_graph(card):
        raise EncoderError(
            f"encoder {card.name} ({card.architecture.TYPE}, {card.features.TYPE}) runs on torch "
            "only",
            hint="Set encoder.runtime to 'auto' or 'torch', with torch installed; or choose "
            "another encoder.",
        )
    try:
        return card, front_end, _graph(card, safetensors.numpy.load(content))
    except (KeyError, ValueError) as error:
        raise EncoderError(
            f"{weights} does not hold the architecture of its card: {error}",
            hint="Remove the encoder and pull or import it again.",
        ) from error


def _graph(card: ModelCard, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    if isinstance(card.architecture, EcapaTdnnConfig):
        return ecapa_frames.onnx_model(card.architecture, arrays)
    assert isinstance(card.architecture, CamPlusPlusConfig)
    return campplus_frames.onnx_model(card.architecture, arrays)
