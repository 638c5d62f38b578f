"""What a microphone adds to a voice moves nothing: an offset, its polarity, its level, zeros."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.services import needs_shared
from tests.speech.vad import sounds
from voiceguard.speech.conditioning import LEVEL_FRAMES, OffsetRemover, level_gain
from voiceguard.speech.ear import Ear
from voiceguard.speech.gate import SpeechGate, speech_segments
from voiceguard.speech.vad import VadConfig, make_vad
from voiceguard.speech.windows import WindowCutter
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples, Window

if TYPE_CHECKING:
    from voiceguard.speech.ear import Heard

ROOM_DB = -70


def scene() -> Samples:
    """A sentence in a room, that has as much head room as the gains below need."""
    reading = sounds.at_level(sounds.reading(seconds=4), -32)
    room = sounds.noise("pink", 7, ROOM_DB)
    room[2 * SAMPLE_RATE_HZ :][: len(reading)] += reading
    return room


def hear(samples: Samples, backend: str) -> list[Heard]:
    assert backend in {"cascade", "energy"}
    vad = make_vad(VadConfig(backend="cascade" if backend == "cascade" else "energy"))
    return list(Ear(SpeechGate(vad), WindowCutter()).hear(samples))


def assert_the_same(found: list[Heard], expected: list[Heard], sign: float = 1.0) -> None:
    """The same windows, to the rounding of single precision, and the same figures of them."""
    assert [type(each) for each in found] == [type(each) for each in expected]
    assert any(isinstance(each, Window) for each in expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.first_sample == theirs.first_sample
        assert mine.net_speech_s == theirs.net_speech_s
        assert mine.snr_db == pytest.approx(theirs.snr_db, abs=0.01)
        if isinstance(mine, Window) and isinstance(theirs, Window):
            np.testing.assert_allclose(sign * mine.samples, theirs.samples, atol=1e-5)


@needs_shared
@settings(max_examples=8, deadline=None)
@given(
    offset=st.floats(-0.25, 0.25),
    gain_db=st.floats(-15, 12),
    sign=st.sampled_from([1.0, -1.0]),
)
def test_offset_polarity_and_level_move_neither_windows_nor_figures(
    offset: float, gain_db: float, sign: float
) -> None:
    audio = scene()
    changed = (sign * 10 ** (gain_db / 20) * audio + offset).astype(np.float32)
    assert_the_same(hear(changed, "cascade"), hear(audio, "cascade"), sign)


@needs_shared
def test_enrollment_hears_them_at_the_same_level() -> None:
    audio = scene()
    quiet = (audio / 4 + np.float32(0.05)).astype(np.float32)
    pairs = zip(speech_segments(quiet, make_vad()), speech_segments(audio, make_vad()), strict=True)
    for mine, theirs in pairs:
        np.testing.assert_allclose(mine.samples, theirs.samples, atol=1e-5)


@needs_shared
@pytest.mark.parametrize("backend", ["cascade", "energy"])
@pytest.mark.parametrize("seconds", [0.25, 3.0])
def test_digital_silence_around_a_recording_is_not_its_room(backend: str, seconds: float) -> None:
    audio = scene()
    zeros = np.zeros(round(seconds * SAMPLE_RATE_HZ), dtype=np.float32)
    padded = hear(np.concatenate((zeros, audio, zeros)), backend)
    plain = hear(audio, backend)
    for mine, theirs in zip(padded, plain, strict=True):
        assert mine.snr_db == pytest.approx(theirs.snr_db, abs=1.0)
        assert mine.net_speech_s == pytest.approx(theirs.net_speech_s, abs=0.1)


@settings(max_examples=50, deadline=None)
@given(lengths=st.lists(st.integers(1, 3000), min_size=1, max_size=20), offset=st.floats(-0.5, 0.5))
def test_however_it_is_cut_the_offset_is_the_same(lengths: list[int], offset: float) -> None:
    audio = (sounds.noise("white", 1, -30) + np.float32(offset)).astype(np.float32)
    whole = OffsetRemover().push(audio)
    remover = OffsetRemover()
    pieces = np.split(audio, np.minimum(np.cumsum(lengths), len(audio)))
    np.testing.assert_array_equal(np.concatenate([remover.push(each) for each in pieces]), whole)
    assert abs(np.mean(whole)) < 1e-3


def test_frames_of_equal_samples_are_zeros_and_say_nothing_about_the_offset() -> None:
    noise = sounds.noise("white", 1, -30)
    constant = np.full(10 * FRAME_SAMPLES, 0.1, dtype=np.float32)
    found = OffsetRemover().push(np.concatenate((constant, noise, constant)))
    assert not found[: len(constant)].any()
    assert not found[-len(constant) :].any()
    np.testing.assert_array_equal(
        found[len(constant) : -len(constant)], OffsetRemover().push(noise)
    )


def test_a_segments_level_is_that_of_its_first_speech() -> None:
    assert level_gain([0.25] * LEVEL_FRAMES + [9.0]) == pytest.approx(10 ** (-26 / 20) / 0.5)
    assert np.isfinite(level_gain([]))
