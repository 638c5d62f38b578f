"""Predictions are checked against what happened: by the other half's model, tests that count."""

from __future__ import annotations

import numpy as np
import pytest

from voiceguard.lab.evaluation.daemon.predictions import (
    CheckedSpeaker,
    PredictionCheck,
    _figures,
    _inside,
)
from voiceguard.lab.evaluation.report.layout import plain
from voiceguard.lab.evaluation.report.tables import prediction_table
from voiceguard.scoring.prediction import RANGE_SHARE


def test_counts_drawn_from_the_prediction_are_inside_as_often_as_promised() -> None:
    """Exactly, though a handful of tests can't show any share."""
    for chances in (np.array([0.3, 0.7]), np.array([0.05, 0.15, 0.5, 0.3]), np.array([0.0, 1.0])):
        expected = sum(chance * _inside(chances, n) for n, chance in enumerate(chances))
        assert expected == pytest.approx(RANGE_SHARE)


def test_what_the_prediction_thought_impossible_is_outside() -> None:
    chances = np.array([0.001, 0.009, 0.99])
    assert _inside(chances, 0) == 0
    assert _inside(chances, 2) > 0.7


def checked(speaker: str, expected: float, num_accepted: int) -> CheckedSpeaker:
    return CheckedSpeaker(
        speaker=speaker,
        occasion="same session",
        speech_s=3.0,
        low=max(0.0, expected - 0.2),
        expected=expected,
        high=min(1.0, expected + 0.2),
        num_tests=4,
        num_accepted=num_accepted,
        inside=1.0,
    )


def test_figures_compare_what_was_predicted_with_what_was_seen_by_thirds() -> None:
    cell = [checked("c", 0.9, 4), checked("a", 0.3, 1), checked("b", 0.6, 2)]
    figures = _figures(cell)
    assert (figures.num_speakers, figures.num_tests) == (3, 12)
    assert figures.predicted == pytest.approx(0.6)
    assert figures.observed == pytest.approx(7 / 12)
    assert figures.predicted_thirds == pytest.approx((0.3, 0.6, 0.9))
    assert figures.observed_thirds == pytest.approx((0.25, 0.5, 1.0))
    check = PredictionCheck(range_share=RANGE_SHARE, figures=(figures,), speakers=tuple(cell))
    assert prediction_table(check).row_count == 1
    assert plain(check.figures)[0]["num_tests"] == 12
