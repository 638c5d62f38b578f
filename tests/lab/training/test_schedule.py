"""The course of a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.lab.training.tiny import TINY
from voiceguard.lab.training.schedule import (
    LARGE_MARGIN,
    NUM_LENGTHS,
    crop_s,
    learning_rate,
    margin,
)

CONFIG = replace(
    TINY, num_steps=100, crop_s=(0.8, 4.0), learning_rate=1e-3, warmup_share=0.1, aam_margin=0.3
)


def test_crops_have_few_lengths_between_the_limits_and_the_longest_in_the_end() -> None:
    rng = np.random.default_rng(0)
    lengths = {round(crop_s(CONFIG, 10, rng), 6) for _ in range(200)}

    assert len(lengths) == NUM_LENGTHS
    assert (min(lengths), max(lengths)) == (0.8, 4.0)
    assert {crop_s(CONFIG, step, rng) for step in range(90, 100)} == {4.0}


def test_the_margin_is_ramped_held_and_enlarged() -> None:
    values = [margin(CONFIG, step) for step in range(100)]

    assert values[0] == 0
    assert values[:34] == sorted(values[:34])
    assert set(values[34:90]) == {0.3}
    assert set(values[90:]) == {LARGE_MARGIN}


def test_without_its_last_part_a_run_goes_on_to_the_end() -> None:
    config = replace(CONFIG, large_margin_share=0.0)

    assert margin(config, 99) == 0.3


def test_the_learning_rate_warms_up_peaks_and_falls_to_nearly_nothing() -> None:
    values = [learning_rate(CONFIG, step) for step in range(100)]

    assert values[0] == pytest.approx(1e-4)
    assert max(values) == pytest.approx(1e-3, rel=0.01)
    assert values.index(max(values)) in (9, 10)
    assert values[10:] == sorted(values[10:], reverse=True)
    assert values[-1] < 5e-6
