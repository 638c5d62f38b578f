"""Fits the model that predicts how often an enrolled speaker will be accepted, by moments."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.scoring.outlook import SAME_OCCASION, Outlook, PredictionModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray


MIN_SPEAKERS = 10
"""Who tell what another occasion costs; fewer, and nothing is said about it."""


_MIN_REAL_SHARE = 0.1
"""Of an observed variance, left to what it shall measure when its noise would explain it all."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observed:
    """One speaker: the takes, and what later utterances scored. Normalised scores."""

    take_scores: tuple[float, ...]
    """Each take against the mean of the others."""
    pair_score: float
    """Mean over pairs of takes."""
    num_templates: int
    tests: Mapping[tuple[str, float], tuple[float, ...]]
    """By occasion and seconds of speech."""


def fit_prediction(speakers: Iterable[Observed]) -> PredictionModel | None:
    """Fits the model by moments.

    Args:
        speakers: With at least two takes each; others are left out.

    Returns:
        None where fewer than MIN_SPEAKERS have takes and tests.
    """
    known = [each for each in speakers if len(each.take_scores) > 1]
    if len(known) < MIN_SPEAKERS:
        return None
    loss = _template_loss(known)
    takes = np.array(
        [np.mean(s.take_scores) + loss / (len(s.take_scores) - 1) for s in known], dtype=np.float64
    )
    noise = float(np.mean([np.var(s.take_scores, ddof=1) for s in known]))
    seen_noise = float(np.mean([noise / len(s.take_scores) for s in known]))
    take_mean, take_spread = float(takes.mean()), _real_spread(takes, seen_noise)
    cells = {cell for each in known for cell in each.tests}
    outlooks = []
    for cell in sorted(cells, key=lambda c: (c[0] != SAME_OCCASION, c[1])):
        rows = [i for i, each in enumerate(known) if each.tests.get(cell)]
        if len(rows) >= MIN_SPEAKERS:
            there = [known[i] for i in rows]
            outlooks.append(_outlook(cell, there, takes[rows] - take_mean, take_spread, loss))
    if not outlooks:
        return None
    return PredictionModel(
        take_mean=take_mean,
        take_spread=take_spread,
        take_noise=math.sqrt(noise),
        template_loss=loss,
        outlooks=tuple(outlooks),
    )


def _template_loss(known: Sequence[Observed]) -> float:
    """From single takes compared with each other, and with the mean of several."""
    gains = [
        (np.mean(s.take_scores) - s.pair_score) / (1 - 1 / (len(s.take_scores) - 1))
        for s in known
        if len(s.take_scores) > 2  # of two takes each, the mean of others is one
    ]
    return max(0.0, float(np.mean(gains))) if gains else 0.0


def _outlook(
    cell: tuple[str, float],
    there: Sequence[Observed],
    surprise: NDArray[np.float64],
    take_spread: float,
    loss: float,
) -> Outlook:
    scores = [np.array(each.tests[cell]) for each in there]
    num_tests = np.array([len(each) for each in scores])
    degrees = max(1, int(np.sum(num_tests - 1)))
    variance = sum(float(np.var(each)) * len(each) for each in scores) / degrees
    means = np.array(
        [each.mean() + loss / s.num_templates for each, s in zip(scores, there, strict=True)]
    )
    spread = _real_spread(means, float(np.mean(variance / num_tests)))
    covariance = float(np.cov(surprise, means)[0, 1])
    slope = min(max(covariance / take_spread**2, 0.0), spread / take_spread)
    unexplained = max(spread**2 - (slope * take_spread) ** 2, _MIN_REAL_SHARE * spread**2)
    occasion, speech_s = cell
    return Outlook(
        occasion=occasion,
        speech_s=speech_s,
        level=float(np.mean(means - slope * surprise)),
        slope=slope,
        level_spread=math.sqrt(unexplained),
        utterance_spread=max(math.sqrt(variance), 1e-3),
        num_speakers=len(there),
    )


def _real_spread(values: NDArray[np.float64], noise_variance: float) -> float:
    """Standard deviation without the part that is noise of measuring."""
    variance = float(np.var(values, ddof=1))
    return max(math.sqrt(max(variance - noise_variance, _MIN_REAL_SHARE * variance)), 1e-3)
