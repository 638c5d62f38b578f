"""A take is judged by itself and among the others, and told what is wrong with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.enrollment.speaking import ANNA_HZ, BOB_HZ, NOW, no_takes, take_judge, voice
from tests.fakes import FakeOverlap, quiet
from voiceguard.enrollment import Problem, TakeReport, describe
from voiceguard.scoring.limits import NO_LIMITS

if TYPE_CHECKING:
    from voiceguard.types import Samples


def assess(samples: Samples) -> TakeReport:
    return take_judge().assess(samples)


# --- one take -------------------------------------------------------------------------------


def test_a_good_take_is_usable_and_its_speech_is_measured() -> None:
    report = assess(voice(4.0))
    assert report.problems == ()
    assert 2.0 < report.net_speech_s <= 4.5
    assert report.snr_db > 20
    assert report.embedding is not None
    assert np.linalg.norm(report.embedding) == pytest.approx(1.0, abs=1e-5)
    assert "s of speech" in describe(report)


@pytest.mark.parametrize("num_samples", [0, 100, 80_000])
def test_silence_is_silence(num_samples: int) -> None:
    report = assess(np.zeros(num_samples, dtype=np.float32))
    assert report.problems == (Problem.SILENCE,)
    assert report.embedding is None
    assert "microphone" in describe(report)


@pytest.mark.parametrize("level", [1e-3, 1e-2, 0.1])
def test_steady_noise_is_no_take(level: float) -> None:
    noise = level * np.random.default_rng(3).standard_normal(6 * 16_000)
    report = assess(noise.astype(np.float32))
    assert not report.is_usable


def test_one_word_is_too_short() -> None:
    report = assess(voice(0.6))
    assert Problem.TOO_SHORT in report.problems
    assert f"{report.net_speech_s:.1f} s" in describe(report)


def test_clipping_is_noticed_with_how_much_of_it() -> None:
    report = assess(np.clip(voice(4.0, level=1.5), -1.0, 1.0))
    assert report.problems == (Problem.CLIPPED,)
    assert f"{100 * report.clipped_fraction:.1f} %" in describe(report)


def test_a_loud_room_is_too_noisy() -> None:
    report = assess(voice(4.0) + quiet(4.6, level=0.05))
    assert Problem.TOO_NOISY in report.problems


def test_two_voices_in_one_take_are_noticed() -> None:
    both = np.concatenate((voice(4.0, pitch_hz=ANNA_HZ), voice(4.0, pitch_hz=BOB_HZ)))
    report = assess(both)
    assert report.problems == (Problem.MORE_THAN_ONE_VOICE,)
    assert "speak alone" in describe(report)


def test_two_voices_at_once_in_one_take_are_noticed() -> None:
    detector = FakeOverlap()
    report = take_judge(overlap=detector).assess(voice(4.0))
    assert report.problems == (Problem.MORE_THAN_ONE_VOICE,)
    detector.answer = False
    assert take_judge(overlap=detector).assess(voice(4.0)).is_usable


def test_an_encoder_without_limits_compares_nothing() -> None:
    both = np.concatenate((voice(4.0, pitch_hz=ANNA_HZ), voice(4.0, pitch_hz=BOB_HZ)))
    judge = take_judge(NO_LIMITS)
    report = judge.assess(both)
    assert (report.problems, report.voice_break) == ((), None)
    other = judge.assess(voice(4.0, pitch_hz=BOB_HZ))
    anna = judge.assess(voice(4.0, pitch_hz=ANNA_HZ))
    assert all(each.is_usable for each in judge.compare([anna, other]))


# --- takes among each other -----------------------------------------------------------------


def test_another_persons_take_is_found_whichever_came_first() -> None:
    takes = [
        voice(4.0, pitch_hz=BOB_HZ),
        voice(4.0, pitch_hz=ANNA_HZ, seed=1),
        voice(4.0, pitch_hz=ANNA_HZ, seed=2),
    ]
    collected = no_takes()
    first, second, third = (collected.add(take, recorded_at=NOW) for take in takes)
    assert first.is_usable
    assert second.problems == (Problem.DOES_NOT_MATCH,), "so far nobody knows who is right"
    assert third.is_usable
    assert [report.problems for report in collected.reports] == [
        (Problem.DOES_NOT_MATCH,),
        (),
        (),
    ]
    assert "cosine" in describe(collected.reports[0])


def test_a_wrong_take_does_not_lower_what_the_right_ones_agree() -> None:
    voices = ((ANNA_HZ, 1), (ANNA_HZ, 2), (BOB_HZ, 3))
    right, also_right, wrong = (assess(voice(4.0, pitch_hz=hz, seed=seed)) for hz, seed in voices)
    alone = take_judge().compare([right, also_right])
    among = take_judge().compare([right, also_right, wrong])
    assert [each.agreement for each in among[:2]] == [each.agreement for each in alone]
    assert among[2].problems == (Problem.DOES_NOT_MATCH,)


def test_without_a_majority_nobody_is_believed() -> None:
    takes = [assess(voice(4.0, pitch_hz=hz, seed=i)) for i, hz in enumerate((ANNA_HZ, BOB_HZ) * 2)]
    assert all(
        report.problems == (Problem.DOES_NOT_MATCH,) for report in take_judge().compare(takes)
    )


def test_a_take_with_a_fault_of_its_own_is_no_measure_for_the_others() -> None:
    takes = [assess(voice(4.0)), assess(np.zeros(16_000, dtype=np.float32))]
    good, silent = take_judge().compare(takes)
    assert good.is_usable
    assert good.agreement is None
    assert silent.problems == (Problem.SILENCE,)


@settings(max_examples=40)
@given(st.permutations([0, 1, 2, 3, 4]))
def test_the_order_of_the_takes_does_not_matter(order: list[int]) -> None:
    rng = np.random.default_rng(7)
    vectors = rng.standard_normal((5, 16)) + 1.0
    base = assess(np.zeros(0, dtype=np.float32))
    reports = [
        replace(base, problems=(), embedding=(v / np.linalg.norm(v)).astype(np.float32))
        for v in vectors
    ]
    straight = take_judge(NO_LIMITS).compare(reports)
    shuffled = take_judge(NO_LIMITS).compare([reports[i] for i in order])
    assert [r.agreement for r in shuffled] == pytest.approx([straight[i].agreement for i in order])
