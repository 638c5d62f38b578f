"""The raw score: the cosine between a test embedding and a voiceprint's renormalised mean.

Part of hop 4, on the thread that scores. In: embeddings. Out: cosines in [-1, 1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.types import Embedding

_MIN_NORM = 1e-6
"""Below it a direction is rounding noise: unit templates whose mean is this short cancel out."""


def normalised(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scales to L2 norm 1 along the last axis.

    Args:
        embeddings: ``(..., embedding_dim)``.

    Returns:
        The same shape, float32. Rows that have no direction (zero, or not finite) become NaN, so
        that every score made from them is NaN and the policy fails closed.
    """
    rows = np.asarray(embeddings, dtype=np.float64)
    norm = np.linalg.norm(rows, axis=-1, keepdims=True)
    usable = np.isfinite(norm) & (norm > _MIN_NORM)
    divided = np.divide(rows, norm, out=np.full_like(rows, np.nan), where=usable)
    return np.asarray(divided, dtype=np.float32)


def renormalised_mean(embeddings: NDArray[np.float32]) -> Embedding:
    """The direction that several embeddings share, each of them counting the same.

    Args:
        embeddings: ``(num_embeddings, embedding_dim)``, of any norm, at least one.

    Returns:
        ``(embedding_dim,)`` float32, L2 norm 1.

    Raises:
        ValueError: There is none, one is zero or not finite, or they cancel each other out.
    """
    if embeddings.ndim != 2 or len(embeddings) == 0:
        raise ValueError(f"expected embeddings (num_embeddings >= 1, dim), not {embeddings.shape}")
    mean = normalised(normalised(embeddings).mean(axis=0))
    if not np.isfinite(mean).all():
        raise ValueError("embeddings have no common direction: one is not finite, or they cancel")
    return mean


def cosines(tests: NDArray[np.float32], means: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scores tests against means.

    Args:
        tests: ``(..., embedding_dim)``, L2 norm 1.
        means: ``(num_voiceprints, embedding_dim)``, L2 norm 1.

    Returns:
        ``(..., num_voiceprints)`` float64 in [-1, 1]; NaN where an input is.
    """
    return np.clip(np.asarray(tests @ means.T, dtype=np.float64), -1.0, 1.0)
