"""An enrollment in a word: by what is expected, or by the speech that there is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.enrollment.speaking import NOW
from tests.voiceprints.people import make_voiceprint
from voiceguard.enrollment import Advice, Appraisal, Quality, advise, appraise
from voiceguard.scoring.outlook import OTHER_OCCASION, SAME_OCCASION
from voiceguard.scoring.prediction import PredictedRate

if TYPE_CHECKING:
    from voiceguard.types import Voiceprint


def voiceprint(
    *, speech_s: float = 4.0, takes: int = 3, snr_db: float = 30.0, days: int = 0
) -> Voiceprint:
    made = make_voiceprint()
    return replace(
        made,
        templates=tuple(
            replace(
                made.templates[0],
                net_speech_s=speech_s,
                snr_db=snr_db,
                created_at=NOW + timedelta(days=days if number else 0),
            )
            for number in range(takes)
        ),
    )


def rates(same: float, other: float | None) -> list[PredictedRate]:
    both = {SAME_OCCASION: same, OTHER_OCCASION: other}
    return [
        PredictedRate(occasion=occasion, speech_s=3.0, low=0.0, expected=rate, high=1.0)
        for occasion, rate in both.items()
        if rate is not None
    ]


@pytest.mark.parametrize(
    ("prediction", "quality"),
    [
        (rates(0.9, 0.7), Quality.GOOD),
        (rates(0.9, None), Quality.GOOD),
        (rates(0.9, 0.5), Quality.FAIR),
        (rates(0.7, 0.7), Quality.FAIR),
        (rates(0.9, 0.2), Quality.WEAK),
        (rates(0.4, None), Quality.WEAK),
        ([], Quality.FAIR),
    ],
)
def test_the_word_follows_the_prediction(prediction: list[PredictedRate], quality: Quality) -> None:
    assert appraise(voiceprint(), prediction).quality is quality


def test_without_a_prediction_little_speech_is_weak() -> None:
    assert appraise(voiceprint(speech_s=1.0), []).quality is Quality.WEAK


@pytest.mark.parametrize(
    ("made", "advice"),
    [
        (voiceprint(speech_s=2.0, takes=2, snr_db=12.0), Advice.MORE_SPEECH),
        (voiceprint(speech_s=5.0, takes=2, snr_db=12.0), Advice.LESS_NOISE),
        (voiceprint(speech_s=5.0, takes=2), Advice.MORE_TAKES),
        (voiceprint(), Advice.ANOTHER_DAY),
        (voiceprint(days=2), Advice.BETTER_ENCODER),
    ],
)
def test_one_thing_is_advised_the_first_that_is_wanting(made: Voiceprint, advice: Advice) -> None:
    found = appraise(made, rates(0.7, 0.4))
    assert found == Appraisal(quality=Quality.FAIR, advice=advice)
    assert advise(found, "anna")


def test_what_is_good_needs_no_advice() -> None:
    found = appraise(voiceprint(takes=1), rates(0.95, 0.9))
    assert found == Appraisal(quality=Quality.GOOD, advice=None)
    assert not advise(found, "anna")
