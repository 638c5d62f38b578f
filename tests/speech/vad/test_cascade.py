"""The cascade: what the trigger opens, the judge decides about, and nothing waits long."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.services import needs_shared
from tests.speech.vad import sounds
from voiceguard.speech.gate import SpeechGate
from voiceguard.speech.vad import VadConfig, make_vad
from voiceguard.speech.vad.cascade import (
    HOLD_FRAMES,
    LEAD_FRAMES,
    MAX_WAIT_FRAMES,
    MIN_RUN_FRAMES,
    REACH_FRAMES,
    CascadeVad,
)
from voiceguard.types import FRAME_SAMPLES, Samples, SpeechEnd

NOISE, SPEECH = -0.5, 0.5
"""Of frames that the trigger hears; the judge takes those above zero for speech."""


class Sign:
    """Judges a frame by the sign of its first sample; remembers what it was given."""

    enter_score = exit_score = 0.5
    left_out_s = 0.0

    def __init__(self) -> None:
        self.num_heard = 0

    def push(self, samples: Samples) -> list[float]:
        assert len(samples) % FRAME_SAMPLES == 0
        self.num_heard += len(samples) // FRAME_SAMPLES
        return [float(np.sign(score)) for score in samples[::FRAME_SAMPLES]]

    def finish(self) -> list[float]:
        return []

    def take_clear(self, _first: int, _end: int) -> int | None:
        return None

    def reset(self) -> None:
        pass


class Trigger(Sign):
    """Hears whatever is not zero, in blocks of any size."""

    enter_score = exit_score = 0.2

    def __init__(self) -> None:
        super().__init__()
        self._kept = np.empty(0, dtype=np.float32)

    def push(self, samples: Samples) -> list[float]:
        self._kept = np.concatenate((self._kept, samples))
        end = len(self._kept) // FRAME_SAMPLES * FRAME_SAMPLES
        scores = [abs(score) for score in super().push(self._kept[:end])]
        self._kept = self._kept[end:]
        return scores


def frames(*stretches: tuple[float, int]) -> Samples:
    """Levels, each with a number of frames."""
    return np.concatenate(
        [np.full(num * FRAME_SAMPLES, level, dtype=np.float32) for level, num in stretches]
    )


def cascade() -> CascadeVad:
    return CascadeVad(Trigger(), Sign())


def spoken(scores: list[float]) -> list[int]:
    return [i for i, score in enumerate(scores) if score >= 0.2]


def test_speech_reaches_beyond_what_the_judge_hears_and_noise_is_left_out() -> None:
    vad = cascade()
    audio = frames((0, 50), (NOISE, 100), (SPEECH, 100), (NOISE, 100), (0, 200))
    heard = spoken(vad.push(audio))
    assert (heard[0], heard[-1]) == (150 - REACH_FRAMES, 249 + REACH_FRAMES)
    assert heard == list(range(heard[0], heard[-1] + 1))
    assert vad.left_out_s == pytest.approx((200 - 2 * REACH_FRAMES) / 100)


def test_a_short_run_reaches_half_its_length_and_a_shorter_one_is_nothing() -> None:
    for run, reach in ((MIN_RUN_FRAMES, MIN_RUN_FRAMES // 2), (MIN_RUN_FRAMES - 1, None)):
        audio = frames((0, 50), (NOISE, 100), (SPEECH, run), (NOISE, 100), (0, 200))
        assert len(spoken(cascade().push(audio))) == (0 if reach is None else run + 2 * reach)


def test_in_silence_the_judge_hears_nothing() -> None:
    judge = Sign()
    vad = CascadeVad(Trigger(), judge)
    vad.push(frames((0, 1000)))
    assert judge.num_heard == 0
    vad.push(frames((NOISE, 20), (0, 1000)))
    assert judge.num_heard == LEAD_FRAMES + 20 + HOLD_FRAMES


def test_a_pause_after_speech_is_known_at_once() -> None:
    vad = cascade()
    scores = vad.push(frames((0, 50), (SPEECH, 100), (0, 10)))
    assert len(scores) == 160


STRETCHES = st.lists(
    st.tuples(st.sampled_from([0.0, NOISE, SPEECH]), st.integers(1, 90)), min_size=1, max_size=12
)


@settings(deadline=None)
@given(stretches=STRETCHES, lengths=st.lists(st.integers(1, 9000), min_size=1, max_size=20))
def test_however_it_is_cut_the_scores_are_the_same_and_none_waits_longer_than_said(
    stretches: list[tuple[float, int]], lengths: list[int]
) -> None:
    audio = frames(*stretches)
    whole = cascade()
    expected = [*whole.push(audio), *whole.finish()]
    assert len(expected) == len(audio) // FRAME_SAMPLES
    vad, scores, position = cascade(), list[float](), 0
    while position < len(audio):
        length = lengths[position % len(lengths)]
        scores += vad.push(audio[position : position + length])
        position = min(position + length, len(audio))
        assert position // FRAME_SAMPLES - len(scores) <= MAX_WAIT_FRAMES + 1
    assert [*scores, *vad.finish()] == expected
    own = Trigger().push(audio)
    assert all(score in {mine, -math.inf} for score, mine in zip(expected, own, strict=True)), (
        "the trigger's own score, or none"
    )


def test_after_a_gap_nothing_of_before_is_pending() -> None:
    vad = cascade()
    vad.push(frames((0, 50), (NOISE, 10)))
    vad.finish()
    vad.reset()
    assert len(vad.push(frames((0, 30)))) == 30


CASCADE = VadConfig(backend="cascade")


@needs_shared
def test_real_speech_is_heard_and_rain_a_dog_and_music_are_not() -> None:
    pytest.importorskip("onnxruntime")
    for level_db in (-26, -50):
        reading = sounds.at_level(sounds.reading(seconds=10), level_db)
        assert np.mean(sounds.heard(reading, CASCADE)) >= 0.85
    for name in ("rain__1-26222-A", "dog_bark__1-110389-A", "clock_tick__2-127108-A"):
        assert sounds.heard_s(sounds.load(f"noise/esc10-{name}.opus"), CASCADE) == 0.0
    melody = "music_librosa-hungarian_dance_number_5_allegro_in_f_sharp_minor_string_orchestra_hq"
    assert sounds.heard_s(sounds.load(f"noise/{melody}.opus"), CASCADE) < 2


@needs_shared
@pytest.mark.parametrize("gain", [-1.0, 0.5, 2.0])
def test_polarity_and_level_change_no_mark(gain: float) -> None:
    pytest.importorskip("onnxruntime")
    reading = sounds.reading(seconds=6)
    marks = [
        [
            mark
            for event in SpeechGate(make_vad(CASCADE)).push(samples)
            for mark in getattr(event, "is_speech", ())
        ]
        for samples in (reading, np.float32(gain) * reading)
    ]
    assert np.mean(np.array(marks[0]) == np.array(marks[1])) > 0.98 if gain > 0 else True
    if gain == -1.0:
        assert marks[0] == marks[1]


CLEAR, UNCLEAR = (1, 1, -1, -1), (1, -1, 1, -1)
"""Without an offset, which the gate would take out."""


class HalfSure(Sign):
    """Hears whatever begins above zero; is sure of it where the second sample is like the first."""

    def push(self, samples: Samples) -> list[float]:
        super().push(samples)
        first, second = samples[::FRAME_SAMPLES], samples[1::FRAME_SAMPLES]
        scores: list[float] = np.where(first > 0, np.where(second > 0, 0.95, 0.6), 0.0).tolist()
        return scores


def hissing(*stretches: tuple[tuple[int, ...], int]) -> Samples:
    """Patterns, each with a number of frames; then a second of silence."""
    parts = [np.tile(pattern, num * FRAME_SAMPLES // len(pattern)) for pattern, num in stretches]
    return np.concatenate([0.5 * np.concatenate(parts), np.zeros(100 * FRAME_SAMPLES)]).astype(
        np.float32
    )


@pytest.mark.parametrize("block", [FRAME_SAMPLES, 777, 10**6])
def test_the_share_of_clear_speech_is_of_the_segment_that_ends(block: int) -> None:
    """However the input is cut; of two segments each has its own."""
    heard = np.concatenate((hissing((UNCLEAR, 40), (CLEAR, 40)), hissing((CLEAR, 60))))
    gate = SpeechGate(CascadeVad(Trigger(), HalfSure()))
    events = [
        event
        for start in range(0, len(heard), block)
        for event in gate.push(heard[start : start + block])
    ]
    shares = [event.clear_share for event in events if isinstance(event, SpeechEnd)]
    assert shares == [0.5, 1.0]


def test_nothing_is_said_of_clear_speech_where_no_model_listens_or_it_goes_on() -> None:
    for vad, num_frames in ((Trigger(), 100), (CascadeVad(Trigger(), HalfSure()), 1100)):
        gate = SpeechGate(vad)
        events = gate.push(hissing((UNCLEAR, num_frames)))
        assert next(event for event in events if isinstance(event, SpeechEnd)).clear_share is None
