"""What noise, rooms and telephones do to speech, and what they leave as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fakes import quiet, tone
from tests.lab.evaluation.voices import write_wav
from voiceguard.lab.corpora.clips import Clip
from voiceguard.lab.corpora.conditions import (
    Clean,
    Noisy,
    NoisyRoom,
    Reverberant,
    Telephone,
    make_conditions,
    reverberated,
    telephoned,
)

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.types import Samples


def clip_of(samples: Samples) -> Clip:
    return Clip(samples, 0.0, len(samples) / 16_000)


def rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def sine(hz: float, seconds: float = 1.0, peak: float = 0.3) -> Samples:
    t = np.arange(int(seconds * 16_000)) / 16_000
    return (peak * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def test_clean_is_untouched() -> None:
    clip = clip_of(tone(500, 1))
    assert Clean().hear(clip, 0.1, np.random.default_rng(0)) is clip


def test_noise_is_as_loud_as_its_name_says(tmp_path: Path) -> None:
    write_wav(tmp_path / "fan.wav", quiet(2, level=0.1))
    speech = sine(500, peak=0.1)  # no sum of it and the noise exceeds full scale
    for snr_db in (10.0, 0.0):
        condition = Noisy(snr_db, [tmp_path / "fan.wav"])
        assert condition.name == f"{snr_db:g} dB"
        heard = condition.hear(clip_of(speech), rms(speech), np.random.default_rng(1))
        added = heard.samples - speech
        assert 20 * np.log10(rms(speech) / rms(added)) == pytest.approx(snr_db, abs=0.1)


def test_an_echo_comes_after_the_direct_sound_at_its_old_place() -> None:
    click = np.zeros(16_000, np.float32)
    click[4_000] = 0.5
    response = np.zeros(6_000, np.float32)
    response[40], response[40 + 1_600] = -0.9, -0.45  # 2.5 ms on the way, an echo 0.1 s later
    heard = reverberated(click, response)
    assert heard.shape == click.shape
    assert int(np.argmax(np.abs(heard))) == 4_000
    assert heard[5_600] / heard[4_000] == pytest.approx(0.5, abs=1e-3)
    assert rms(heard) == pytest.approx(rms(click), rel=1e-4)


def test_what_a_room_adds_beyond_the_end_is_cut_off_and_nothing_wraps_round() -> None:
    click = np.zeros(8_000, np.float32)
    click[7_900] = 0.5
    response = np.zeros(4_000, np.float32)
    response[0], response[1_000] = 1.0, 0.5
    heard = reverberated(click, response)
    assert np.abs(heard[:7_000]).max() < 1e-6


def test_rooms_are_read_from_their_first_channel(tmp_path: Path) -> None:
    room = np.zeros(2_000, np.float32)
    room[0], room[800] = 0.9, 0.5
    write_wav(tmp_path / "room.wav", room)
    clip = Clip(tone(500, 1), 0.2, 0.8)
    heard = Reverberant([tmp_path / "room.wav"]).hear(clip, 0.1, np.random.default_rng(0))
    assert (heard.start_s, heard.end_s) == (0.2, 0.8)
    assert np.abs(heard.samples - clip.samples).max() > 0.01


@pytest.mark.parametrize(("hz", "gain_db"), [(100, -60), (1_000, 0), (3_000, 0), (5_000, -60)])
def test_a_telephone_passes_its_band_only(hz: float, gain_db: float) -> None:
    heard = telephoned(sine(hz))
    gain = 20 * np.log10(max(rms(heard[2_000:-2_000]), 1e-9) / rms(sine(hz)))
    assert gain == pytest.approx(0, abs=0.5) if gain_db == 0 else gain < gain_db


@pytest.mark.parametrize("peak", [0.3, 0.01])
def test_mu_law_rounds_loud_and_quiet_speech_alike(peak: float) -> None:
    heard = telephoned(sine(1_000, peak=peak))[2_000:-2_000]
    error = heard - sine(1_000, peak=peak)[2_000:-2_000]
    snr_db = 20 * np.log10(rms(heard) / rms(error))
    assert 25 < snr_db < 45  # G.711's is about 38 dB


def test_a_telephone_keeps_the_length_even_if_it_is_odd() -> None:
    clip = Telephone().hear(clip_of(sine(500)[:15_999]), 0.1, np.random.default_rng(0))
    assert clip.samples.shape == (15_999,)


def test_in_a_noisy_room_the_noise_is_added_to_what_the_room_leaves(tmp_path: Path) -> None:
    room = np.zeros(2_000, np.float32)
    room[0], room[1_000] = 0.9, 0.5
    write_wav(tmp_path / "room.wav", room)
    write_wav(tmp_path / "fan.wav", quiet(2, level=0.1))
    clip, level = clip_of(sine(500, peak=0.1)), rms(sine(500, peak=0.1))
    condition = NoisyRoom([tmp_path / "fan.wav"], [tmp_path / "room.wav"])
    heard = condition.hear(clip, level, np.random.default_rng(1)).samples
    dry = Reverberant([tmp_path / "room.wav"]).hear(clip, level, np.random.default_rng(1)).samples
    assert 20 * np.log10(level / rms(heard - dry)) == pytest.approx(10, abs=0.1)


def test_conditions_follow_the_material(tmp_path: Path) -> None:
    some = [tmp_path / "a.wav"]
    assert [each.name for each in make_conditions(telephone=False)] == ["clean"]
    assert [each.name for each in make_conditions(some, some)] == [
        "clean", "10 dB", "5 dB", "0 dB", "reverberant", "10 dB reverberant", "telephone",
    ]  # fmt: skip
