"""Prior-weighted logistic regression: from scores and their quality to log-likelihood ratios.

Runs when a calibration is made. In: trials. Out: a ``Fit``, the coefficients of a ``Calibration``.

Source: N. Bruemmer, J. du Preez, "Application-independent evaluation of speaker detection",
Computer Speech and Language 20, 2006, sec. 5 (weighted objective); J. Platt, "Probabilistic
outputs for support vector machines", 1999, eq. 4 (labels); quality terms after L. Ferrer et al.,
"A unified approach for audio characterization and its application to speaker recognition",
Odyssey 2012.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from voiceguard.scoring.calibration import LLR_CAP, clamped_quality, linear_llr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.lab.fitting.trials import Trials

P_TARGET = 0.05
"""Effective prior of the fit: puts the weight where a daemon works, at few false accepts."""

DOUBT = 0.02
"""Of every calibration. Measured crossed on eval, in the worst of 15 conditions Cllr is 0.08
(`ecapa-c320`) and 0.07 (CAM++) above its minimum with it, 0.11 and 0.18 without; more than 0.02
costs clean speech what it saves elsewhere."""

QUALITY_RIDGE = 1e-4
"""How hard the quality terms are held at 0, or at those of the fit that is refined: times half
their square, per standard deviation of score and quality, added to the mean loss."""

_MAX_NEWTON_STEPS = 100
_NEWTON_DECREMENT = 1e-12

# Columns of a design are (score, 1) times (1, log net seconds, SNR).
_SCORE = 0
_SCORE_BY_QUALITY = np.array([False, True, True, False, False, False])
_QUALITY = np.array([False, True, True, False, True, True])


class Fit(NamedTuple):
    """``llr = (slope + slope_quality.q) score + offset + offset_quality.q``, as in Calibration."""

    slope: float
    offset: float
    slope_quality: tuple[float, float]
    offset_quality: tuple[float, float]
    quality_range: tuple[tuple[float, float], tuple[float, float]]

    @property
    def terms(self) -> NDArray[np.float64]:
        """``(6,)``, in the order of a design's columns."""
        return np.array([self.slope, *self.slope_quality, self.offset, *self.offset_quality])

    def calibrated(self, trials: Trials) -> Trials:
        """The same trials, with LLRs for scores."""
        quality = clamped_quality(trials.net_speech_s, trials.snr_db, self.quality_range)
        return trials.with_score(linear_llr(self, trials.score, quality, cap=LLR_CAP, doubt=DOUBT))


class Earlier(NamedTuple):
    """A fit that new trials correct rather than replace."""

    fit: Fit
    num_speakers: float
    """As if the trials of so many speakers, all of them agreeing with it, were among the new."""


def fit_llr(
    trials: Trials,
    *,
    p_target: float = P_TARGET,
    with_quality: bool = True,
    earlier: Earlier | None = None,
) -> Fit:
    """Prior-weighted logistic regression of ``enrolled == tested`` on score and quality.

    Each condition counts the same, and in it each speaker (of targets) and each pair of speakers
    (of non-targets), however many trials they have. Regularised by Platt's labels, 1 - 1/(n + 2)
    in place of 1 for n speakers or pairs, and by a ridge on the quality terms. A term by which
    more speech, or less noise, would let the score count for less is left at 0.

    Shrinkage is by labels too: they are mixed with the posteriors of the earlier fit, in
    proportion to the speakers behind either. Alone those would give that fit back exactly.

    Args:
        trials: With scores before calibration; at least two of each kind.
        p_target: Effective prior, in (0, 1).
        with_quality: Whether slope and offset may depend on the quality.
        earlier: What to shrink towards.

    Returns:
        The fit; its slope is 0, and with it every LLR about 0, where higher scores don't speak
        for the target.

    Raises:
        ValueError: Too few trials, or a score that is not finite.
    """
    _check(trials, p_target)
    weight, label = _weights_and_labels(trials, p_target)
    prior_logit = np.full(len(trials), float(np.log(p_target / (1 - p_target))))
    quality_range = quality_range_of(trials)
    if earlier is not None:
        quality_range = _hull(quality_range, earlier.fit.quality_range)
    raw, change = _design(trials, quality_range)
    design = raw @ change
    start: NDArray[np.float64] = np.zeros(len(change))
    if earlier is not None:
        start = np.asarray(np.linalg.solve(change, earlier.fit.terms), dtype=np.float64)
        share = earlier.num_speakers / (earlier.num_speakers + trials.num_enrolled)
        label = (1 - share) * label + share * _sigmoid(design @ start + prior_logit)
    free = np.full(len(change), fill_value=True) if with_quality else ~_QUALITY
    while True:
        terms = _newton(design, label, weight, prior_logit, start, free)
        forbidden = free & (terms < 0) & (_SCORE_BY_QUALITY | (np.arange(len(terms)) == _SCORE))
        if not forbidden.any():
            break
        # A score that says nothing says nothing in good quality either.
        given_up = _SCORE_BY_QUALITY | forbidden if forbidden[_SCORE] else forbidden
        free, start = free & ~given_up, np.where(given_up, 0.0, start)
    slope, slope_s, slope_db, offset, offset_s, offset_db = (change @ terms).tolist()
    return Fit(slope, offset, (slope_s, slope_db), (offset_s, offset_db), quality_range)


