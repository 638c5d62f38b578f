"""Changed voices: pitch and formants go where they were sent."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.fakes import tone
from voiceguard.lab.training.speech.voices import bent, changed_voice, coloured, stretched
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


def as_batch(*voices: Samples) -> torch.Tensor:
    return torch.from_numpy(np.stack(voices))


def syllables(low_hz: float, high_hz: float, rate_hz: float, pitch_hz: float = 100.0) -> Samples:
    """A voice whose one formant goes up and down between two places."""
    time_s = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    share = 0.5 + 0.5 * np.sin(2 * np.pi * rate_hz * time_s)
    low, high = vowel(pitch_hz, low_hz), vowel(pitch_hz, high_hz)
    return ((1 - share) * low + share * high).astype(np.float32)


def test_equal_knots_are_one_factor() -> None:
    voices = as_batch(vowel(100.0, 1500.0), vowel(130.0, 800.0))
    factors = torch.tensor([0.85, 1.1])

    by_knots = bent(voices, factors.log()[:, None].expand(-1, 5))

    torch.testing.assert_close(by_knots, stretched(voices, factors), rtol=0, atol=1e-5)


def test_each_formant_has_a_factor_of_its_own() -> None:
    voices = as_batch(vowel(100.0, 1000.0), vowel(100.0, 6000.0))
    knots = torch.tensor([-0.2, -0.2, 0.0, 0.15, 0.15]).expand(2, -1)

    low, high = bent(voices, knots).numpy()

    assert envelope_peak_hz(low) < envelope_peak_hz(voices[0].numpy()) - 100
    assert envelope_peak_hz(high) > envelope_peak_hz(voices[1].numpy()) + 300
    assert peak_hz(low) % 100 == pytest.approx(0, abs=2)


def test_a_coloured_voice_varies_as_the_other_and_keeps_its_pitch() -> None:
    still = as_batch(syllables(1200.0, 1400.0, 3.0, 130.0))
    lively = as_batch(syllables(700.0, 2500.0, 4.0))

    nothing = coloured(still, lively, torch.zeros(1))
    half, whole = (coloured(still, lively, torch.full((1,), share)) for share in (0.5, 1.0))

    def spread(voice: torch.Tensor) -> float:
        moments = voice[0].unfold(0, 1600, 1600).numpy()
        return float(np.std([envelope_peak_hz(each) for each in moments]))

    torch.testing.assert_close(nothing, still, rtol=0, atol=1e-4)
    assert spread(still) < spread(half) < spread(whole)
    assert peak_hz(whole[0].numpy()) % 130 == pytest.approx(0, abs=3)


def test_silence_is_coloured_and_bent_to_silence() -> None:
    silence = torch.zeros(2, 16_000)

    assert not coloured(silence, as_batch(*2 * [vowel(100, 900)[:16_000]]), torch.ones(2)).any()
    assert torch.isfinite(coloured(silence + 0.1, silence, torch.ones(2))).all()
    assert not bent(silence, torch.full((2, 5), 0.2)).any()
