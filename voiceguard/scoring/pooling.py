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
    lengths = np.asarray(num_samples)
    wanted = min(int(lengths.max()), max_window_samples)
    chosen = np.flatnonzero(lengths >= wanted)
    if wanted < max_window_samples:
        chosen = chosen[-1:]  # of equally long ones, the latest
    return normalised(normalised(np.stack(embeddings)[chosen]).mean(axis=0))