def quality_range_of(trials: Trials) -> tuple[tuple[float, float], tuple[float, float]]:
    """Lowest and highest log net speech seconds, and SNR in dB."""
    log_s = np.log(trials.net_speech_s)
    return (
        (float(log_s.min()), float(log_s.max())),
        (float(trials.snr_db.min()), float(trials.snr_db.max())),
    )


def trial_weights(trials: Trials) -> NDArray[np.float64]:
    """``(num_trials,)``, sum 1: conditions alike, and in each of them all pairs of speakers."""
    speakers = trials.speakers
    both = np.searchsorted(speakers, np.stack([trials.enrolled, trials.tested]))
    pair = both.min(axis=0) * len(speakers) + both.max(axis=0)
    _, condition = np.unique(trials.condition, return_inverse=True)
    cell = condition * len(speakers) ** 2 + pair
    cells, number, num_trials = np.unique(cell, return_inverse=True, return_counts=True)
    num_pairs = np.bincount(cells // len(speakers) ** 2)
    return np.asarray(1.0 / (len(num_pairs) * num_pairs[condition] * num_trials[number]))


def _check(trials: Trials, p_target: float) -> None:
    if not 0 < p_target < 1:
        raise ValueError(f"p_target must be between 0 and 1, not {p_target}")
    if min(len(trials.target), len(trials.nontarget)) < 2:
        raise ValueError("fitting needs at least two target and two non-target trials")
    if not np.isfinite(trials.score).all():
        raise ValueError("a score is not finite")


def _weights_and_labels(
    trials: Trials, p_target: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    weight, label = np.zeros(len(trials)), np.zeros(len(trials))
    for rows, prior, answer in (
        (trials.is_target, p_target, 1.0),
        (~trials.is_target, 1 - p_target, 0.0),
    ):
        kind = trials.select(rows)
        weight[rows] = prior * trial_weights(kind)
        label[rows] = abs(answer - 1 / (len(kind) + 2))
    return weight, label


def _design(
    trials: Trials, quality_range: tuple[tuple[float, float], tuple[float, float]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Raw columns ``(num_trials, 6)``, and the matrix ``(6, 6)`` that standardises them.

    With ``terms`` for the standardised columns, ``change @ terms`` are those for the raw ones.
    """
    quality = clamped_quality(trials.net_speech_s, trials.snr_db, quality_range)
    ones = np.ones(len(trials))
    sides, qualities = np.stack([trials.score, ones]), np.stack([ones, *quality])
    raw = (sides[:, None] * qualities).reshape(6, -1).T
    mean, deviation = trials.score.mean(), trials.score.std() or 1.0
    by_score = np.array([[1 / deviation, 0.0], [-mean / deviation, 1.0]])
    means, deviations = quality.mean(axis=1), quality.std(axis=1)
    deviations[deviations == 0] = 1.0
    by_quality = np.diag([1.0, *(1 / deviations)])
    by_quality[0, 1:] = -means / deviations
    return raw, np.kron(by_score, by_quality)


def _hull(
    first: tuple[tuple[float, float], tuple[float, float]],
    second: tuple[tuple[float, float], tuple[float, float]],
) -> tuple[tuple[float, float], tuple[float, float]]:
    (seconds, levels) = (
        (min(low, other_low), max(high, other_high))
        for (low, high), (other_low, other_high) in zip(first, second, strict=True)
    )
    return seconds, levels


def _sigmoid(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logit)))


def _newton(
    design: NDArray[np.float64],
    label: NDArray[np.float64],
    weight: NDArray[np.float64],
    prior_logit: NDArray[np.float64],
    start: NDArray[np.float64],
    free: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Minimises the convex weighted cross-entropy over the free terms; the others stay."""
    ridge = QUALITY_RIDGE * _QUALITY

    def loss(terms: NDArray[np.float64]) -> float:
        logit = design @ terms + prior_logit
        return float(
            weight @ (np.logaddexp(0, logit) - label * logit)
            + 0.5 * ridge @ np.square(terms - start)
        )

    terms = start.copy()
    for _ in range(_MAX_NEWTON_STEPS):
        posterior = _sigmoid(design @ terms + prior_logit)
        gradient = design.T @ (weight * (posterior - label)) + ridge * (terms - start)
        curvature = (design.T * (weight * posterior * (1 - posterior))) @ design + np.diag(ridge)
        step = np.zeros(len(terms))
        # lstsq, not solve: a constant score leaves the slope undetermined, and then at 0.
        part = np.ix_(free, free)
        step[free] = np.linalg.lstsq(curvature[part], gradient[free], rcond=1e-14)[0]
        if gradient @ step < _NEWTON_DECREMENT:
            return terms
        size = 1.0
        while loss(terms - size * step) > loss(terms) - 1e-4 * size * (gradient @ step):
            size /= 2
            if size < 1e-10:
                return terms  # rounding is all that is left to win
        terms = terms - size * step
    raise ArithmeticError("logistic regression did not converge")  # pragma: no cover
