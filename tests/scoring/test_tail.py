"""Rates to thresholds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from voiceguard.scoring.tail import fit_tail, mixed_tail, rate_at


def gaussian(num: int, seed: int = 0) -> np.ndarray:
    """Non-target LLRs of a calibrated Gaussian system with d' = 3."""
    return np.random.default_rng(seed).normal(-4.5, 3.0, num)


def test_an_exponential_tail_is_found_again() -> None:
    """P(x > t) = exp(-t / 2), so the threshold at rate p is -2 ln p."""
    values = np.random.default_rng(1).exponential(2.0, 20_000)
    tail = fit_tail(values, condition="c", num_independent=20_000)
    for rate in (0.3, 0.05, 0.01, 0.001):
        assert tail.threshold(rate).llr == pytest.approx(-2 * math.log(rate), rel=0.08)
        assert not tail.threshold(rate).extrapolated


def test_thinner_data_says_so() -> None:
    tail = fit_tail(gaussian(300), condition="c", num_independent=300)
    assert tail.shown_rate == 0.01
    assert not tail.threshold(0.011).extrapolated
    assert tail.threshold(0.009).extrapolated


def test_correlated_trials_show_less() -> None:
    few = fit_tail(gaussian(10_000), condition="c", num_independent=100)
    many = fit_tail(gaussian(10_000), condition="c", num_independent=10_000)
    assert few.threshold(0.005).extrapolated
    assert not many.threshold(0.005).extrapolated
    assert few.threshold(0.005).llr >= many.threshold(0.005).llr


@given(
    values=st.lists(st.floats(-20, 20), min_size=2, max_size=300),
    rates=st.tuples(st.floats(1e-9, 0.999), st.floats(1e-9, 0.999)),
)
def test_a_lower_rate_never_has_a_lower_threshold(
    values: list[float], rates: tuple[float, float]
) -> None:
    tail = fit_tail(np.array(values), condition="c", num_independent=max(1, len(values) // 3))
    low, high = sorted(rates)
    assert tail.threshold(low).llr >= tail.threshold(high).llr - 1e-9


@given(
    values=st.lists(st.integers(-5, 5).map(float), min_size=40, max_size=400),
    rate=st.floats(0.05, 0.5),
)
def test_no_more_of_the_data_exceeds_a_threshold_than_promised(
    values: list[float], rate: float
) -> None:
    """Ties included: scores in coarse steps must not slip over the threshold together."""
    tail = fit_tail(np.array(values), condition="c", num_independent=len(values))
    threshold = tail.threshold(rate)
    assume(not threshold.extrapolated)  # below 3 / n there is nothing to count
    # Between two counted quantiles the threshold is interpolated: allow the step above.
    exceeding = np.mean(np.array(values) > threshold.llr)
    step = tail.rates[0] / tail.rates[1]
    assert exceeding <= rate * step + 1e-9


def test_constant_llrs_never_exceed_their_threshold() -> None:
    tail = fit_tail(np.zeros(500), condition="c", num_independent=500)
    assert tail.threshold(0.05).llr >= 0.0


def test_the_promise_holds_on_fresh_data() -> None:
    """Median over seeds of the realised rate is at most the promised one."""
    for rate in (0.05, 0.01, 0.002):
        realised = [
            np.mean(
                gaussian(100_000, seed + 1000)
                > fit_tail(gaussian(2000, seed), condition="c", num_independent=2000)
                .threshold(rate)
                .llr
            )
            for seed in range(15)
        ]
        assert np.median(realised) <= rate * 1.05
        assert np.median(realised) >= rate * 0.4


def test_an_outlier_is_not_smoothed_away() -> None:
    """Two people behind one label: what was counted counts, whatever the exponential says."""
    values = np.concatenate([gaussian(980), np.full(20, 15.0)])
    tail = fit_tail(values, condition="c", num_independent=1000)
    assert tail.threshold(0.01).llr >= 15.0


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, float("nan")])
def test_rates_outside_of_zero_to_one_are_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        fit_tail(gaussian(100), condition="c", num_independent=100).threshold(rate)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_too_few_or_infinite_values_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        fit_tail(np.array(values), condition="c", num_independent=1)


def test_a_mixture_lies_between_at_every_rate() -> None:
    new = fit_tail(gaussian(200, 1), condition="room", num_independent=50)
    known = fit_tail(gaussian(5000, 2) + 2.0, condition="clean", num_independent=1000)
    mixed = mixed_tail(new, known, 0.75)
    assert mixed.condition == "room"
    assert mixed.num_independent == 200
    for rate in (0.4, 0.1, 0.03, 0.01, 1e-3, 1e-5):
        ends = sorted((new.threshold(rate).llr, known.threshold(rate).llr))
        assert ends[0] - 0.3 <= mixed.threshold(rate).llr <= ends[1] + 0.3
        wanted = 0.25 * new.threshold(rate).llr + 0.75 * known.threshold(rate).llr
        assert mixed.threshold(rate).llr == pytest.approx(wanted, abs=0.35)
    none = mixed_tail(new, known, 0.0)
    for rate in (0.4, 0.1, 0.01, 1e-4):
        assert none.threshold(rate).llr == pytest.approx(new.threshold(rate).llr, abs=0.35)


def test_a_rate_is_found_again_from_its_threshold() -> None:
    tail = fit_tail(
        np.random.default_rng(3).normal(-4, 3, 2000), condition="c", num_independent=900
    )
    for rate in (0.4, 0.05, 0.01, 0.004, 1e-4, 1e-7):
        assert rate_at(tail, tail.threshold(rate).llr) == pytest.approx(rate, rel=1e-6)
    assert rate_at(tail, -50.0) == pytest.approx(0.5)
    llrs = np.linspace(-20, 20, 200)
    rates = [rate_at(tail, float(llr)) for llr in llrs]
    assert rates == sorted(rates, reverse=True)
