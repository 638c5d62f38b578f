"""Music that the energy gate lets in is left out where a detector of speech is at hand."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.enrollment.speaking import ANNA_HZ, BOB_HZ, LIMITS, NOW, take_judge, voice
from tests.fakes import hears_tones, quiet, tone
from tests.recordings import TAKES
from voiceguard.audio.files import load_audio
from voiceguard.enrollment import Problem, Takes, describe
from voiceguard.scoring.limits import NO_LIMITS
from voiceguard.speech.vad import VadConfig, make_take_vad
from voiceguard.speech.vad.cascade import REACH_FRAMES, CascadeVad
from voiceguard.types import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples

if TYPE_CHECKING:
    from voiceguard.protocols import VoiceActivityDetector

needs_silero = pytest.mark.skipif(
    importlib.util.find_spec("silero_vad") is None, reason="the extra silero is not installed"
)


class Knows:
    """Hears speech where the latest clear tone was Bob's."""

    enter_score = 0.5
    exit_score = 0.35
    left_out_s = 0.0

    def __init__(self) -> None:
        self._score = 0.0

    def push(self, samples: Samples) -> list[float]:
        scores = []
        for frame in samples.reshape(-1, FRAME_SAMPLES):
            spectrum = np.abs(np.fft.rfft(frame))
            anna, bob = (spectrum[round(hz / 100)] for hz in (ANNA_HZ, BOB_HZ))
            if max(anna, bob) > 5:
                self._score = float(bob > anna)
            scores.append(self._score)
        return scores

    def finish(self) -> list[float]:
        return []

    def take_clear(self, _first: int, _end: int) -> int | None:
        return None

    def reset(self) -> None:
        self._score = 0.0


def knows_bob() -> CascadeVad:
    return CascadeVad(hears_tones(), Knows())


def in_between() -> Samples:
    """Anna, a second of Bob, and Anna again."""
    parts = (tone(ANNA_HZ, 2.0), tone(BOB_HZ, 1.0), tone(ANNA_HZ, 3.0))
    return np.concatenate((quiet(0.3), *parts, quiet(0.3, seed=2)))


def melody(seconds: float, *, level: float = 0.1) -> Samples:
    """Chords that change twice a second and fade: swings like speech."""
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    notes = np.array([262, 294, 330, 392, 440])[(t * 2).astype(int) * 3 % 5]
    fading = np.exp(-6 * (t * 2 % 1))
    chord = sum(np.sin(2 * np.pi * notes * part * t) for part in (1, 1.25, 1.5, 2)) * fading
    hiss = 1e-3 * np.random.default_rng(1).standard_normal(len(t))
    samples: Samples = (level * chord + hiss).astype(np.float32)
    return samples


def test_what_is_left_out_is_counted() -> None:
    report = take_judge(NO_LIMITS, knows_bob).assess(in_between())
    alone = take_judge(NO_LIMITS).assess(in_between())
    assert 0.9 <= report.net_speech_s <= 1.0 + 2 * REACH_FRAMES * FRAME_S
    assert report.net_speech_s + report.left_out_s == pytest.approx(alone.net_speech_s, abs=0.3)
    assert f"{report.left_out_s:.1f} s of music or noise left out" in describe(
        replace(report, problems=())
    )
    assert Problem.TOO_NOISY in report.problems, "what is no speech is the noise beside it"


def test_a_take_of_nothing_but_music_is_refused_as_such() -> None:
    report = take_judge(NO_LIMITS, knows_bob).assess(voice(6.0))
    assert report.problems == (Problem.NOT_SPEECH,)
    assert "music" in describe(report)


def test_silence_stays_silence_and_a_word_too_short() -> None:
    for samples, problem in (
        (quiet(3.0), Problem.SILENCE),
        (voice(0.6, pitch_hz=BOB_HZ), Problem.TOO_SHORT),
    ):
        report = take_judge(NO_LIMITS, knows_bob).assess(samples)
        assert problem in report.problems


def test_any_length_and_what_is_not_finite_are_borne() -> None:
    for num_samples in (0, 1, 159, 16_001):
        broken = np.full(num_samples, np.nan, dtype=np.float32)
        report = take_judge(NO_LIMITS, knows_bob).assess(broken)
        assert report.problems == (Problem.SILENCE,)


@needs_silero
def test_silero_refuses_music_and_keeps_speech() -> None:
    ignorant, knowing = take_judge(NO_LIMITS), take_judge(NO_LIMITS, hears_speech)
    takes = Takes(take_judge(LIMITS, hears_speech))
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


def hears_speech() -> VoiceActivityDetector:
    return make_take_vad(VadConfig(backend="energy"))
