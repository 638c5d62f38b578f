"""What an enrollment foretells is said in a sentence, a table and JSON, with what it rests on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voiceguard.cli.people.prediction import prediction_plain, show_prediction
from voiceguard.scoring.outlook import OTHER_OCCASION, SAME_OCCASION
from voiceguard.scoring.policy import PolicyConfig
from voiceguard.scoring.prediction import PredictedRate

if TYPE_CHECKING:
    import pytest


def rates(*occasions: str) -> list[PredictedRate]:
    return [
        PredictedRate(occasion=occasion, speech_s=speech_s, low=0.25, expected=0.6, high=0.875)
        for occasion in occasions
        for speech_s in (2.0, 3.0, 5.0)
    ]


def test_sentence_and_table_have_the_ranges(capsys: pytest.CaptureFixture[str]) -> None:
    show_prediction(rates(SAME_OCCASION, OTHER_OCCASION), "Zoë [x]", PolicyConfig(), num_takes=3)
    shown = capsys.readouterr().out
    assert "of Zoë [x]'s utterances with 3 s of speech" in shown
    assert "25 to 88 % today at this place and 25 to 88 % later" in shown
    assert [line.split()[0] for line in shown.splitlines()[2:5]] == ["2", "3", "5"]
    assert "8 of 10 speakers" in shown


def test_a_range_of_one_figure_is_that_figure(capsys: pytest.CaptureFixture[str]) -> None:
    sure = replace(rates(SAME_OCCASION)[1], low=0.996, high=1.0)
    show_prediction([sure], "Zoë", PolicyConfig(), num_takes=3)
    assert "speech, 100 % today at this place will be" in capsys.readouterr().out


def test_without_other_days_the_same_room_and_day_only_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_prediction(rates(SAME_OCCASION), "anna", PolicyConfig(), num_takes=1)
    shown = capsys.readouterr().out
    assert "same room and day only" in shown
    assert "single take" in shown
    assert "other days" not in shown.splitlines()[1]


def test_where_nothing_is_known_nothing_is_foretold(capsys: pytest.CaptureFixture[str]) -> None:
    show_prediction([], "anna", PolicyConfig(), num_takes=3)
    assert "no prediction" in capsys.readouterr().out
    assert prediction_plain([], PolicyConfig()) is None


def test_without_a_calibration_that_is_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    show_prediction([], "anna", PolicyConfig(), num_takes=3, is_calibrated=False)
    shown = capsys.readouterr().out
    assert "this encoder has no calibration, so every decision will be inconclusive" in shown
    assert "`voiceguard calibrate DIR`" in shown


def test_json_names_occasion_length_and_rate() -> None:
    plain = prediction_plain(rates(SAME_OCCASION), PolicyConfig(p_fa=0.005))
    assert plain is not None
    assert plain["p_fa"] == 0.005
    assert plain["accepted"][0] == {
        "occasion": "same session",
        "speech_s": 2.0,
        "low": 0.25,
        "expected": 0.6,
        "high": 0.875,
    }
