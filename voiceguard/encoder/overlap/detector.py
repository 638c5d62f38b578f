"""Hears whether several voices speak at once in a stretch of speech (beside hop 3 of 6).

On the inference executor. In: a segment's audio. Out: whether there is a second voice in it, about
as loud as the first. A television or other tables 9 dB and more below are no second voice: the
network was taught that they are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voiceguard.encoder.card.shipped import REINSTALL
from voiceguard.encoder.export.graph import FEATURES_INPUT
from voiceguard.encoder.overlap.graph import LOGIT, onnx_model
from voiceguard.encoder.overlap.spectrogram import spectrogram
from voiceguard.encoder.running.onnx_session import open_session
from voiceguard.errors import EncoderError
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voiceguard.encoder.overlap.weights import OverlapWeights
    from voiceguard.types import Samples

PIECE_S = 4.0
"""What the network hears at once; as long as what it learnt from at most."""
MIN_S = 1.0
"""Shorter than what it learnt from, it says nothing reliable."""


class NetworkDetector:
    """Implements ``OverlapDetector``, by ONNX Runtime on one core.

    Args:
        weights: Arrays, sizes and threshold.

    Raises:
        EncoderError: ONNX Runtime can't run it.
    """

    def __init__(self, weights: OverlapWeights) -> None:
        self._shape = weights.shape
        self._threshold = weights.threshold
        graph = onnx_model(weights.arrays, weights.shape)
        self._session, _ = open_session(graph, "the overlap network")

    def hears_two(self, samples: Samples) -> bool:
        """See ``OverlapDetector``."""
        if len(samples) < MIN_S * SAMPLE_RATE_HZ:
            return False
        return self.score(samples) > self._threshold

    def score(self, samples: Samples) -> float:
        """How much speaks for a second voice where most does, a logit.

        Args:
            samples: ``(num_samples,)`` mono 16 kHz, at least ``MIN_S``.

        Raises:
            EncoderError: What comes out is no number.
        """
        highest = max(self._logit(piece) for piece in pieces(samples))
        if not np.isfinite(highest):
            raise EncoderError("the overlap network gave no number", hint=REINSTALL)
        return highest

    def _logit(self, piece: Samples) -> float:
        given = {FEATURES_INPUT: spectrogram(piece, self._shape)}
        return float(self._session.run([LOGIT], given)[0][0])


def pieces(samples: Samples) -> Iterator[Samples]:
    """All of it in pieces of up to ``PIECE_S``, evenly apart, half in each other at least."""
    size = round(PIECE_S * SAMPLE_RATE_HZ)
    spare = max(0, len(samples) - size)
    num = 1 + -(-spare // (size // 2))
    for start in np.linspace(0, spare, num).astype(int):
        yield samples[start : start + size]
