"""EERs of many draws of speakers are those of trials repeated as the speakers were drawn."""

from __future__ import annotations

import numpy as np
import pytest

from tests.scoring.people import make_trials
from voiceguard.lab.fitting.metrics import eer
from voiceguard.lab.fitting.resampling import SpeakerDraws, draw_speakers, eer_per_draw, interval
from voiceguard.lab.fitting.trials import Trials


def test_everybody_once_gives_the_plain_eer() -> None:
    trials = make_trials(4, num_speakers=12, separation=1.5)
    speakers = trials.speakers
    once = SpeakerDraws(speakers, np.ones((1, len(speakers)), np.int64))
    (rate,) = eer_per_draw(trials, once)
    assert rate == pytest.approx(eer(trials.target, trials.nontarget))


@pytest.mark.parametrize("digits", [6, 0])
def test_a_draw_counts_trials_as_often_as_their_speakers_were_drawn_together(digits: int) -> None:
    trials = make_trials(4, num_speakers=12, separation=1.5)
    trials = trials.with_score(np.round(trials.score, digits))  # 0: with many ties
    draws = draw_speakers(trials.speakers, 5, np.random.default_rng(0))
    rates = eer_per_draw(trials, draws)
    for count, rate in zip(draws.counts, rates, strict=True):
        times_of = dict(zip(draws.speakers.tolist(), count.tolist(), strict=True))
        times = [
            times_of[str(one)] * (1 if one == other else times_of[str(other)])
            for one, other in zip(trials.enrolled, trials.tested, strict=True)
        ]
        repeated = trials.select(np.repeat(np.arange(len(trials)), times))
        assert rate == pytest.approx(eer(repeated.target, repeated.nontarget))


def test_the_interval_encloses_the_figure() -> None:
    trials = make_trials(seed=5, separation=2.0)
    draws = draw_speakers(trials.speakers, 60, np.random.default_rng(1))
    found = interval(eer_per_draw(trials, draws))
    assert found is not None
    assert found[0] < eer(trials.target, trials.nontarget) < found[1]


def test_speakers_that_go_wrong_as_a_whole_widen_the_interval() -> None:
    """Shifting every trial of a speaker together must show, though each trial looks the same."""
    trials = make_trials(seed=6, num_speakers=20, utterances=8, separation=2.0)
    shift = np.random.default_rng(3).permutation(np.repeat([-1.5, 1.5], 10))
    number = np.searchsorted(trials.speakers, trials.tested)
    together = trials.with_score(trials.score + shift[number])
    signs = np.random.default_rng(4).choice([-1.5, 1.5], len(trials))
    apart = trials.with_score(trials.score + signs)
    draws = draw_speakers(trials.speakers, 100, np.random.default_rng(1))

    def width(table: Trials) -> float:
        """Of the mean score of the target trials."""
        whose = np.searchsorted(draws.speakers, table.enrolled[table.is_target])
        weights = draws.weights(whose, whose)
        found = interval(weights @ table.target / weights.sum(axis=1))
        assert found is not None
        return found[1] - found[0]

    assert width(together) > 1.5 * width(apart)


def test_a_draw_without_a_kind_of_trial_shows_nothing() -> None:
    names = np.array(["a", "b"])
    draws = SpeakerDraws(names, np.array([[2, 0], [1, 1]]))
    unknown = np.full(2, np.nan)
    trials = Trials(
        score=np.array([3.0, 1.0]), enrolled=np.array(["a", "a"]), tested=np.array(["a", "b"]),
        net_speech_s=unknown, snr_db=unknown, fold=np.zeros(2, np.int64),
        condition=np.array(["clean"] * 2),
    )  # fmt: skip
    rates = eer_per_draw(trials, draws)
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
