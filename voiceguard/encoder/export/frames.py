"""What graphs share that take one recording with a frame in each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voiceguard.encoder.export.graph import FEATURES_INPUT, OUTPUT, Graph

if TYPE_CHECKING:
    from voiceguard.encoder.networks.campplus_config import CamPlusPlusConfig
    from voiceguard.encoder.networks.ecapa_config import EcapaTdnnConfig


def frames_model(
    graph: Graph, name: str, config: EcapaTdnnConfig | CamPlusPlusConfig, num_bands: int
) -> bytes:
    """The file of a finished graph.

    Returns:
        Input ``features``, ``(frames, num_bands)``; output ``embedding``, ``(1, embedding_dim)``,
        not normalised.
    """
    return graph.model(
        name, (FEATURES_INPUT, ["frames", num_bands]), (OUTPUT, [1, config.embedding_dim])
    )


def frame_numbers(graph: Graph, num_frames: str) -> str:
    """``(frames,)``: 0, 1, 2 and so on, for a ``num_frames`` of one element."""
    count = graph.op("Squeeze", num_frames)
    return graph.op("Range", graph.whole(0), count, graph.whole(1))


def neighbours(graph: Graph, frames: str, kernel_size: int, dilation: int) -> str:
    """``(frames, kernel_size)``: the numbers that a convolution looks for, beyond both ends too.

    Args:
        graph: Where.
        frames: Of ``frame_numbers``.
        kernel_size: Of the convolution.
        dilation: Likewise.
    """
    column = graph.op("Unsqueeze", frames, graph.whole([1]))
    offset = (np.arange(kernel_size) - kernel_size // 2) * dilation
    return graph.op("Add", column, graph.indices(offset[None]))
