"""One test embedding for a whole segment, from the embeddings of its windows.

Part of hop 4, on the event loop. In: window embeddings. Out: the segment's final embedding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voiceguard.scoring.cosine import normalised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.types import Embedding


def pool(
    embeddings: Sequence[Embedding], num_samples: Sequence[int], *, max_window_samples: int
) -> Embedding:
    """Averages the full-length windows, or takes the longest where none is full-length.

    Shorter windows are left out because they are the beginnings of the longest one: they hear
    nothing that it doesn't, and their embeddings are noisier. LLRs of windows are not summed
    instead, for they overlap.

    Args:
        embeddings: One per scored window of the segment, in order; probes left out.
        num_samples: The length of each window.
        max_window_samples: The length to which windows grow before they slide.

    Returns:
        ``(embedding_dim,)`` float32, L2 norm 1; NaN where a chosen embedding is not finite, so that
        its scores are NaN and the policy answers ``inference_failed``.

    Raises:
        ValueError: There is no window, or not one length per embedding.
    """
    if not embeddings or len(embeddings) != len(num_samples):
        raise ValueError("pooling needs at least one window, and one length per embedding")
    longest = max(num_samples)
    counting = [n for n, length in enumerate(num_samples) if length >= max_window_samples]
    if not counting:  # of equally long ones, the latest
        counting = [max(n for n, length in enumerate(num_samples) if length == longest)]
    pooling = Pooling(max_window_samples)
    for number in counting:  # the others are not even looked at: they may still await computing
        pooling.add(embeddings[number], num_samples[number])
    pooled = pooling.pooled()
    assert pooled is not None
    return pooled


class Pooling:
    """``pool``, window by window: holds one embedding, however many windows there are.

    Args:
        max_window_samples: The length to which windows grow before they slide.
    """

    def __init__(self, max_window_samples: int) -> None:
        self._max_window_samples = max_window_samples
        self._sum: Embedding | None = None
        self._num_full = 0
        self._longest: Embedding | None = None
        self._longest_samples = 0

    def add(self, embedding: Embedding, num_samples: int) -> None:
        """Takes in the next window's embedding, ``(embedding_dim,)``, and the window's length."""
        unit = normalised(embedding)
        if num_samples >= self._max_window_samples:
            self._sum = unit if self._sum is None else self._sum + unit
            self._num_full += 1
        elif num_samples >= self._longest_samples:  # of equally long ones, the latest
            self._longest, self._longest_samples = unit, num_samples

    def pooled(self) -> Embedding | None:
        """As ``pool`` says; None while there is no window."""
        if self._sum is not None:
            return normalised(self._sum / np.float32(self._num_full))
        return None if self._longest is None else normalised(self._longest)
