"""Changed voices: pitch and formants go where they were sent."""

from __future__ import annotations

import numpy as np
import pytest

from tests.fakes import tone
from voiceguard.lab.training.speech.voices import changed_voice
from voiceguard.types import SAMPLE_RATE_HZ, Samples


def peak_hz(samples: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * SAMPLE_RATE_HZ / len(samples))


def vowel(pitch_hz: float, formant_hz: float) -> Samples:
    """A pulse train through one resonance."""
    time_s = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    harmonics = np.arange(1, int(7000 / pitch_hz))
    weight = 1 / (1 + ((harmonics * pitch_hz - formant_hz) / 150) ** 2)
    waves = np.cos(2 * np.pi * pitch_hz * harmonics[:, None] * time_s)
    summed: Samples = (0.02 * (weight[:, None] * waves).sum(axis=0)).astype(np.float32)
    return summed


def envelope_peak_hz(samples: Samples) -> float:
    """The centre of gravity of the power spectrum."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ)
    return float((power * hz).sum() / power.sum())


def test_speed_moves_pitch_and_shortens() -> None:
    voice = tone(400.0, 2.0)

    faster = changed_voice(voice, speed=1.25, formants=1.0)

    assert peak_hz(faster) == pytest.approx(500, abs=5)
    assert len(faster) == pytest.approx(len(voice) / 1.25, abs=2)
    assert faster.dtype == np.float32


def test_formants_move_alone() -> None:
    voice = vowel(100.0, 1500.0)

    longer_tract = changed_voice(voice, speed=1.0, formants=0.85)

    assert envelope_peak_hz(voice) == pytest.approx(1500, abs=60)
    assert envelope_peak_hz(longer_tract) < 1400
    # The pitch stays: harmonics are still multiples of 100 Hz.
    assert peak_hz(longer_tract) % 100 == pytest.approx(0, abs=2)
    assert len(longer_tract) == len(voice)


def test_factors_of_one_change_nothing() -> None:
    voice = tone(400.0, 1.0)

    assert changed_voice(voice, speed=1.0, formants=1.0) is voice


def test_silence_and_snippets_survive() -> None:
    assert np.isfinite(changed_voice(np.zeros(16_000, np.float32), speed=0.9, formants=1.1)).all()
    assert len(changed_voice(np.ones(300, np.float32), speed=1.0, formants=1.1)) == 300
