"""Resampler, gate and cutter as one: whatever the cut, the rate or the channels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.fakes import chunks, hears_tones, quiet, tone
from voiceguard.errors import AudioError
from voiceguard.speech.ear import Ear
from voiceguard.speech.gate import SpeechGate
from voiceguard.speech.windows import WindowCutter
from voiceguard.types import AudioChunk, EndCause, SegmentEnd, Window

if TYPE_CHECKING:
    from voiceguard.speech.ear import Heard
    from voiceguard.types import Channel

SCENE = np.concatenate([quiet(0.5), tone(440, 2.5), quiet(1.0), tone(300, 1.0), quiet(0.3)])


def make_ear(channel: Channel = "downmix") -> Ear:
    return Ear(SpeechGate(hears_tones()), WindowCutter(), channel)


def told(heard: list[Heard]) -> list[tuple[object, ...]]:
    """What can be compared of each item."""
    return [
        (item.segment, item.first_sample, item.end_sample, item.snr_db)
        + ((item.cause,) if isinstance(item, SegmentEnd) else (item.samples.tobytes(),))
        for item in heard
    ]


def ends(heard: list[Heard]) -> list[SegmentEnd]:
    return [item for item in heard if isinstance(item, SegmentEnd)]


@given(cuts=st.lists(st.integers(0, len(SCENE)), max_size=8))
@settings(max_examples=25, deadline=None)
def test_a_recording_is_heard_the_same_whatever_the_cut(cuts: list[int]) -> None:
    whole = told(list(make_ear().hear(SCENE)))
    ear, heard = make_ear(), []
    for part in np.split(SCENE, sorted(cuts)):
        heard += list(ear.push(part))
    assert told([*heard, *ear.finish()]) == whole
    assert len(whole) > 5


@pytest.mark.parametrize("rate_hz", [8_000, 44_100])
def test_any_rate_and_any_channels_are_heard_at_the_same_times(rate_hz: int) -> None:
    times_s = np.arange(round(len(SCENE) / 16_000 * rate_hz)) / rate_hz
    there = np.interp(times_s, np.arange(len(SCENE)) / 16_000, SCENE).astype(np.float32)
    stereo = np.stack([np.zeros_like(there), there], axis=1)
    ear = make_ear(channel=1)
    found = ends([*ear.push(stereo, rate_hz), *ear.finish()])
    expected = ends(list(make_ear().hear(SCENE)))
    for one, other in zip(found, expected, strict=True):
        assert one.first_sample == pytest.approx(other.first_sample, abs=480)
        assert one.end_sample == pytest.approx(other.end_sample, abs=1_600)


def test_a_channel_that_is_not_there_is_an_error() -> None:
    with pytest.raises(AudioError, match="channel 2"):
        list(make_ear(channel=2).push(np.zeros((160, 2), dtype=np.float32)))


def test_a_chunk_follows_at_the_same_rate_and_without_a_gap() -> None:
    ear, (first, second) = make_ear(), chunks(tone(440, 1.0), block_s=0.5)
    assert ear.follows(first)
    list(ear.push(first.samples, first.rate_hz))
    assert ear.follows(second)
    assert not ear.follows(replace(second, after_gap=True))
    assert not ear.follows(replace(second, rate_hz=48_000))
    list(ear.gap())
    assert ear.follows(replace(second, rate_hz=48_000))


def test_a_gap_ends_the_segment_and_the_timeline_goes_on_where_the_next_chunk_is() -> None:
    """Also at another rate, with what the resampler still held belonging to the time before."""
    ear = make_ear()
    heard = list(ear.push(np.concatenate([quiet(0.5), tone(440, 1.0)])))
    next_chunk = AudioChunk(
        samples=np.repeat(np.concatenate([quiet(0.5), tone(440, 1.0)]), 2)[:, None],
        rate_hz=32_000,
        first_sample=5 * 32_000,
        delivered_at_s=0.0,
    )
    heard += list(ear.gap(before=next_chunk))
    heard += [*ear.push(next_chunk.samples, next_chunk.rate_hz), *ear.finish()]
    before, after = ends(heard)
    assert (before.cause, after.cause) == (EndCause.GAP, EndCause.END_OF_STREAM)
    assert before.end_sample <= 1.5 * 16_000
    assert after.first_sample == pytest.approx((5.5 - 0.2) * 16_000, abs=480)  # pre-roll


def test_what_is_no_number_is_silence_and_counted() -> None:
    samples = SCENE.copy()
    samples[::5_000] = np.nan
    ear = make_ear()
    heard = list(ear.hear(samples))
    assert ear.num_not_finite == len(samples[::5_000])
    assert all(np.isfinite(item.samples).all() for item in heard if isinstance(item, Window))


def test_a_microphone_whose_level_is_far_too_low_is_named_once() -> None:
    """Speech at -66 dB has five bits of sixteen left; at -40 dB all is well."""
    for level_db, is_soft in ((-66.0, True), (-40.0, False)):
        level = 10 ** (level_db / 20)
        voice = [tone(440, 2.5, level=level, seed=seed) for seed in (1, 2)]
        room = np.zeros(24_000, dtype=np.float32)
        ear = make_ear()
        with capture_logs() as logs:
            heard = list(ear.hear(np.concatenate([room, voice[0], room, voice[1], room])))
        assert len(ends(heard)) == 2
        assert ear.speech_is_soft == is_soft
        assert [log["event"] for log in logs] == ["speech_too_soft"] * is_soft
