"""Strangers' tails as bounds for other speakers, in every corpus."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.scoring.people import make_trials
from voiceguard.lab.fitting.tails import bounded_tail, counted_tail
from voiceguard.lab.fitting.trials import Trials
from voiceguard.scoring.tail import fit_tail


def strangers(seed: int, num_speakers: int = 40, corpus: str = "here") -> Trials:
    """LLRs in which some speakers are easier to confuse than others."""
    trials = make_trials(seed=seed, num_speakers=num_speakers, utterances=3)
    trials = trials.select(~trials.is_target)
    rng = np.random.default_rng(seed + 500)
    shift = dict(
        zip(trials.speakers.tolist(), rng.normal(0, 1.0, len(trials.speakers)), strict=True)
    )
    moved = [shift[a] + shift[b] for a, b in zip(trials.enrolled, trials.tested, strict=True)]
    named = {
        name: np.array([f"{corpus}/{each}" for each in getattr(trials, name)])
        for name in ("enrolled", "tested")
    }
    return replace(trials, score=trials.score - 3.0 + np.array(moved), **named)


def together(*parts: Trials) -> Trials:
    names = [name for name, column in parts[0]._columns().items() if column is not None]
    return Trials(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def test_other_speakers_keep_within_the_bound_where_what_was_counted_is_often_broken() -> None:
    everybody = np.concatenate([strangers(1000 + n, 120).score for n in range(4)])
    kept = {"bound": 0, "counted": 0}
    for seed in range(20):
        seen = strangers(seed, num_speakers=60)
        counted = fit_tail(seen.score, condition="c", num_independent=seen.num_pairs)
        for name, tail in (("bound", bounded_tail(seen, condition="c")), ("counted", counted)):
            kept[name] += bool(np.mean(everybody > tail.threshold(0.03).llr) <= 0.03)
    assert kept["bound"] >= 17
    assert kept["counted"] <= 14


def test_the_strictest_corpus_sets_the_threshold() -> None:
    easy, hard = strangers(1), strangers(2, corpus="there")
    hard = hard.with_score(hard.score + 2.0)
    both = bounded_tail(together(easy, hard), condition="clean")
    for rate in (0.1, 0.05, 0.03):
        alone = bounded_tail(hard, condition="clean").threshold(rate).llr
        assert both.threshold(rate).llr == pytest.approx(alone, abs=0.4)
        assert alone > bounded_tail(easy, condition="clean").threshold(rate).llr


def test_a_handful_of_speakers_is_no_corpus_of_its_own() -> None:
    few, many = strangers(4, num_speakers=6, corpus="few"), strangers(3)
    few = few.with_score(few.score - 5.0)
    both = bounded_tail(together(few, many), condition="clean")
    assert both.num_independent == many.num_pairs + few.num_pairs
    assert (
        both.threshold(0.05).llr >= bounded_tail(many, condition="clean").threshold(0.05).llr - 0.3
    )


def test_beyond_what_is_shown_it_falls_no_faster_than_likelihood_ratios_do() -> None:
    tail = bounded_tail(strangers(5), condition="clean")
    shown = tail.rates[-1]
    assert not tail.threshold(shown * 1.01).extrapolated
    lower = tail.threshold(shown / 100)
    assert lower.extrapolated
    assert lower.llr >= tail.threshold(shown).llr + math.log(100) - 1e-6


def test_nothing_is_shown_below_three_pairs() -> None:
    for num_speakers in (4, 10, 30):
        trials = strangers(6, num_speakers)
        tail = bounded_tail(trials, condition="clean")
        assert tail.rates[-1] >= min(0.5, 3 / trials.num_pairs)


def test_too_few_or_infinite_values_are_refused() -> None:
    trials = strangers(7)
    for bad in (trials.select(np.array([0])), trials.with_score(np.full(len(trials), np.nan))):
        with pytest.raises(ValueError, match="finite"):
            bounded_tail(bad, condition="clean")


def test_what_was_counted_lies_below_the_bound_and_is_never_exceeded_more_often() -> None:
    trials = together(strangers(8), strangers(9, corpus="there"))
    counted, bounded = (fit(trials, condition="clean") for fit in (counted_tail, bounded_tail))
    for rate in (0.2, 0.05, 0.02, 0.01, 0.001):
        floor = counted.threshold(rate).llr
        assert floor <= bounded.threshold(rate).llr
        for corpus in ("here", "there"):
            assert np.mean(trials.of_corpus(corpus).score > floor) <= 1.1 * rate  # interpolated
    assert counted.threshold(0.02).llr < bounded.threshold(0.02).llr - 0.2
