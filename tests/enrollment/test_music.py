"""Music that the energy gate lets in is left out where a detector of speech is at hand."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from tests.enrollment.speaking import LIMITS, NOW, take_judge, voice
from tests.fakes import quiet
from tests.recordings import TAKES
from voiceguard.audio.files import load_audio
from voiceguard.enrollment import Problem, Takes, describe
from voiceguard.enrollment.music import REACH_FRAMES, ConfirmedVad
from voiceguard.scoring.limits import NO_LIMITS
from voiceguard.speech.vad import VadConfig, is_music_heard_as_speech, make_confirming_vad, make_vad
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples

needs_silero = pytest.mark.skipif(
    importlib.util.find_spec("silero_vad") is None, reason="the extra silero is not installed"
)


class Knowing:
    """Hears speech between two times."""

    enter_score = 0.5
    exit_score = 0.35

    def __init__(self, start_s: float, end_s: float) -> None:
        self._frames = range(round(100 * start_s), round(100 * end_s))

    def push(self, samples: Samples) -> list[float]:
        return [float(i in self._frames) for i in range(len(samples) // FRAME_SAMPLES)]

    def reset(self) -> None:
        raise AssertionError


def melody(seconds: float, *, level: float = 0.1) -> Samples:
    """Chords that change twice a second and fade: swings like speech."""
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    notes = np.array([262, 294, 330, 392, 440])[(t * 2).astype(int) * 3 % 5]
    fading = np.exp(-6 * (t * 2 % 1))
    chord = sum(np.sin(2 * np.pi * notes * part * t) for part in (1, 1.25, 1.5, 2)) * fading
    hiss = 1e-3 * np.random.default_rng(1).standard_normal(len(t))
    samples: Samples = (level * chord + hiss).astype(np.float32)
    return samples


def test_frames_near_confirmed_speech_keep_the_gates_own_score() -> None:
    samples = voice(6.0)
    confirmed = ConfirmedVad(make_vad(), Knowing(2.0, 3.0), samples)
    own = make_vad().push(samples)
    scores = confirmed.push(samples)
    kept = [i for i, score in enumerate(scores) if score > -np.inf]
    assert (kept[0], kept[-1]) == (200 - REACH_FRAMES, 299 + REACH_FRAMES)
    assert [scores[i] for i in kept] == [own[i] for i in kept]


def test_what_is_left_out_is_counted() -> None:
    report = take_judge(NO_LIMITS, lambda: Knowing(2.0, 3.0)).assess(voice(6.0))
    alone = take_judge(NO_LIMITS).assess(voice(6.0))
    assert report.net_speech_s + report.left_out_s == pytest.approx(alone.net_speech_s, abs=0.3)
    assert "4.2 s of music or noise left out" in describe(replace(report, problems=()))
    assert Problem.TOO_NOISY in report.problems, "what is no speech is the noise beside it"


def test_a_take_of_nothing_but_music_is_refused_as_such() -> None:
    report = take_judge(NO_LIMITS, lambda: Knowing(0, 0)).assess(voice(6.0))
    assert report.problems == (Problem.NOT_SPEECH,)
    assert "music" in describe(report)


def test_silence_stays_silence_and_a_word_too_short() -> None:
    for samples, problem in ((quiet(3.0), Problem.SILENCE), (voice(0.6), Problem.TOO_SHORT)):
        report = take_judge(NO_LIMITS, lambda: Knowing(0.2, 1.0)).assess(samples)
        assert problem in report.problems


def test_any_length_and_what_is_not_finite_are_borne() -> None:
    for num_samples in (0, 1, 159, 16_001):
        broken = np.full(num_samples, np.nan, dtype=np.float32)
        report = take_judge(NO_LIMITS, lambda: Knowing(0, 1)).assess(broken)
        assert report.problems == (Problem.SILENCE,)


@needs_silero
def test_silero_refuses_music_and_keeps_speech() -> None:
    make = make_confirming_vad()
    assert make is not None
    ignorant, knowing = take_judge(NO_LIMITS), take_judge(NO_LIMITS, make)
    takes = Takes(take_judge(LIMITS, make))
    music = takes.add(np.concatenate((quiet(0.5), melody(6.0))), recorded_at=NOW)
    assert music.problems == (Problem.NOT_SPEECH,)
    speech = load_audio(TAKES[0])
    alone = ignorant.assess(speech)
    kept = knowing.assess(speech)
    assert kept.net_speech_s > 0.9 * alone.net_speech_s
    both = np.concatenate((melody(4.0), quiet(1.0), speech))
    assert ignorant.assess(both).net_speech_s > alone.net_speech_s + 1
    without = knowing.assess(both)
    assert without.net_speech_s == pytest.approx(alone.net_speech_s, abs=0.6)
    assert without.left_out_s > 1


@needs_silero
def test_a_detector_that_knows_speech_needs_no_second_one() -> None:
    assert make_confirming_vad(VadConfig(backend="silero")) is None
    assert not is_music_heard_as_speech(VadConfig(backend="silero"))
    assert not is_music_heard_as_speech()
