"""The field's figures: EER, minDCF, actDCF, Cllr, Cllr_min, DET points.

Pure functions of target and non-target scores (higher speaks for the target). Error rates are
fractions, costs are normalised by the better of always accepting and always rejecting.

Source: N. Bruemmer, E. de Villiers, "The BOSARIS toolkit", 2011 (ROC convex hull, PAV, Cllr).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ErrorRates(NamedTuple):
    """``(num_points,)`` each, from accepting everything to accepting nothing."""

    threshold: NDArray[np.float64]
    """Accept scores at or above it."""
    p_miss: NDArray[np.float64]
    """Never falls."""
    p_fa: NDArray[np.float64]
    """Never rises."""


def det_points(target: NDArray[np.float64], nontarget: NDArray[np.float64]) -> ErrorRates:
    """All operating points that differ; the last threshold is infinite.

    Args:
        target: ``(num_target,)`` scores.
        nontarget: ``(num_nontarget,)`` scores.

    Raises:
        ValueError: A class is empty, or a score is NaN.
    """
    if len(target) == 0 or len(nontarget) == 0:
        raise ValueError("error rates need target and non-target trials")
    if np.isnan(target).any() or np.isnan(nontarget).any():
        raise ValueError("a score is NaN")
    threshold = np.append(np.unique(np.concatenate([target, nontarget])), np.inf)
    return ErrorRates(
        threshold,
        np.searchsorted(np.sort(target), threshold, side="left") / len(target),
        1 - np.searchsorted(np.sort(nontarget), threshold, side="left") / len(nontarget),
    )


def eer(target: NDArray[np.float64], nontarget: NDArray[np.float64]) -> float:
    """Equal error rate, on the convex hull of the ROC.

    Unlike an interpolated EER it does not depend on how ties and steps fall, never exceeds 0.5,
    and is the highest Bayes error over all priors.

    Args:
        target: ``(num_target,)`` scores.
        nontarget: ``(num_nontarget,)`` scores.
    """
    return eer_of_blocks(_pav(target, nontarget))


def eer_of_blocks(blocks: Blocks) -> float:
    """Equal error rate of pooled trials, see ``pool``."""
    p_miss = np.concatenate([[0.0], np.cumsum(blocks.num_target)]) / blocks.num_target.sum()
    p_fa = 1 - np.concatenate([[0.0], np.cumsum(blocks.num_nontarget)]) / blocks.num_nontarget.sum()
    # The first vertex past the diagonal, and the line to it from the one before.
    after = int(np.argmax(p_miss >= p_fa))
    before = after - 1
    gap_before = p_fa[before] - p_miss[before]
    gap_after = p_miss[after] - p_fa[after]
    share = gap_before / (gap_before + gap_after)
    return float(p_miss[before] + share * (p_miss[after] - p_miss[before]))


def min_dcf(
    target: NDArray[np.float64], nontarget: NDArray[np.float64], *, p_target: float = 0.01
) -> float:
    """Lowest normalised detection cost over all thresholds; unit costs.

    Args:
        target: ``(num_target,)`` scores.
        nontarget: ``(num_nontarget,)`` scores.
        p_target: Prior of a target trial.
    """
    points = det_points(target, nontarget)
    cost = p_target * points.p_miss + (1 - p_target) * points.p_fa
    return float(cost.min() / min(p_target, 1 - p_target))


def act_dcf(
    target_llr: NDArray[np.float64], nontarget_llr: NDArray[np.float64], *, p_target: float = 0.01
) -> float:
    """Normalised detection cost at the threshold that theory gives, ``-logit(p_target)``.

    Args:
        target_llr: ``(num_target,)``, natural logarithm.
        nontarget_llr: ``(num_nontarget,)``, likewise.
        p_target: Prior of a target trial.
    """
    threshold = -np.log(p_target / (1 - p_target))
    p_miss = np.mean(target_llr < threshold)
    p_fa = np.mean(nontarget_llr >= threshold)
    cost = p_target * p_miss + (1 - p_target) * p_fa
    return float(cost / min(p_target, 1 - p_target))


def cllr(target_llr: NDArray[np.float64], nontarget_llr: NDArray[np.float64]) -> float:
    """Cost of LLRs over all operating points, in bits: 0 is perfect, 1 is knowing nothing.

    Args:
        target_llr: ``(num_target,)``, natural logarithm.
        nontarget_llr: ``(num_nontarget,)``, likewise.
    """
    miss = np.logaddexp(0, -target_llr).mean()
    false_accept = np.logaddexp(0, nontarget_llr).mean()
    return float(0.5 * (miss + false_accept) / np.log(2))


def min_cllr(target: NDArray[np.float64], nontarget: NDArray[np.float64]) -> float:
    """Cllr after the best monotone calibration (pool adjacent violators): discrimination alone.

    Args:
        target: ``(num_target,)`` scores.
        nontarget: ``(num_nontarget,)`` scores.
    """
    blocks = _pav(target, nontarget)
    # A block's LLR is the log of these shares' ratio: a trial in it costs log(1 + odds against it).
    targets, nontargets = blocks.num_target / len(target), blocks.num_nontarget / len(nontarget)
    miss = _pooled_cost(targets, nontargets)
    false_accept = _pooled_cost(nontargets, targets)
    return float(0.5 * (miss + false_accept) / np.log(2))


def _pooled_cost(share: NDArray[np.float64], against: NDArray[np.float64]) -> float:
    present = share > 0  # an empty block costs nothing, though its odds are infinite
    return float(share[present] @ np.log1p(against[present] / share[present]))


class Blocks(NamedTuple):
    """Scores in rising order, pooled until the share of targets rises strictly.

    ``(num_blocks,)`` counts of trials each.
    """

    num_target: NDArray[np.float64]
    num_nontarget: NDArray[np.float64]


def _pav(target: NDArray[np.float64], nontarget: NDArray[np.float64]) -> Blocks:
    """Pool adjacent violators; its blocks are the edges of the ROC's convex hull."""
    points = det_points(target, nontarget)
    num_target = np.rint(np.diff(points.p_miss) * len(target))
    num_nontarget = np.rint(-np.diff(points.p_fa) * len(nontarget))
    return pool(num_target, num_nontarget)


def pool(num_target: NDArray[np.float64], num_nontarget: NDArray[np.float64]) -> Blocks:
    """Pools steps of rising score until the share of targets rises strictly.

    Args:
        num_target: ``(num_steps,)`` target trials at each step, or their summed weights.
        num_nontarget: Likewise.
    """
    pooled: list[tuple[float, float]] = []
    for step in zip(num_target.tolist(), num_nontarget.tolist(), strict=True):
        hits, others = step
        # Cross-multiplied shares: pool while the block below has no lower share of targets.
        while pooled and pooled[-1][0] * others >= hits * pooled[-1][1]:
            below = pooled.pop()
            hits, others = hits + below[0], others + below[1]
        pooled.append((hits, others))
    table = np.array(pooled)
    return Blocks(table[:, 0], table[:, 1])
