"""Figures against closed forms and hand-computed cases."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceguard.lab.fitting.metrics import (
    act_dcf,
    cllr,
    det_points,
    eer,
    min_cllr,
    min_dcf,
)

PHI = NormalDist()
scores = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=60).map(np.array)


def gaussian(separation: float, num: int = 200_000) -> tuple[np.ndarray, np.ndarray]:
    """LLRs of a calibrated Gaussian system: N(+d2/2, d) and N(-d2/2, d)."""
    rng = np.random.default_rng(11)
    half = separation**2 / 2
    return rng.normal(half, separation, num), rng.normal(-half, separation, num)


@pytest.mark.parametrize("separation", [1.0, 2.0, 3.0])
def test_eer_of_two_gaussians_is_phi_of_minus_half_their_distance(separation: float) -> None:
    assert eer(*gaussian(separation)) == pytest.approx(PHI.cdf(-separation / 2), abs=2e-3)


@pytest.mark.parametrize("separation", [1.0, 2.0, 3.0])
def test_calibrated_llrs_waste_nothing(separation: float) -> None:
    """Cllr is close to its minimum, and actDCF to minDCF, when LLRs are what they claim to be."""
    target, nontarget = gaussian(separation)
    assert cllr(target, nontarget) == pytest.approx(min_cllr(target, nontarget), abs=2e-3)
    actual = act_dcf(target, nontarget, p_target=0.1)
    assert actual == pytest.approx(min_dcf(target, nontarget, p_target=0.1), abs=5e-3)


def test_dcf_of_gaussians_is_that_of_the_bayes_threshold() -> None:
    p_target, d = 0.05, 2.0
    threshold = -math.log(p_target / (1 - p_target))
    p_miss = PHI.cdf((threshold - d * d / 2) / d)
    p_fa = 1 - PHI.cdf((threshold + d * d / 2) / d)
    expected = (p_target * p_miss + (1 - p_target) * p_fa) / p_target
    assert act_dcf(*gaussian(d), p_target=p_target) == pytest.approx(expected, abs=0.015)


def test_tiny_case_by_hand() -> None:
    """Targets 1 3 4, non-targets 0 2: one swap.

    ROC hull vertices (p_fa, p_miss): (1, 0), (1/2, 0), (0, 1/3), (0, 1); the diagonal meets the
    edge (1/2, 0)-(0, 1/3) at 1/5.
    """
    target, nontarget = np.array([1.0, 3.0, 4.0]), np.array([0.0, 2.0])
    assert eer(target, nontarget) == pytest.approx(1 / 5)
    # Threshold 3: p_miss 1/3, p_fa 0, at p_target 1/2: (1/6) / (1/2).
    assert min_dcf(target, nontarget, p_target=0.5) == pytest.approx(1 / 3)
    # PAV pools {1, 2}: LLR ln((1/3) / (1/2)); the rest is free.
    llr = math.log(2 / 3)
    by_hand = (math.log2(1 + math.exp(-llr)) / 3 + math.log2(1 + math.exp(llr)) / 2) / 2
    assert min_cllr(target, nontarget) == pytest.approx(by_hand)


def test_det_points_by_hand() -> None:
    points = det_points(np.array([1.0, 2.0]), np.array([0.0, 1.0]))
    assert points.threshold.tolist() == [0.0, 1.0, 2.0, math.inf]
    assert points.p_miss.tolist() == [0.0, 0.0, 0.5, 1.0]
    assert points.p_fa.tolist() == [1.0, 0.5, 0.0, 0.0]


def test_zero_llrs_cost_one_bit() -> None:
    assert cllr(np.zeros(5), np.zeros(9)) == pytest.approx(1.0)
    assert act_dcf(np.zeros(5), np.zeros(9), p_target=0.01) == pytest.approx(1.0)


def test_perfect_and_useless_scores() -> None:
    low, high, same = np.array([0.0, 1.0]), np.array([2.0, 3.0]), np.zeros(4)
    assert (eer(high, low), min_cllr(high, low), min_dcf(high, low)) == (0.0, 0.0, 0.0)
    assert eer(same, same) == pytest.approx(0.5)
    assert min_cllr(same, same) == pytest.approx(1.0)
    assert eer(low, high) == pytest.approx(0.5)  # on the hull nothing is worse than guessing


@given(target=scores, nontarget=scores)
def test_monotone_maps_change_no_discrimination_figure(
    target: np.ndarray, nontarget: np.ndarray
) -> None:
    for figure in (eer, min_cllr, min_dcf):
        mapped = figure(np.sinh(target / 4) + target, np.sinh(nontarget / 4) + nontarget)
        assert mapped == pytest.approx(figure(target, nontarget))


@given(target=scores, nontarget=scores, seed=st.integers(0, 99))
def test_the_order_of_trials_is_irrelevant(
    target: np.ndarray, nontarget: np.ndarray, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    for figure in (eer, min_cllr, cllr, min_dcf):
        shuffled = figure(rng.permutation(target), rng.permutation(nontarget))
        assert shuffled == pytest.approx(figure(target, nontarget))


@given(target=scores, nontarget=scores, p_target=st.floats(0.001, 0.999))
def test_the_bounds_between_the_figures_hold(
    target: np.ndarray, nontarget: np.ndarray, p_target: float
) -> None:
    """Minimum costs are at most 1 and at most the actual ones; EER is at most 0.5."""
    assert 0 <= eer(target, nontarget) <= 0.5 + 1e-12
    assert min_cllr(target, nontarget) <= min(1.0, cllr(target, nontarget)) + 1e-9
    lowest = min_dcf(target, nontarget, p_target=p_target)
    assert 0 <= lowest <= min(1.0, act_dcf(target, nontarget, p_target=p_target)) + 1e-9


@given(target=scores, nontarget=scores)
def test_eer_is_the_highest_bayes_error_over_all_priors(
    target: np.ndarray, nontarget: np.ndarray
) -> None:
    """Brute force over priors; an independent definition of the hull's EER."""
    points = det_points(target, nontarget)
    priors = np.linspace(0, 1, 2001)[:, None]
    bayes = (priors * points.p_miss + (1 - priors) * points.p_fa).min(axis=1)
    assert eer(target, nontarget) == pytest.approx(bayes.max(), abs=1e-3)


@pytest.mark.parametrize("bad", [np.array([]), np.array([np.nan])])
def test_no_trials_or_nan_scores_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"trials|NaN"):
        eer(bad, np.array([0.0]))
