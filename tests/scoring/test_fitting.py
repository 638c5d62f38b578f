"""Logistic calibration, cross-fitting, and what a fitted calibration then promises."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scoring.people import ENCODER_ID, make_trials
from voiceguard.scoring.fitting import cross_fit, fit_calibration, fit_change_cosine, fit_line
from voiceguard.scoring.metrics import cllr, min_cllr

if TYPE_CHECKING:
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.trials import Trials


def fitted(trials: Trials, change_cosine: float | None = None) -> Calibration:
    return fit_calibration(
        trials,
        encoder_id=ENCODER_ID,
        cohort_id=None,
        corpora=("invented",),
        created_on="2026-11-01",
        change_cosine=change_cosine,
    )


@pytest.mark.parametrize("p_target", [0.5, 0.05])
def test_the_line_of_two_gaussians_is_found_again(p_target: float) -> None:
    """N(d, 1) against N(0, 1): the LLR is d s - d^2 / 2, whatever the prior of the fit."""
    trials = make_trials(seed=1, num_speakers=60, utterances=30, separation=2.5)
    line = fit_line(trials, p_target=p_target)
    assert line.slope == pytest.approx(2.5, rel=0.08)
    assert line.offset == pytest.approx(-3.125, rel=0.1)


@settings(max_examples=40)
@given(scale=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_calibrated_llrs_do_not_depend_on_the_scores_unit(scale: float, shift: float) -> None:
    trials = make_trials(seed=2)
    before = fit_line(trials)(trials.score)
    moved = scale * trials.score + shift
    after = fit_line(trials.with_score(moved))(moved)
    assert after == pytest.approx(before, abs=1e-4)


def test_the_order_of_trials_is_irrelevant() -> None:
    trials = make_trials(seed=3)
    shuffled = trials.select(np.random.default_rng(0).permutation(len(trials)))
    assert [*fit_line(shuffled)] == pytest.approx([*fit_line(trials)], abs=1e-7)


def test_separable_scores_give_a_finite_line() -> None:
    trials = make_trials(seed=4, separation=100.0)
    line = fit_line(trials)
    assert np.isfinite(line).all()
    llr = line(trials.score)
    assert llr[trials.is_target].min() > 0 > llr[~trials.is_target].max()
    # Not claimed to be surer than about one error in as many trials as there are.
    assert np.abs(llr).max() < 2 * np.log(len(trials))


@pytest.mark.parametrize("separation", [-3.0, 0.0])
def test_scores_that_say_nothing_or_the_contrary_never_accept(separation: float) -> None:
    """The slope stays at 0 or above, and LLRs stay about 0."""
    trials = make_trials(seed=5, separation=separation)
    line = fit_line(trials)
    assert line.slope >= 0
    assert np.abs(line(trials.score)).max() < 1


def test_identical_scores_are_worth_nothing() -> None:
    trials = make_trials(seed=6)
    line = fit_line(trials.with_score(np.full(len(trials), 3.0)))
    assert line.slope == 0
    assert abs(line.offset) < 0.1


def test_conditions_count_the_same_however_many_trials_they_have() -> None:
    """Repeating one condition's trials five times moves nothing but Platt's labels."""
    trials = make_trials(seed=7, num_speakers=40, conditions=("clean", "noisy"))
    trials = trials.with_score(trials.score - 2.0 * (trials.condition == "noisy"))
    rows = np.arange(len(trials))
    noisy = rows[trials.condition == "noisy"]
    repeated = trials.select(np.concatenate([rows] + 4 * [noisy]))
    assert [*fit_line(repeated)] == pytest.approx([*fit_line(trials)], rel=0.03)
    unweighted = replace(repeated, condition=np.full(len(repeated), "all"))
    assert [*fit_line(unweighted)] != pytest.approx([*fit_line(trials)], rel=0.1)


def test_cross_fitting_never_lets_a_fold_see_itself() -> None:
    """Changing one fold's scores changes the LLRs of the other folds' trials by its fit alone."""
    trials = make_trials(seed=8)
    crossed = cross_fit(trials)
    other = trials.fold == 1
    line = fit_line(trials.select(other))
    assert crossed.score[~other] == pytest.approx(np.clip(line(trials.score[~other]), -20, 20))


def test_a_speaker_in_two_folds_is_refused() -> None:
    trials = make_trials(seed=8)
    fold = trials.fold.copy()
    fold[0] = 1
    with pytest.raises(ValueError, match="two folds"):
        cross_fit(replace(trials, fold=fold))


def test_one_fold_cannot_be_crossed() -> None:
    trials = make_trials(seed=8)
    with pytest.raises(ValueError, match="two folds"):
        cross_fit(trials.select(trials.fold == 0))


def test_cross_fitted_llrs_are_calibrated() -> None:
    trials = make_trials(seed=9, num_speakers=60, utterances=5)
    crossed = cross_fit(trials)
    lowest = min_cllr(crossed.target, crossed.nontarget)
    assert cllr(crossed.target, crossed.nontarget) < lowest + 0.03


def test_the_promised_rates_hold_on_other_speakers() -> None:
    calibration = fitted(make_trials(seed=10, num_speakers=60, utterances=4))
    fresh = make_trials(seed=11, num_speakers=120, utterances=4)
    llr = calibration.llr(fresh.score, fresh.net_speech_s, fresh.snr_db)
    for p_fa in (0.05, 0.01, 0.004):
        threshold = calibration.threshold_for(p_fa)
        assert not threshold.extrapolated
        realised = np.mean(llr[~fresh.is_target] > threshold.llr)
        assert 0.3 * p_fa < realised < 1.5 * p_fa
    miss = calibration.threshold_for_miss(0.05)
    assert 0.02 < np.mean(llr[fresh.is_target] < miss.llr) < 0.08


def test_the_promise_holds_in_every_condition_not_only_on_average() -> None:
    """A condition whose strangers score higher sets the threshold for all."""
    trials = make_trials(seed=12, num_speakers=60, conditions=("clean", "short"))
    harder = trials.score + ((trials.condition == "short") & ~trials.is_target)
    calibration = fitted(trials.with_score(harder))
    llr = calibration.llr(harder, trials.net_speech_s, trials.snr_db)
    threshold = calibration.threshold_for(0.02).llr
    short = ~trials.is_target & (trials.condition == "short")
    assert 0.01 < np.mean(llr[short] > threshold) < 0.03
    assert np.mean(llr[~trials.is_target & ~short] > threshold) < 0.01


def test_independent_trials_are_counted_by_pairs_of_speakers() -> None:
    trials = make_trials(seed=13, num_speakers=20, utterances=10)
    calibration = fitted(trials)
    assert calibration.nontarget_tails[0].num_independent == 2 * (10 * 9 // 2)
    assert calibration.target_tails[0].num_independent == 20


def test_what_was_fitted_on_is_written_down() -> None:
    trials = make_trials(seed=14)
    calibration = fitted(trials, change_cosine=0.2)
    about = calibration.provenance
    assert (about.num_speakers, about.corpora) == (24, ("invented",))
    assert about.num_target_trials + about.num_nontarget_trials == len(trials)
    assert 0 < about.min_cllr <= about.cllr < 1
    assert 0 < about.eer < 0.5
    assert calibration.change_cosine == 0.2
    (low_s, high_s), (low_db, high_db) = calibration.quality_range
    assert low_s == pytest.approx(np.log(trials.net_speech_s.min()))
    assert high_s == pytest.approx(np.log(trials.net_speech_s.max()))
    assert (low_db, high_db) == (trials.snr_db.min(), trials.snr_db.max())


def test_unusable_trials_are_refused() -> None:
    trials = make_trials(seed=15)
    bad = trials.score.copy()
    bad[3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        fit_line(trials.with_score(bad))
    with pytest.raises(ValueError, match="at least two"):
        fit_line(trials.select(trials.is_target))
    with pytest.raises(ValueError, match="p_target"):
        fit_line(trials, p_target=1.0)
    with pytest.raises(ValueError, match="unequal length"):
        trials.with_score(np.zeros(3))


def test_the_change_cosine_leaves_the_stated_share_of_one_voice_below() -> None:
    cosines = np.random.default_rng(0).normal(0.6, 0.1, 2000)
    assert np.mean(cosines < fit_change_cosine(cosines)) == pytest.approx(0.01, abs=0.001)
    with pytest.raises(ValueError, match="at least 100"):
        fit_change_cosine(cosines[:50])
