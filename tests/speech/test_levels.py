"""What is no number, and what speech is over noise; levels themselves: test_gate.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceguard.speech.levels import LevelMeter, NoiseMeter, sanitise, snr_db
from voiceguard.types import FRAME_SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.types import Samples


def test_what_is_not_a_number_becomes_zero_and_is_counted() -> None:
    bad = np.array([0.5, np.nan, np.inf, -np.inf, -0.25], dtype=np.float32)
    clean, num_replaced = sanitise(bad)
    np.testing.assert_array_equal(clean, [0.5, 0, 0, 0, -0.25])
    assert clean.dtype == np.float32
    assert num_replaced == 3
    same, none_replaced = sanitise(clean)
    assert same is clean
    assert none_replaced == 0


def test_numbers_too_large_to_have_a_level_are_cut_off() -> None:
    """They are finite, but their power is not."""
    clean, num_replaced = sanitise(np.array([1e30, -0.5, -1e30], dtype=np.float32))
    np.testing.assert_array_equal(clean, [1, -0.5, -1])
    assert num_replaced == 0


@pytest.mark.parametrize("dc", [0.0, 0.3])
def test_the_first_frame_is_as_loud_as_the_room(dc: float) -> None:
    """Measured against zeros it was quieter by decibels, or, with an offset, as loud as a word."""
    deviations_db = []
    for seed in range(200):
        noise = 0.001 * np.random.default_rng(seed).standard_normal(20 * FRAME_SAMPLES)
        powers = LevelMeter(low_hz=300, high_hz=4000).push((noise + dc).astype(np.float32))
        deviations_db.append(10 * np.log10(powers[0] / powers.mean()))
    assert np.median(deviations_db) == pytest.approx(0, abs=1.0)
    assert np.quantile(deviations_db, 0.99) < 5


@pytest.mark.parametrize("length", [1, 50, FRAME_SAMPLES - 1, FRAME_SAMPLES, 3 * FRAME_SAMPLES + 7])
def test_powers_are_the_same_whichever_way_the_input_is_cut(length: int) -> None:
    samples = np.random.default_rng(3).standard_normal(9 * FRAME_SAMPLES).astype(np.float32)
    whole, cut = LevelMeter(low_hz=300, high_hz=4000), LevelMeter(low_hz=300, high_hz=4000)
    parts = [cut.push(samples[at : at + length]) for at in range(0, len(samples), length)]
    np.testing.assert_array_equal(np.concatenate(parts), whole.push(samples))


def _snr_db(samples: Samples, is_speech: NDArray[np.bool_]) -> float:
    meter, noise = LevelMeter(low_hz=100, high_hz=7600), NoiseMeter()
    powers = meter.push(samples)
    marked = zip(powers.tolist(), is_speech.tolist(), strict=True)
    noises = np.array([noise.push(power, is_speech=mark) for power, mark in marked])
    return snr_db(float(powers[is_speech].mean()), float(noises[is_speech].mean()))


def _talk(seed: int) -> tuple[Samples, NDArray[np.bool_]]:
    """Bursts over a noise, a pause after each."""
    rng = np.random.default_rng(seed)
    is_speech = np.tile(np.repeat([False, True], [40, 60]), 4)
    loud = np.repeat(np.where(is_speech, 0.05, 0.0), FRAME_SAMPLES)
    audio = (0.01 + loud) * rng.standard_normal(len(loud))
    return audio.astype(np.float32), is_speech


@given(
    seed=st.integers(0, 99), gain=st.sampled_from([-1.0, 0.1, -0.3, 4.0]), dc=st.floats(-0.3, 0.3)
)
@settings(max_examples=25, deadline=None)
def test_polarity_level_and_dc_do_not_move_the_ratio(seed: int, gain: float, dc: float) -> None:
    audio, is_speech = _talk(seed)
    altered = (np.float32(gain) * audio + np.float32(dc)).astype(np.float32)
    # The first frame has the step from nothing to DC in it, and is one of many pauses.
    assert _snr_db(altered, is_speech) == pytest.approx(_snr_db(audio, is_speech), abs=0.15)


@given(seed=st.integers(0, 99), num_zeros=st.integers(1, 200), at=st.sampled_from([0, 20, 130]))
@settings(max_examples=25, deadline=None)
def test_digital_silence_in_pauses_does_not_move_the_ratio(
    seed: int, num_zeros: int, at: int
) -> None:
    """Wherever it is, and whether it begins within a frame or between two."""
    audio, is_speech = _talk(seed)
    start = at * FRAME_SAMPLES - (num_zeros % 7) * (at > 0)
    zeros = np.zeros(num_zeros * FRAME_SAMPLES, dtype=np.float32)
    padded = np.concatenate((audio[:start], zeros, audio[start:]))
    marks = np.concatenate((is_speech[:at], np.zeros(num_zeros, dtype=bool), is_speech[at:]))
    assert _snr_db(padded, marks) == pytest.approx(_snr_db(audio, is_speech), abs=0.5)


def test_where_a_gate_leaves_nothing_between_the_words_the_ratio_is_not_that_to_zeros() -> None:
    audio, is_speech = _talk(1)
    gated = (audio * np.repeat(is_speech, FRAME_SAMPLES)).astype(np.float32)
    assert _snr_db(gated, is_speech) < 20.0
