"""Predictions are ranges that hold for as many speakers as they say, wide where little is known."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest

from tests.scoring.people import make_calibration
from voiceguard.lab.fitting.prediction import MIN_SPEAKERS, Observed, fit_prediction
from voiceguard.scoring.calibration import calibration_from_json
from voiceguard.scoring.limits import EnrollmentLimits
from voiceguard.scoring.outlook import OTHER_OCCASION, SAME_OCCASION, Outlook, PredictionModel
from voiceguard.scoring.policy import PolicyConfig
from voiceguard.scoring.prediction import (
    RANGE_SHARE,
    PredictedRate,
    accept_score,
    count_distribution,
    levels,
    never_falling,
    predict,
)
from voiceguard.validation.reading import read

LOSS = 0.9
TAKE_MEAN, TAKE_SPREAD, TAKE_NOISE = 6.5, 1.0, 0.6
CELLS = {
    (SAME_OCCASION, 3.0): (6.0, 0.6, 0.5, 0.8),
    (OTHER_OCCASION, 3.0): (4.5, 0.0, 1.0, 0.9),
}
"""Level, slope, spread between speakers, spread between utterances."""


def someone(rng: np.random.Generator, *, num_takes: int = 3, num_tests: int = 6) -> Observed:
    """A speaker drawn from the model's own world."""
    takes = rng.normal(TAKE_MEAN, TAKE_SPREAD)
    scores = takes + rng.normal(0, TAKE_NOISE, num_takes)
    tests = {}
    for cell, (level, slope, between, within) in CELLS.items():
        own = level + slope * (takes - TAKE_MEAN) + rng.normal(0, between) - LOSS / num_takes
        tests[cell] = tuple(rng.normal(own, within, num_tests).tolist())
    return Observed(
        take_scores=tuple((scores - LOSS / max(1, num_takes - 1)).tolist())
        if num_takes > 1
        else (),
        pair_score=takes - LOSS,
        num_templates=num_takes,
        tests=tests,
    )


@pytest.fixture(scope="module")
def model() -> PredictionModel:
    rng = np.random.default_rng(1)
    fitted = fit_prediction([someone(rng) for _ in range(600)])
    assert fitted is not None
    return fitted


def foretold(
    model: PredictionModel, takes: list[float], p_fa: float = 0.001
) -> list[PredictedRate]:
    return list(
        predict(
            model,
            takes,
            num_templates=max(1, len(takes)),
            calibration=make_calibration(),
            policy=PolicyConfig(p_fa=p_fa),
            snr_db=20.0,
        )
    )


def test_the_fit_finds_what_the_speakers_were_made_with(model: PredictionModel) -> None:
    assert model.take_mean == pytest.approx(TAKE_MEAN, abs=0.15)
    assert model.take_spread == pytest.approx(TAKE_SPREAD, abs=0.1)
    assert model.take_noise == pytest.approx(TAKE_NOISE, abs=0.05)
    assert model.template_loss == pytest.approx(LOSS, abs=0.1)
    for outlook in model.outlooks:
        level, slope, between, within = CELLS[outlook.occasion, outlook.speech_s]
        assert outlook.level == pytest.approx(level, abs=0.15)
        assert outlook.slope == pytest.approx(slope, abs=0.1)
        assert outlook.level_spread == pytest.approx(between, abs=0.1)
        assert outlook.utterance_spread == pytest.approx(within, abs=0.05)


@pytest.mark.parametrize("num_takes", [1, 2, 3, 8])
def test_the_ranges_hold_for_as_many_speakers_as_they_say(
    model: PredictionModel, num_takes: int
) -> None:
    """Whatever the number of takes: with many tests each, the share seen lies in the range."""
    rng = np.random.default_rng(7)
    threshold = 5.0
    inside = dict.fromkeys(CELLS, 0)
    for _ in range(300):
        speaker = someone(rng, num_takes=num_takes, num_tests=400)
        for level in levels(model, speaker.take_scores, speaker.num_templates):
            cell = (level.outlook.occasion, level.outlook.speech_s)
            low, high = level.accept_rates(threshold, np.array([-1.2816, 1.2816]))
            inside[cell] += low <= np.mean(np.array(speaker.tests[cell]) > threshold) <= high
    assert all(count / 300 == pytest.approx(RANGE_SHARE, abs=0.08) for count in inside.values())


