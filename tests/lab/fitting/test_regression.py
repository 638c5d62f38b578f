"""Logistic regression on score and quality: what it finds, and what it may not find."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scoring.people import make_trials
from voiceguard.lab.fitting.metrics import cllr, min_cllr
from voiceguard.lab.fitting.regression import Earlier, fit_llr, trial_weights

if TYPE_CHECKING:
    from voiceguard.lab.fitting.trials import Trials


def by_length(seed: int, separation_at_1_s: float = 1.5, gain: float = 1.0) -> Trials:
    """Strangers N(0, 1); targets higher, by ``gain`` more for each factor e of net speech."""
    trials = make_trials(seed=seed, num_speakers=40, utterances=6, separation=0.0)
    apart = separation_at_1_s + gain * np.log(trials.net_speech_s)
    return trials.with_score(trials.score + apart * trials.is_target)


@pytest.mark.parametrize("p_target", [0.5, 0.05])
def test_the_line_of_two_gaussians_is_found_again(p_target: float) -> None:
    """N(d, 1) against N(0, 1): the LLR is d s - d^2 / 2, whatever the prior of the fit."""
    trials = make_trials(seed=1, num_speakers=60, utterances=30, separation=2.5)
    fit = fit_llr(trials, p_target=p_target, with_quality=False)
    assert fit.slope == pytest.approx(2.5, rel=0.08)
    assert fit.offset == pytest.approx(-3.125, rel=0.1)


@settings(max_examples=10, deadline=None)
@given(scale=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_calibrated_llrs_do_not_depend_on_the_scores_unit(scale: float, shift: float) -> None:
    trials = make_trials(seed=2)
    before = fit_llr(trials).calibrated(trials).score
    moved = trials.with_score(scale * trials.score + shift)
    after = fit_llr(moved).calibrated(moved).score
    assert after == pytest.approx(before, abs=1e-4)


def test_the_order_of_trials_is_irrelevant() -> None:
    trials = make_trials(seed=3)
    shuffled = trials.select(np.random.default_rng(0).permutation(len(trials)))
    assert fit_llr(shuffled).terms == pytest.approx(fit_llr(trials).terms, abs=1e-7)


def test_separable_scores_give_a_finite_line() -> None:
    trials = make_trials(seed=4, separation=100.0)
    fit = fit_llr(trials)
    assert np.isfinite(fit.terms).all()
    llr = fit.calibrated(trials).score
    assert llr[trials.is_target].min() > 0 > llr[~trials.is_target].max()
    # Not claimed to be surer than about one error in as many trials as there are.
    assert np.abs(llr).max() < 2 * np.log(len(trials))


@pytest.mark.parametrize("separation", [-3.0, 0.0])
def test_scores_that_say_nothing_or_the_contrary_never_accept(separation: float) -> None:
    """The slope stays at 0 or above, and LLRs stay about 0."""
    trials = make_trials(seed=5, separation=separation)
    fit = fit_llr(trials)
    assert min(fit.slope, *fit.slope_quality) >= 0
    assert np.abs(fit.calibrated(trials).score).max() < 1


def test_identical_scores_are_worth_nothing() -> None:
    trials = make_trials(seed=6)
    constant = trials.with_score(np.full(len(trials), 3.0))
    assert np.abs(fit_llr(constant).calibrated(constant).score).max() < 0.5
    assert fit_llr(constant, with_quality=False).slope == 0


def test_conditions_and_pairs_count_the_same_however_many_trials_they_have() -> None:
    trials = make_trials(seed=7, num_speakers=40, conditions=("clean", "noisy"))
    trials = trials.with_score(trials.score - 2.0 * (trials.condition == "noisy"))
    rows = np.arange(len(trials))
    noisy = rows[trials.condition == "noisy"]
    talkative = rows[trials.tested == "s003"]
    for more in (noisy, talkative):
        repeated = trials.select(np.concatenate([rows] + 4 * [more]))
        assert fit_llr(repeated).terms == pytest.approx(fit_llr(trials).terms, rel=0.03, abs=0.01)
    one = replace(repeated, condition=np.full(len(repeated), "all"))
    weights = trial_weights(one)
    assert weights.sum() == pytest.approx(1.0)
    of_pair = [
        weights[(one.enrolled == enrolled) & (one.tested == "s003")].sum()
        + weights[(one.enrolled == "s003") & (one.tested == enrolled)].sum()
        for enrolled in ("s001", "s005")
    ]
    assert of_pair[0] == pytest.approx(of_pair[1])


def test_more_speech_lets_a_score_count_for_more() -> None:
    """N(a, 1) against N(0, 1): the LLR is a s - a^2 / 2, with a for the length."""
    fit = fit_llr(by_length(1))
    assert fit.slope_quality[0] > 0.5
    trials = by_length(2)
    llrs = fit.calibrated(trials)
    plain = fit_llr(by_length(1), with_quality=False).calibrated(trials)
    lowest = min_cllr(llrs.target, llrs.nontarget)
    assert cllr(llrs.target, llrs.nontarget) < lowest + 0.03
    assert cllr(llrs.target, llrs.nontarget) < cllr(plain.target, plain.nontarget)


def test_more_speech_never_lets_a_score_count_for_less() -> None:
    """Data in which it does (a small, odd corpus) is not believed."""
    odd = by_length(3, separation_at_1_s=3.5, gain=-1.5)
    fit = fit_llr(odd)
    assert fit.slope_quality[0] == 0.0
    assert fit.slope > 0
    assert fit.offset_quality[0] != 0.0


def test_an_earlier_fit_that_agrees_is_found_again() -> None:
    """Posteriors as labels: the earlier fit is their exact optimum, whatever the new scores."""
    earlier = fit_llr(by_length(4))
    fit = fit_llr(make_trials(seed=5), earlier=Earlier(earlier, 1e9))
    assert fit.terms == pytest.approx(earlier.terms, abs=1e-3)
    assert fit.quality_range[0][0] <= earlier.quality_range[0][0]
    assert fit.quality_range[1][1] >= earlier.quality_range[1][1]


def test_an_earlier_fit_holds_a_few_speakers_back() -> None:
    """Ten speakers: with the shipped fit behind them they are calibrated better than alone."""
    earlier = Earlier(fit_llr(by_length(6)), 20)
    everybody = by_length(7)
    losses = []
    for seed in range(8):
        few = np.random.default_rng(seed).choice(everybody.speakers, 10, replace=False)
        rows = np.isin(everybody.enrolled, few) & np.isin(everybody.tested, few)
        room = everybody.select(rows)
        for known in (earlier, None):
            llrs = fit_llr(room, earlier=known).calibrated(everybody)
            losses.append(cllr(llrs.target, llrs.nontarget))
    shrunk, alone = np.mean(losses[::2]), np.mean(losses[1::2])
    assert shrunk < alone


def test_unusable_trials_are_refused() -> None:
    trials = make_trials(seed=15)
    bad = trials.score.copy()
    bad[3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        fit_llr(trials.with_score(bad))
    with pytest.raises(ValueError, match="at least two"):
        fit_llr(trials.select(trials.is_target))
    with pytest.raises(ValueError, match="p_target"):
        fit_llr(trials, p_target=1.0)
    with pytest.raises(ValueError, match="unequal length"):
        trials.with_score(np.zeros(3))
