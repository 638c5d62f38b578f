"""Logistic calibration, cross-fitting, and what a fitted calibration then promises."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.scoring.people import ENCODER_ID, make_trials
from voiceguard.lab.fitting.calibration import (
    Prior,
    cross_fit,
    fit_calibration,
    fit_change_cosine,
    refitted,
)
from voiceguard.lab.fitting.metrics import cllr, min_cllr
from voiceguard.lab.fitting.regression import fit_llr

if TYPE_CHECKING:
    from voiceguard.lab.fitting.trials import Trials
    from voiceguard.scoring.calibration import Calibration


def fitted(
    trials: Trials, change_cosine: float | None = None, prior: Prior | None = None
) -> Calibration:
    return fit_calibration(
        trials,
        encoder_id=ENCODER_ID,
        cohort_id=None,
        corpora=("invented",),
        created_on="2026-11-01",
        change_cosine=change_cosine,
        prior=prior,
    )


def test_cross_fitting_never_lets_a_fold_see_itself() -> None:
    """Changing one fold's scores changes the LLRs of the other folds' trials by its fit alone."""
    trials = make_trials(seed=8)
    crossed = cross_fit(trials)
    other = trials.fold == 1
    fit = fit_llr(trials.select(other))
    assert crossed.score[~other] == pytest.approx(fit.calibrated(trials.select(~other)).score)


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
        assert 0.1 * p_fa < realised < p_fa  # the bound, not what was counted, is promised
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
    assert 0.005 < np.mean(llr[short] > threshold) < 0.02
    assert np.mean(llr[~trials.is_target & ~short] > threshold) < 0.01


def test_lengths_share_a_tail_and_surroundings_have_their_own() -> None:
    trials = make_trials(seed=12, num_speakers=30, conditions=("1 s clean", "3 s clean", "3 s fan"))
    fan = trials.condition == "3 s fan"
    trials = replace(trials, surroundings=np.where(fan, "fan", "clean"))
    tails = {tail.condition: tail for tail in fitted(trials).nontarget_tails}
    assert set(tails) == {"clean", "fan"}
    assert tails["clean"].num_trials == 2 * tails["fan"].num_trials
    assert tails["clean"].num_independent == tails["fan"].num_independent


def test_a_prior_of_many_speakers_stays_and_one_of_few_gives_way() -> None:
    """A room in which everybody scores 2 higher than where the shipped fit was made."""
    shipped = fitted(make_trials(seed=20, num_speakers=60), change_cosine=0.1)
    room = make_trials(seed=21, num_speakers=20)
    room = room.with_score(room.score + 2.0)

    alone = fitted(room)
    kept, given_way = (fitted(room, prior=Prior(shipped, n)) for n in (100_000, 1))
    assert (kept.slope, kept.offset) == pytest.approx((shipped.slope, shipped.offset), abs=1e-2)
    assert kept.threshold_for(0.01).llr == pytest.approx(shipped.threshold_for(0.01).llr, abs=0.02)
    score = np.array([3.0, 3.5, 4.0, 5.0])  # where it is decided
    assert given_way.llr(score, 2.0, 20.0) == pytest.approx(alone.llr(score, 2.0, 20.0), abs=2.0)
    between = fitted(room, prior=Prior(shipped, 20)).llr(score, 2.0, 20.0)
    assert (between < shipped.llr(score, 2.0, 20.0)).all()
    assert (between > alone.llr(score, 2.0, 20.0)).all()


def test_surroundings_that_the_room_has_not_met_keep_their_tails() -> None:
    trials = make_trials(seed=22, num_speakers=40, conditions=("clean", "noisy"))
    shipped = fitted(trials)
    room = make_trials(seed=23, num_speakers=10)
    refined = fitted(room, prior=Prior(shipped, 20))
    clean, noisy = refined.nontarget_tails
    assert noisy == shipped.nontarget_tails[1]
    assert clean.condition == "clean"
    # Ten speakers alone show nothing below 3 in 20 pairs.
    assert clean.shown_rate < fitted(room).nontarget_tails[0].shown_rate
    assert clean.shown_rate > noisy.shown_rate
    assert refined.provenance.prior_speakers == 20
    assert shipped.provenance.prior_speakers == 0


def test_refitting_keeps_what_is_not_fitted() -> None:
    calibration = fitted(make_trials(seed=24), change_cosine=0.3)
    again = refitted(make_trials(seed=25), calibration)
    assert again.change_cosine == 0.3
    assert again.provenance == calibration.provenance
    assert again.slope != calibration.slope
    assert again.nontarget_tails != calibration.nontarget_tails


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


def test_the_change_cosine_leaves_the_stated_share_of_one_voice_below() -> None:
    cosines = np.random.default_rng(0).normal(0.6, 0.1, 2000)
    assert np.mean(cosines < fit_change_cosine(cosines)) == pytest.approx(0.01, abs=0.001)
    with pytest.raises(ValueError, match="at least 100"):
        fit_change_cosine(cosines[:50])