def test_few_takes_make_a_wide_range(model: PredictionModel) -> None:
    widths = [
        (rate := foretold(model, [6.0] * n if n > 1 else [])[0]).high - rate.low for n in (1, 2, 6)
    ]
    assert widths[0] > widths[1] > widths[2]


def test_takes_that_match_well_promise_more_on_the_same_occasion_only(
    model: PredictionModel,
) -> None:
    weak, strong = foretold(model, [4.5] * 3), foretold(model, [6.5] * 3)
    assert strong[0].expected > weak[0].expected + 0.1
    assert strong[1].expected == pytest.approx(weak[1].expected, abs=0.15)


def test_a_stricter_policy_promises_fewer_accepts(model: PredictionModel) -> None:
    for loose, strict in zip(
        foretold(model, [5.5] * 3, p_fa=0.05), foretold(model, [5.5] * 3, p_fa=1e-4), strict=True
    ):
        assert strict.low <= loose.low
        assert strict.expected < loose.expected
        assert 0 <= strict.low <= strict.high <= 1
        assert 0 <= strict.expected <= 1


def test_the_threshold_is_the_policys_and_shared_among_voiceprints() -> None:
    calibration = make_calibration()
    alone = accept_score(calibration, PolicyConfig(), speech_s=3.0, snr_db=20.0)
    three = accept_score(calibration, PolicyConfig(), speech_s=3.0, snr_db=20.0, num_voiceprints=3)
    assert three > alone
    assert accept_score(calibration, PolicyConfig(), speech_s=0.5, snr_db=20.0) == math.inf
    assert accept_score(calibration, PolicyConfig(), speech_s=3.0, snr_db=-9.0) == math.inf


def test_counts_of_accepts_are_a_distribution(model: PredictionModel) -> None:
    (level, _) = levels(model, [5.0, 6.0], 2)
    chances = count_distribution(level, 5.0, 7)
    assert len(chances) == 8
    assert chances.sum() == pytest.approx(1)
    assert count_distribution(level, math.inf, 3)[0] == pytest.approx(1)


def test_too_few_speakers_make_no_model_and_no_outlook() -> None:
    rng = np.random.default_rng(2)
    few = [someone(rng) for _ in range(MIN_SPEAKERS)]
    assert fit_prediction(few[1:]) is None
    assert fit_prediction([someone(rng, num_takes=1) for _ in range(40)]) is None
    same_only = {cell: few[0].tests[cell] for cell in CELLS if cell[0] == SAME_OCCASION}
    fitted = fit_prediction([replace(few[0], tests=same_only), *few[1:]])
    assert fitted is not None
    assert {outlook.occasion for outlook in fitted.outlooks} == {SAME_OCCASION}


def test_a_model_comes_back_from_a_file_and_a_damaged_one_does_not(model: PredictionModel) -> None:
    plain = asdict(model)
    assert read(PredictionModel, plain) == model
    with pytest.raises(ValueError, match="finite"):
        replace(model, take_mean=math.nan)
    with pytest.raises(ValueError, match="negative"):
        read(PredictionModel, {**plain, "take_spread": 0.0})
    with pytest.raises(ValueError, match="negative"):
        Outlook(**{**plain["outlooks"][0], "slope": -1.0})


def test_a_calibration_file_keeps_the_model_and_enrollments_limits(model: PredictionModel) -> None:
    limits = EnrollmentLimits(min_agreement=0.5, max_voice_break=0.8)
    whole = replace(make_calibration(), prediction=model, enrollment=limits)
    assert calibration_from_json(whole.to_json()) == whole
    older = {
        name: value
        for name, value in json.loads(whole.to_json()).items()
        if name not in {"prediction", "enrollment"}
    }
    assert calibration_from_json(json.dumps(older)) == make_calibration()


def test_where_lengths_contradict_each_other_longer_is_not_worse() -> None:
    assert never_falling([0.2, 0.6, 0.4, 0.9]) == pytest.approx([0.2, 0.5, 0.5, 0.9])
    assert never_falling([0.9, 0.3, 0.3]) == pytest.approx([0.5, 0.5, 0.5])
    assert never_falling([]) == []
