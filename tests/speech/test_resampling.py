"""Any rate and any channels become mono 16 kHz, in place and in time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceguard.errors import AudioError
from voiceguard.speech.mixing import to_mono
from voiceguard.speech.resampling import StreamResampler, position_at_16_khz

RATES_HZ = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000)


@given(data=st.data(), rate_hz=st.sampled_from(RATES_HZ))
@settings(max_examples=40, deadline=None)
def test_the_output_does_not_depend_on_how_the_input_was_cut(
    data: st.DataObject, rate_hz: int
) -> None:
    rng = np.random.default_rng(3)
    samples = rng.standard_normal(rate_hz // 2).astype(np.float32)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(samples)), max_size=12)))
    whole = StreamResampler(rate_hz)
    expected = np.concatenate([whole.push(samples), whole.flush()])
    cut = StreamResampler(rate_hz)
    parts = [cut.push(part) for part in np.split(samples, cuts)]
    np.testing.assert_allclose(np.concatenate([*parts, cut.flush()]), expected, atol=1e-6)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_nothing_is_shifted_and_no_sample_is_missing(rate_hz: int) -> None:
    time_s = np.arange(rate_hz) / rate_hz
    click = np.exp(-(((time_s - 0.25) / 0.001) ** 2)).astype(np.float32)
    resampler = StreamResampler(rate_hz)
    output = np.concatenate([resampler.push(click), resampler.flush()])
    assert len(output) == 16_000
    assert int(np.argmax(output)) == 4_000
    assert output.max() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("num_samples", [441, 44_100, 100_000, 44_101, 44_123])
def test_the_length_is_the_rounded_one(num_samples: int) -> None:
    resampler = StreamResampler(44_100)
    samples = np.ones(num_samples, dtype=np.float32)
    output = np.concatenate([resampler.push(samples), resampler.flush()])
    assert len(output) == position_at_16_khz(num_samples, 44_100)


def test_after_a_flush_another_stretch_begins_untouched_by_the_last() -> None:
    rng = np.random.default_rng(5)
    samples = rng.standard_normal(48_000).astype(np.float32)
    used = StreamResampler(48_000)
    used.push(rng.standard_normal(10_007).astype(np.float32))
    used.flush()
    fresh = StreamResampler(48_000)
    np.testing.assert_array_equal(used.push(samples), fresh.push(samples))


def test_what_16_khz_cannot_hold_is_filtered_out_not_folded_down() -> None:
    time_s = np.arange(48_000) / 48_000
    resampler = StreamResampler(48_000)
    too_high = np.sin(2 * np.pi * 11_000 * time_s).astype(np.float32)
    output = np.concatenate([resampler.push(too_high), resampler.flush()])
    assert float(np.sqrt(np.mean(output[400:-400] ** 2))) < 1e-3


def test_16_khz_passes_untouched_and_at_once() -> None:
    samples = np.arange(7, dtype=np.float32)
    assert StreamResampler(16_000).push(samples) is samples


def test_a_channel_is_picked_or_all_are_averaged() -> None:
    stereo = np.array([[0.5, -0.5], [1.0, 0.0]], dtype=np.float32)
    np.testing.assert_array_equal(to_mono(stereo, "downmix"), [0.0, 0.5])
    np.testing.assert_array_equal(to_mono(stereo, 1), [-0.5, 0.0])
    picked = to_mono(stereo, 0)
    assert picked.dtype == np.float32
    assert picked.flags.c_contiguous
    with pytest.raises(AudioError, match="channel 2"):
        to_mono(stereo, 2)


def test_positions_convert_to_the_nearest_sample() -> None:
    assert position_at_16_khz(44_100 * 3, 44_100) == 48_000
    assert position_at_16_khz(1, 8_000) == 2
    assert position_at_16_khz(2, 48_000) == 1
