"""What the same voice differs by from channel to channel, taken out of embeddings before they meet.

Pure numpy. In: embeddings of many people, each heard in several ways. Out: a matrix for ``Cohort``.
Directions in which one person's embeddings spread (a telephone's, a room's) are made shorter, by
the square root of what their spread is above a floor that is the same in all directions.

Source: A. Hatch, S. Kajarekar, A. Stolcke, "Within-class covariance normalization for SVM-based
speaker recognition", Interspeech 2006, eq. 4 and 8 (covariance, smoothing towards the identity).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHT = 0.5
"""Of the spread, its mean over all directions scaled to 1, beside the identity. Measured on eval
between 0.3 and 3, crossed: less leaves more of the telephone in, more costs strict thresholds and
the other sessions of `ecapa-c320`."""


def within_speaker_projection(
    takes: NDArray[np.float32], *, weight: float = WEIGHT
) -> NDArray[np.float32]:
    """The symmetric inverse square root of the smoothed within-speaker covariance.

    Args:
        takes: ``(num_speakers, num_ways, embedding_dim)``, L2 norm 1, at least two ways.
        weight: Of the covariance; 0 gives the identity.

    Returns:
        ``(embedding_dim, embedding_dim)``, positive definite.

    Raises:
        ValueError: Nothing differs, or it is not finite.
    """
    num_speakers, num_ways, dim = takes.shape
    wide = takes.astype(np.float64)
    apart = (wide - wide.mean(axis=1, keepdims=True)).reshape(-1, dim)
    covariance = apart.T @ apart / max(1, num_speakers * (num_ways - 1))
    mean_variance = float(np.trace(covariance)) / dim
    if not (np.isfinite(mean_variance) and mean_variance > 0):
        raise ValueError("a projection needs embeddings of one person that differ, and are finite")
    variances, axes = np.linalg.eigh(weight * covariance / mean_variance + np.eye(dim))
    return np.asarray((axes / np.sqrt(variances)) @ axes.T, dtype=np.float32)
