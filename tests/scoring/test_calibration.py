"""Scores to LLRs, and the file that is bound to an encoder and a cohort."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scoring.people import ENCODER_ID, make_calibration
from voiceguard.errors import EncoderError
from voiceguard.scoring.calibration import (
    calibration_from_json,
    load_calibration,
    save_calibration,
)
from voiceguard.scoring.tail import fit_tail

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = make_calibration()
WITH_QUALITY = replace(
    PLAIN, slope=0.5, slope_quality=(0.4, 0.02), offset=-2.0, offset_quality=(-0.5, 0.01)
)


def test_llr_by_hand() -> None:
    """Net speech e seconds and 10 dB: q = (1, 10)."""
    llr = WITH_QUALITY.llr(np.array(3.0), float(np.e), 10.0)
    assert llr == pytest.approx((0.5 + 0.4 + 0.2) * 3 - 2 - 0.5 + 0.1)


@given(
    scores=st.lists(st.floats(-100, 100), min_size=2, max_size=20),
    net_speech_s=st.floats(0.1, 100),
    snr_db=st.floats(-50, 80),
)
def test_at_fixed_quality_the_llr_never_falls_with_the_score(
    scores: list[float], net_speech_s: float, snr_db: float
) -> None:
    steep_down = replace(WITH_QUALITY, slope_quality=(-3.0, 0.0))  # would turn negative
    for calibration in (PLAIN, WITH_QUALITY, steep_down):
        llr = calibration.llr(np.sort(scores), net_speech_s, snr_db)
        assert (np.diff(llr) >= 0).all()
        assert (np.abs(llr) <= calibration.llr_cap).all()


@pytest.mark.parametrize(
    ("beyond", "edge"),
    [((1e6, 20.0), (np.exp(2.0), 20.0)), ((0.0, 20.0), (np.exp(-1.0), 20.0)),
     ((2.0, np.inf), (2.0, 40.0)), ((2.0, -9.0), (2.0, 0.0))],
)  # fmt: skip
def test_quality_beyond_what_was_fitted_counts_as_its_edge(
    beyond: tuple[float, float], edge: tuple[float, float]
) -> None:
    score = np.array([1.0, 4.0])
    assert WITH_QUALITY.llr(score, *beyond) == pytest.approx(WITH_QUALITY.llr(score, *edge))


def test_nan_in_the_score_or_the_quality_stays_nan() -> None:
    for calibration in (PLAIN, WITH_QUALITY):
        assert np.isnan(calibration.llr(np.array(np.nan), 2.0, 20.0))
        assert np.isnan(calibration.llr(np.array(3.0), np.nan, 20.0))
        assert np.isnan(calibration.llr(np.array(3.0), 2.0, np.nan))


def test_many_trials_at_once_equal_one_at_a_time() -> None:
    score, speech_s, snr_db = np.array([1.0, 2.0]), np.array([1.0, 3.0]), np.array([5.0, 25.0])
    together = WITH_QUALITY.llr(score, speech_s, snr_db)
    for i in range(2):
        alone = WITH_QUALITY.llr(score[i], float(speech_s[i]), float(snr_db[i]))
        assert alone == pytest.approx(together[i])


@given(a=st.floats(1e-7, 0.9), b=st.floats(1e-7, 0.9))
def test_stricter_rates_move_the_thresholds_outwards(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert PLAIN.threshold_for(low).llr >= PLAIN.threshold_for(high).llr
    assert PLAIN.threshold_for_miss(low).llr <= PLAIN.threshold_for_miss(high).llr


def test_where_the_data_is_thin_thresholds_are_the_tails_and_say_so() -> None:
    light = np.random.default_rng(0).uniform(-5.0, -1.0, 300)
    tail = fit_tail(light, condition="clean", num_independent=300)
    calibration = replace(PLAIN, nontarget_tails=(tail,), target_tails=(tail,))
    assert calibration.threshold_for(1e-5) == tail.threshold(1e-5)
    assert calibration.threshold_for(1e-5).extrapolated
    assert calibration.threshold_for(0.02).llr < 0
    miss = calibration.threshold_for_miss(1e-3)
    assert miss.extrapolated
    assert miss.llr == pytest.approx(-tail.threshold(1e-3).llr)


@given(scores=st.lists(st.floats(-100, 100), min_size=2, max_size=20))
def test_doubt_bounds_low_llrs_and_leaves_their_order(scores: list[float]) -> None:
    doubtful = replace(PLAIN, doubt=0.02)
    rising = np.sort(scores)
    llr, plain = doubtful.llr(rising, 2.0, 20.0), PLAIN.llr(rising, 2.0, 20.0)
    assert (np.diff(llr) >= 0).all()
    assert (llr >= np.log(0.02) - 1e-9).all()
    assert (np.abs(llr - plain)[plain > 0] < 0.021).all()
    assert np.isnan(doubtful.llr(np.array(np.nan), 2.0, 20.0))


def test_json_keeps_everything() -> None:
    calibration = replace(WITH_QUALITY, cohort_id="c0", change_cosine=0.25)
    assert calibration_from_json(calibration.to_json()) == calibration


def test_a_file_is_bound_to_its_encoder_and_cohort(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    calibration = replace(PLAIN, cohort_id="c0")
    save_calibration(calibration, path)
    assert load_calibration(path, encoder_id=ENCODER_ID, cohort_id="c0") == calibration
    with pytest.raises(EncoderError, match="fitted to encoder"):
        load_calibration(path, encoder_id="other", cohort_id="c0")
    for cohort_id in ("c1", None):
        with pytest.raises(EncoderError, match="fitted to cohort c0"):
            load_calibration(path, encoder_id=ENCODER_ID, cohort_id=cohort_id)


def corrupted(change: dict[str, Any]) -> str:
    return json.dumps({**json.loads(PLAIN.to_json()), **change})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        PLAIN.to_json()[:-40],
        corrupted({"format": "voiceguard-calibration-9"}),
        corrupted({"slope": -1.0}),
        corrupted({"slope": float("nan")}),
        corrupted({"slope": "steep"}),
        corrupted({"llr_cap": 0}),
        corrupted({"doubt": 1.0}),
        corrupted({"quality_range": [[0, 1]]}),
        corrupted({"quality_range": [[1, 0], [0, 1]]}),
        corrupted({"slope_quality": [1]}),
        corrupted({"nontarget_tails": []}),
        corrupted({"nontarget_tails": [{"condition": "clean"}]}),
        corrupted({"provenance": {}}),
        corrupted({"surprise": 1}),
        corrupted({"change_cosine": 3}),
        corrupted({"slope": 1}).replace('"slope": 1,', '"slope": 1e400,'),
        corrupted({"llr_cap": 1}).replace('"llr_cap": 1,', f'"llr_cap": {"9" * 5000},'),
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_refused_with_what_to_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EncoderError, match="damaged") as refused:
        load_calibration(path, encoder_id=ENCODER_ID, cohort_id=None)
    assert refused.value.hint


@pytest.mark.parametrize(
    "change",
    [
        {"rates": []},
        {"rates": [0.1, 0.2]},
        {"scale": -1.0},
        {"start_rate": 0.0},
        {"num_independent": 0},
        {"start": float("inf")},
    ],
)
def test_a_tail_that_makes_no_sense_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    tail = {**json.loads(PLAIN.to_json())["nontarget_tails"][0], **change}
    path = tmp_path / "c.json"
    path.write_text(corrupted({"nontarget_tails": [tail]}), encoding="utf-8")
    with pytest.raises(EncoderError, match=r"tail 'clean'|Infinity is not a number"):
        load_calibration(path, encoder_id=ENCODER_ID, cohort_id=None)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="does not exist"):
        load_calibration(tmp_path / "none", encoder_id=ENCODER_ID, cohort_id=None)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "bytes", tmp_path):
        with pytest.raises(EncoderError, match="damaged"):
            load_calibration(path, encoder_id=ENCODER_ID, cohort_id=None)
