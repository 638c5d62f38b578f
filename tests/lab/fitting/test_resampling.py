"""EERs of many draws of speakers are those of trials repeated as the speakers were drawn."""

from __future__ import annotations

import numpy as np
import pytest

from tests.scoring.people import make_trials
from voiceguard.lab.fitting.metrics import eer
from voiceguard.lab.fitting.resampling import SpeakerDraws, draw_speakers, eer_per_draw, interval


def test_everybody_once_gives_the_plain_eer() -> None:
    trials = make_trials(4, num_speakers=12, separation=1.5)
    speakers = trials.speakers
    once = SpeakerDraws(speakers, np.ones((1, len(speakers)), np.int64))
    (rate,) = eer_per_draw(trials.score, trials.enrolled, trials.tested, once)
    assert rate == pytest.approx(eer(trials.target, trials.nontarget))


@pytest.mark.parametrize("digits", [6, 0])
def test_a_draw_counts_trials_as_often_as_their_speakers_were_drawn_together(digits: int) -> None:
    trials = make_trials(4, num_speakers=12, separation=1.5)
    trials = trials.with_score(np.round(trials.score, digits))  # 0: with many ties
    draws = draw_speakers(trials.speakers, 5, np.random.default_rng(0))
    rates = eer_per_draw(trials.score, trials.enrolled, trials.tested, draws)
    for count, rate in zip(draws.counts, rates, strict=True):
        times_of = dict(zip(draws.speakers.tolist(), count.tolist(), strict=True))
        times = [
            times_of[str(one)] * (1 if one == other else times_of[str(other)])
            for one, other in zip(trials.enrolled, trials.tested, strict=True)
        ]
        repeated = trials.select(np.repeat(np.arange(len(trials)), times))
        assert rate == pytest.approx(eer(repeated.target, repeated.nontarget))


def test_a_draw_without_a_kind_of_trial_shows_nothing() -> None:
    names = np.array(["a", "b"])
    draws = SpeakerDraws(names, np.array([[2, 0], [1, 1]]))
    score, enrolled, tested = np.array([3.0, 1.0]), np.array(["a", "a"]), np.array(["a", "b"])
    rates = eer_per_draw(score, enrolled, tested, draws)
    assert np.isnan(rates[0])  # nobody but a: no non-target trial
    assert rates[1] == 0


def test_draws_are_with_replacement_and_seeded() -> None:
    names = np.array(["c", "a", "b", "a"])
    draws = draw_speakers(names, 50, np.random.default_rng(3))
    assert draws.speakers.tolist() == ["a", "b", "c"]
    assert (draws.counts.sum(axis=1) == 3).all()
    assert draws.counts.max() > 1
    again = draw_speakers(names, 50, np.random.default_rng(3))
    np.testing.assert_array_equal(draws.counts, again.counts)


def test_an_interval_needs_most_draws() -> None:
    assert interval(np.arange(101.0)) == pytest.approx((2.5, 97.5))
    assert interval(np.array([1.0, np.nan, np.nan])) is None
    assert interval(np.empty(0)) is None
