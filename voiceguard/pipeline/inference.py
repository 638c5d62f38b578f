"""Hop 3 of 6 for one stream: what the networks make of a window, or of a whole segment.

On the thread that runs the networks: the inference executor, or a caller's that pushes audio. In:
what the ear heard. Out: an ``Inferred``, also where the networks failed: whatever inference did
not survive must not become an accept, nor the end of the stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from voiceguard.types import Window

if TYPE_CHECKING:
    from voiceguard.protocols import EncoderStream, OverlapDetector
    from voiceguard.speech.ear import Heard
    from voiceguard.types import Embedding

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """What the networks made of a window or a segment."""

    embedding: Embedding | None = None
    """Of a window."""
    is_decided_on: bool = True
    """Whether a decision may rest on it: where not, nobody listened for a second voice."""
    hears_two: bool = False
    """Whether several voices speak at once in it."""
    has_failed: bool = False
    """Then nothing else is known."""


class Inference:
    """The networks of one stream.

    Args:
        stream: The stream's name.
        encoder: This stream's own view of the encoder.
        overlap: Hears whether several voices speak at once; None: nobody does.
    """

    def __init__(
        self, stream: str, encoder: EncoderStream, overlap: OverlapDetector | None
    ) -> None:
        self.num_embedded = 0
        """Windows, those that failed included."""
        self._stream = stream
        self._encoder = encoder
        self._overlap = overlap

    def infer(self, item: Heard, *, is_decided_on: bool) -> Inferred:
        """Runs the networks on a window or the end of a segment; never raises.

        Args:
            item: The next of its stream.
            is_decided_on: Whether a decision may come of this very stretch.
        """
        embedding, hears_two = None, False
        try:
            if isinstance(item, Window):
                self.num_embedded += 1
                embedding = self._encoder.embed(item)
            if is_decided_on and self._overlap is not None and item.samples is not None:
                hears_two = self._overlap.hears_two(item.samples)
        except Exception as error:
            log.exception("inference_failed", stream=self._stream, error=str(error))
            return Inferred(has_failed=True)
        return Inferred(embedding=embedding, is_decided_on=is_decided_on, hears_two=hears_two)
