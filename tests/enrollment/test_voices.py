"""A break between two voices stands out; one voice has none."""

from __future__ import annotations

import numpy as np
import pytest

from tests.fakes import PitchEncoder, tone
from voiceguard.enrollment.voices import STRETCH_S, clearest_break, voice_break

ANNA, BOB = (np.eye(2, dtype=np.float32)[i] for i in (0, 1))


def starts(num: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.arange(num, dtype=np.float64)


def test_one_voice_has_no_break_and_two_have_a_clear_one_wherever_it_is() -> None:
    assert clearest_break(np.stack([ANNA] * 6), starts(6)) == pytest.approx(0, abs=1e-6)
    breaks = [
        clearest_break(np.stack([ANNA] * n + [BOB] * (8 - n)), starts(8)) for n in range(2, 7)
    ]
    assert all(each is not None and each > 0.7 for each in breaks)


def test_a_break_with_more_speech_on_both_sides_is_clearer() -> None:
    short = clearest_break(np.stack([ANNA] * 3 + [BOB] * 3), starts(6))
    long = clearest_break(np.stack([ANNA] * 6 + [BOB] * 6), starts(12))
    assert short is not None
    assert long is not None
    assert long > short


def test_stretches_that_straddle_the_break_belong_to_no_side() -> None:
    mixed = (ANNA + BOB) / np.sqrt(2, dtype=np.float32)
    clear = clearest_break(np.stack([ANNA, ANNA, ANNA, mixed, BOB, BOB, BOB]), starts(7))
    assert clear == pytest.approx((3 * 3 / 6) ** 0.7)


def test_a_short_take_has_no_two_sides() -> None:
    assert voice_break([], PitchEncoder()) is None
    assert voice_break([tone(500.0, STRETCH_S)], PitchEncoder()) is None
    assert voice_break([tone(500.0, 1.0), tone(500.0, 1.0)], PitchEncoder()) is None


def test_the_break_is_found_within_a_segment_and_between_segments() -> None:
    anna, bob = tone(500.0, 4.0), tone(1500.0, 4.0)
    within = voice_break([np.concatenate((anna, bob))], PitchEncoder())
    between = voice_break([anna, bob], PitchEncoder())
    alone = voice_break([np.concatenate((anna, anna))], PitchEncoder())
    assert within is not None
    assert between is not None
    assert alone is not None
    assert min(within, between) > 0.5 > alone
