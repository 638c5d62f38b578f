"""Fits a calibration to trials with known answers, cross-fitted over halves of the speakers.

Runs when a calibration is made, never in the daemon. In: trials, and perhaps an earlier calibration
to correct rather than replace. Out: a ``Calibration`` whose error rates were all measured on
speakers that the measured fit had not seen.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import numpy as np

from voiceguard.lab.fitting.metrics import cllr, eer, min_cllr
from voiceguard.lab.fitting.regression import DOUBT, P_TARGET, Earlier, Fit, fit_llr
from voiceguard.lab.fitting.tails import bounded_tail, counted_tail
from voiceguard.scoring.calibration import Calibration, Provenance
from voiceguard.scoring.tail import fit_tail, mixed_tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.lab.fitting.trials import Trials
    from voiceguard.scoring.tail import Tail

FALSE_CHANGE_RATE = 0.01
"""Share of pairs of stretches of one voice that may pass for two voices."""


class Prior(NamedTuple):
    """A calibration that new trials correct rather than replace."""

    calibration: Calibration
    num_speakers: int
    """As if so many speakers, who all score as it expects, were among the new ones."""

    @property
    def earlier(self) -> Earlier:
        """Its coefficients, for the regression."""
        known = self.calibration
        fit = Fit(
            known.slope,
            known.offset,
            known.slope_quality,
            known.offset_quality,
            known.quality_range,
        )
        return Earlier(fit, self.num_speakers)

    def share(self, trials: Trials) -> float:
        """Of the prior, beside these trials."""
        return self.num_speakers / (self.num_speakers + trials.num_enrolled)


class _Tails(TypedDict):
    nontarget_tails: tuple[Tail, ...]
    counted_tails: tuple[Tail, ...]
    target_tails: tuple[Tail, ...]


def cross_fit(trials: Trials, *, p_target: float = P_TARGET, prior: Prior | None = None) -> Trials:
    """Calibrates every fold by a fit to the others.

    Returns:
        The same trials, in the same order, with LLRs for scores.

    Raises:
        ValueError: There is one fold only, a speaker is in two, or too few trials are outside one.
    """
    folds = np.unique(trials.fold)
    if len(folds) < 2:
        raise ValueError("cross-fitting needs trials in at least two folds")
    members = set(
        zip(
            np.concatenate([trials.enrolled, trials.tested]).tolist(),
            np.tile(trials.fold, 2).tolist(),
            strict=True,
        )
    )
    if len(members) != len(trials.speakers):
        raise ValueError("a speaker is in two folds: the fit would see who it is judged on")
    llr = np.empty(len(trials))
    for fold in folds:
        held_out = trials.fold == fold
        fit = _fit(trials.select(~held_out), p_target, prior)
        llr[held_out] = fit.calibrated(trials.select(held_out)).score
    return trials.with_score(llr)


def fit_calibration(
    trials: Trials,
    *,
    encoder_id: str,
    cohort_id: str | None,
    corpora: tuple[str, ...],
    created_on: str,
    p_target: float = P_TARGET,
    change_cosine: float | None = None,
    prior: Prior | None = None,
) -> Calibration:
    """Coefficients from all trials; tails and figures from the cross-fitted LLRs.

    Args:
        trials: Final scores of whole segments, pooled as the daemon pools them.
        encoder_id: Whose embeddings they are.
        cohort_id: Of the cohort that normalised them; None if none did.
        corpora: Where the speech came from.
        created_on: Date, ISO 8601.
        p_target: Effective prior of the fit.
        change_cosine: From ``fit_change_cosine``, if it was measured.
        prior: What to shrink towards; None: nothing but these trials counts.

    Raises:
        ValueError: Too few trials in a fold or condition, or scores that are not finite.
    """
    crossed = cross_fit(trials, p_target=p_target, prior=prior)
    fit = _fit(trials, p_target, prior)
    return Calibration(
        encoder_id=encoder_id,
        cohort_id=cohort_id,
        **fit._asdict(),
        change_cosine=change_cosine,
        doubt=DOUBT,
        **_tails(crossed, prior),
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
            prior_speakers=0 if prior is None else prior.num_speakers,
        ),
    )


def refitted(trials: Trials, like: Calibration, prior: Prior | None = None) -> Calibration:
    """Coefficients and tails of these trials alone; everything else as in ``like``.

    The tails are those of the trials that were fitted: a few coefficients learn nothing of single
    speakers. For judging a half by what the other half taught.

    Raises:
        ValueError: As ``fit_calibration``.
    """
    fit = _fit(trials, like.provenance.p_target, prior)
    tails = _tails(fit.calibrated(trials), prior)
    return replace(like, **fit._asdict(), doubt=DOUBT, **tails)


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


def _fit(trials: Trials, p_target: float, prior: Prior | None) -> Fit:
    return fit_llr(trials, p_target=p_target, earlier=None if prior is None else prior.earlier)


def _tails(llrs: Trials, prior: Prior | None) -> _Tails:
    """Of every kind, one per surroundings."""
    strangers = llrs.select(~llrs.is_target)
    targets = llrs.select(llrs.is_target)
    nontarget = tuple(
        bounded_tail(part, condition=name) for name, part in _by_surroundings(strangers)
    )
    counted = tuple(
        counted_tail(part, condition=name) for name, part in _by_surroundings(strangers)
    )
    target = tuple(
        fit_tail(-part.score, condition=name, num_independent=part.num_pairs)
        for name, part in _by_surroundings(targets)
    )
    if prior is not None:
        known, share = prior.calibration, prior.share(llrs)
        nontarget = _shrunk(nontarget, known.nontarget_tails, share)
        # Where the prior has none, a home's few speakers show none either.
        counted = _shrunk(counted, known.counted_tails, share) if known.counted_tails else ()
        target = _shrunk(target, known.target_tails, share)
    return {"nontarget_tails": nontarget, "counted_tails": counted, "target_tails": target}


def _by_surroundings(llrs: Trials) -> list[tuple[str, Trials]]:
    where = llrs.condition if llrs.surroundings is None else llrs.surroundings
    return [(str(name), llrs.select(where == name)) for name in np.unique(where)]


def _shrunk(new: tuple[Tail, ...], known: tuple[Tail, ...], share: float) -> tuple[Tail, ...]:
    """Each towards its namesake, if it has one; surroundings that were not met now are kept."""
    before = {tail.condition: tail for tail in known}
    mixed = {
        tail.condition: mixed_tail(tail, before[tail.condition], share)
        if tail.condition in before
        else tail
        for tail in new
    }
    return tuple({**before, **mixed}.values())
