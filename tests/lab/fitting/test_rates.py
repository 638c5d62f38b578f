"""Rates and how sure they are, by speaker."""

from __future__ import annotations

import numpy as np
import pytest

from voiceguard.lab.fitting.rates import speaker_rate


def test_a_rate_is_events_over_units() -> None:
    rate = speaker_rate(
        np.array([1.0, 0, 0, 1]),
        np.array([0.5, 0.5, 1, 2]),
        ["a", "b", "c", "a"],
        ["b", "a", "a", "c"],
    )
    assert rate.value == pytest.approx(0.5)
    assert (rate.num_trials, rate.num_pairs) == (4, 2)  # a-b and a-c, in either order


def test_one_persons_mishaps_make_the_interval_wide() -> None:
    """As many events, once all by one speaker and once spread evenly."""
    names = [f"s{n}" for n in range(20)]
    enrolled = [name for name in names for _ in range(20)]
    one = np.array([float(name == "s3") for name in enrolled])
    spread = np.tile([1.0, *[0.0] * 19], 20)
    units = np.ones(400)
    apart, together = (speaker_rate(e, units, enrolled, enrolled) for e in (spread, one))
    assert apart.value == together.value == pytest.approx(0.05)
    assert apart.low == apart.high == pytest.approx(0.05)
    assert together.low is not None
    assert together.high is not None
    assert together.low == 0
    assert together.high > 0.1


def test_nothing_seen_is_bounded_by_the_pairs_not_by_the_trials() -> None:
    names = [f"s{n}" for n in range(10)]
    enrolled = [a for a in names for b in names if a != b] * 30
    tested = [b for a in names for b in names if a != b] * 30
    never = speaker_rate(np.zeros(2700), np.ones(2700), enrolled, tested)
    assert (never.value, never.high) == (0, 0)
    assert never.upper == pytest.approx(3 / 45)
    per_hour = speaker_rate(np.zeros(2700), np.full(2700, 0.01), enrolled, tested)
    assert per_hour.upper == pytest.approx(3 / 45 / 0.01)


def test_one_speaker_says_nothing_about_others() -> None:
    rate = speaker_rate(np.ones(3), np.ones(3), ["a"] * 3, ["a"] * 3)
    assert (rate.value, rate.low, rate.high, rate.upper) == (1, None, None, None)
    with pytest.raises(ValueError, match="needs trials"):
        speaker_rate(np.array([]), np.array([]), [], [])
