"""Crops of stated net length, room tone and noise at stated levels."""

from __future__ import annotations

import numpy as np
import pytest

from tests.fakes import quiet, tone
from tests.lab.evaluation.voices import make_kit
from voiceguard.lab.corpora.clips import (
    LEAD_SAMPLES,
    TRAIL_SAMPLES,
    Clip,
    Speech,
    add_noise,
    in_a_room,
    join,
    nested,
    seeded,
    speech_of,
    speech_rms,
)
from voiceguard.types import SAMPLE_RATE_HZ, Samples


def spoken(*parts: Samples, seed: int = 0) -> Speech:
    return speech_of(np.concatenate(parts), make_kit().make_gate(), seeded(seed))


def test_silence_around_and_between_is_cut_away() -> None:
    speech = spoken(quiet(1), tone(440, 2), quiet(2), tone(440, 1), quiet(1))
    assert speech.net_s == pytest.approx(3.0, abs=0.4)
    assert len(speech.samples) / SAMPLE_RATE_HZ == pytest.approx(3.0, abs=0.6)
    assert speech.quiet_rms == pytest.approx(1e-4, rel=0.5)


def test_a_loud_room_is_not_taken_for_speech() -> None:
    """The gate is new and takes the room tone before the recording for speech; nobody said it."""
    fan = 0.02
    speech = spoken(quiet(1, level=fan), tone(440, 2) + quiet(2, level=fan), quiet(1, level=fan))
    assert speech.net_s == pytest.approx(2.0, abs=0.3)


def test_silence_has_no_speech() -> None:
    assert spoken(quiet(2)).net_s == 0


def test_crops_have_the_net_length_asked_for_and_begin_at_the_same_places() -> None:
    speech = join([spoken(quiet(1), tone(440, 4), quiet(1)) for _ in range(2)])
    places = list(nested(speech, (1.0, 2.0, 3.0), max_places=5))
    assert len(places) == 2
    for by_length in places:
        for length_s, crop in by_length.items():
            assert crop.net_s == pytest.approx(length_s)
            longest = by_length[3.0].samples
            np.testing.assert_array_equal(crop.samples, longest[: len(crop.samples)])
    assert len(list(nested(speech, (1.0, 2.0, 3.0), max_places=1))) == 1


def test_speech_shorter_than_the_longest_crop_is_cut_to_the_others_where_that_is_wanted() -> None:
    speech = spoken(quiet(1), tone(440, 2.5), quiet(1))
    assert list(nested(speech, (1.0, 2.0, 5.0), max_places=3)) == []
    (crops,) = nested(speech, (1.0, 2.0, 5.0), max_places=3, shorten=True)
    assert [*crops] == [1.0, 2.0]
    assert list(nested(speech, (4.0, 5.0), max_places=3, shorten=True)) == []


def test_the_room_is_as_quiet_as_it_was() -> None:
    clip = in_a_room(tone(440, 1), 0.003, seeded(1))
    before, after = clip.samples[:LEAD_SAMPLES], clip.samples[-TRAIL_SAMPLES:]
    assert np.std(before) == pytest.approx(0.003, rel=0.05)
    assert np.std(after) == pytest.approx(0.003, rel=0.05)
    assert clip.end_s - clip.start_s == pytest.approx(1.0)
    np.testing.assert_array_equal(clip.samples[LEAD_SAMPLES:-TRAIL_SAMPLES], tone(440, 1))


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_noise_has_the_level_asked_for(snr_db: float) -> None:
    speech = spoken(quiet(1), tone(440, 2), quiet(1))
    silent = Clip(np.zeros(8 * SAMPLE_RATE_HZ, np.float32), 0, 1)
    noise = np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE_HZ).astype(np.float32)
    mixed = add_noise(silent, 0.01, noise, snr_db, seeded(2))
    measured_db = 20 * np.log10(0.01 / np.std(mixed.samples))
    assert measured_db == pytest.approx(snr_db, abs=0.1)
    assert len(mixed.samples) == len(silent.samples)
    assert speech_rms(speech) == pytest.approx(np.sqrt(np.mean(tone(440, 2) ** 2)), rel=0.2)


def test_a_mixture_is_turned_down_rather_than_clipped() -> None:
    loud = Clip(np.full(SAMPLE_RATE_HZ, 0.9, np.float32), 0, 1)
    mixed = add_noise(loud, 0.9, np.ones(100, np.float32), 0.0, seeded(0))
    np.testing.assert_allclose(mixed.samples, 1.0)
