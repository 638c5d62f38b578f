"""Fits a calibration to trials with known answers, cross-fitted over halves of the speakers.

Runs when a calibration is made, never in the daemon. In: trials. Out: a ``Calibration`` whose
error rates were all measured on speakers that the measured fit had not seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from voiceguard.scoring.calibration import LLR_CAP, Calibration, Provenance
from voiceguard.scoring.metrics import cllr, eer, min_cllr
from voiceguard.scoring.tail import Tail, fit_tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.scoring.trials import Trials

P_TARGET = 0.05
"""Effective prior of the fit: puts the weight where a daemon works, at few false accepts."""

FALSE_CHANGE_RATE = 0.01
"""Share of pairs of stretches of one voice that may pass for two voices."""

_MAX_NEWTON_STEPS = 100
_NEWTON_DECREMENT = 1e-12


class Line(NamedTuple):
    """``llr = slope * score + offset``."""

    slope: float
    offset: float

    def __call__(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self.slope * score + self.offset)


def fit_line(trials: Trials, *, p_target: float = P_TARGET) -> Line:
    """Prior-weighted logistic regression of ``enrolled == tested`` on the score.

    Each condition counts the same within targets and within non-targets, however many trials it
    has. Regularised by Platt's labels, 1 - 1/(n + 2) in place of 1: no strength to tune, and a
    finite answer where the classes don't overlap.

    Args:
        trials: With scores before calibration; at least two of each kind.
        p_target: Effective prior, in (0, 1).

    Returns:
        The line; its slope is 0, and with it every LLR about 0, where higher scores don't speak
        for the target.

    Raises:
        ValueError: Too few trials, or a score that is not finite.

    Source: Bruemmer & du Preez 2006, sec. 5 (weighted objective); J. Platt, "Probabilistic
    outputs for support vector machines", 1999, eq. 4 (labels).
    """
    if not 0 < p_target < 1:
        raise ValueError(f"p_target must be between 0 and 1, not {p_target}")
    if min(len(trials.target), len(trials.nontarget)) < 2:  # noqa: PLR2004
        raise ValueError("fitting needs at least two target and two non-target trials")
    if not np.isfinite(trials.score).all():
        raise ValueError("a score is not finite")
    weight = np.zeros(len(trials))
    label = np.zeros(len(trials))
    for is_kind, prior, answer in (
        (trials.is_target, p_target, 1.0),
        (~trials.is_target, 1 - p_target, 0.0),
    ):
        weight[is_kind] = prior * _condition_weights(trials.condition[is_kind])
        label[is_kind] = abs(answer - 1 / (np.count_nonzero(is_kind) + 2))
    mean, deviation = trials.score.mean(), trials.score.std() or 1.0
    prior_logit = float(np.log(p_target / (1 - p_target)))
    steepness, height = _newton((trials.score - mean) / deviation, label, weight, prior_logit)
    if steepness < 0:
        height = _newton(np.zeros(len(trials)), label, weight, prior_logit)[1]
        steepness = 0.0
    slope = float(steepness / deviation)
    return Line(slope, float(height - slope * mean))


def _condition_weights(condition: NDArray[np.str_]) -> NDArray[np.float64]:
    """``(num_trials,)``, sum 1, the same sum for every condition."""
    _, number, count = np.unique(condition, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / (len(count) * count[number]))


def _newton(
    score: NDArray[np.float64],
    label: NDArray[np.float64],
    weight: NDArray[np.float64],
    prior_logit: float,
) -> NDArray[np.float64]:
    """Minimises the convex weighted cross-entropy; returns ``(slope, offset)``."""
    design = np.stack([score, np.ones_like(score)], axis=1)  # (num_trials, 2)

    def loss(line: NDArray[np.float64]) -> float:
        logit = design @ line + prior_logit
        return float(weight @ (np.logaddexp(0, logit) - label * logit))

    line = np.zeros(2)
    for _ in range(_MAX_NEWTON_STEPS):
        posterior = 0.5 * (1 + np.tanh(0.5 * (design @ line + prior_logit)))
        gradient = design.T @ (weight * (posterior - label))
        curvature = (design.T * (weight * posterior * (1 - posterior))) @ design
        # lstsq, not solve: a constant score leaves the slope undetermined, and then at 0.
        step = np.linalg.lstsq(curvature, gradient, rcond=1e-14)[0]
        if gradient @ step < _NEWTON_DECREMENT:
            return line
        size = 1.0
        while loss(line - size * step) > loss(line) - 1e-4 * size * (gradient @ step):
            size /= 2
            if size < 1e-10:  # noqa: PLR2004
                return line  # rounding is all that is left to win
        line = line - size * step
    raise ArithmeticError("logistic regression did not converge")  # pragma: no cover


def cross_fit(trials: Trials, *, p_target: float = P_TARGET) -> Trials:
    """Calibrates every fold by a line fitted to the others.

    Returns:
        The same trials, in the same order, with LLRs for scores.

    Raises:
        ValueError: There is one fold only, a speaker is in two, or too few trials are outside one.
    """
    folds = np.unique(trials.fold)
    if len(folds) < 2:  # noqa: PLR2004
        raise ValueError("cross-fitting needs trials in at least two folds")
    llr = np.empty(len(trials))
    members = set(
        zip(
            np.concatenate([trials.enrolled, trials.tested]).tolist(),
            np.tile(trials.fold, 2).tolist(),
            strict=True,
        )
    )
    if len(members) != len(trials.speakers):
        raise ValueError("a speaker is in two folds: the fit would see who it is judged on")
    for fold in folds:
        held_out = trials.fold == fold
        llr[held_out] = fit_line(trials.select(~held_out), p_target=p_target)(
            trials.score[held_out]
        )
    return trials.with_score(np.clip(llr, -LLR_CAP, LLR_CAP))


def fit_calibration(
    trials: Trials,
    *,
    encoder_id: str,
    cohort_id: str | None,
    corpora: tuple[str, ...],
    created_on: str,
    p_target: float = P_TARGET,
    change_cosine: float | None = None,
) -> Calibration:
    """The line from all trials; tails and figures from the cross-fitted LLRs.

    Args:
        trials: Final scores of whole segments, pooled as the daemon pools them.
        encoder_id: Whose embeddings they are.
        cohort_id: Of the cohort that normalised them; None if none did.
        corpora: Where the speech came from.
        created_on: Date, ISO 8601.
        p_target: Effective prior of the fit.
        change_cosine: From ``fit_change_cosine``, if it was measured.

    Raises:
        ValueError: Too few trials in a fold or condition, or scores that are not finite.
    """
    crossed = cross_fit(trials, p_target=p_target)
    line = fit_line(trials, p_target=p_target)
    return Calibration(
        encoder_id=encoder_id,
        cohort_id=cohort_id,
        slope=line.slope,
        offset=line.offset,
        quality_range=_quality_range(trials),
        change_cosine=change_cosine,
        nontarget_tails=_tails(crossed.select(~crossed.is_target), sign=1.0),
        target_tails=_tails(crossed.select(crossed.is_target), sign=-1.0),
        provenance=Provenance(
            created_on=created_on,
            corpora=corpora,
            num_speakers=len(trials.speakers),
            num_target_trials=len(trials.target),
            num_nontarget_trials=len(trials.nontarget),
            p_target=p_target,
            cllr=cllr(crossed.target, crossed.nontarget),
            min_cllr=min_cllr(crossed.target, crossed.nontarget),
            eer=eer(crossed.target, crossed.nontarget),
        ),
    )


def fit_change_cosine(
    same_voice_cosines: NDArray[np.float64], *, rate: float = FALSE_CHANGE_RATE
) -> float:
    """The cosine below which two successive stretches of speech are taken for two voices.

    Args:
        same_voice_cosines: ``(num_pairs,)``, of successive disjoint probe windows of one speaker.
        rate: Share of those pairs that may fall below.

    Raises:
        ValueError: Too few pairs to show that rate, or one is not finite.
    """
    if len(same_voice_cosines) * rate < 1 or not np.isfinite(same_voice_cosines).all():
        raise ValueError(f"a rate of {rate:g} needs at least {1 / rate:.0f} finite cosines")
    return float(np.quantile(same_voice_cosines, rate, method="lower"))


def _tails(trials: Trials, *, sign: float) -> tuple[Tail, ...]:
    """One per condition, of trials of one kind."""
    tails = []
    for condition in np.unique(trials.condition):
        part = trials.select(trials.condition == condition)
        tails.append(
            fit_tail(sign * part.score, condition=str(condition), num_independent=part.num_pairs)
        )
    return tuple(tails)


def _quality_range(trials: Trials) -> tuple[tuple[float, float], tuple[float, float]]:
    log_s = np.log(trials.net_speech_s)
    return (
        (float(log_s.min()), float(log_s.max())),
        (float(trials.snr_db.min()), float(trials.snr_db.max())),
    )
