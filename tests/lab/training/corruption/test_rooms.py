"""Rooms and recordings: decay, alignment, splits, what is left out."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tests.lab.evaluation.voices import write_wav
from voiceguard.errors import UsageError, VoiceguardError, install_command
from voiceguard.lab.training.corruption.rooms import (
    DIRECT_TAP,
    ROOM_TAPS,
    load_noises,
    load_rooms,
    reverberated,
    simulate_rooms,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voiceguard.types import Samples


def response(direct: int, num_samples: int = 3000) -> Samples:
    """A pulse, and a decaying tail behind it."""
    taps = np.zeros(num_samples, dtype=np.float32)
    tail = np.random.default_rng(1).standard_normal(num_samples - direct) * 0.05
    taps[direct:] = tail * np.exp(-np.arange(num_samples - direct) / 400)
    taps[direct] = 0.8
    return taps


def rt60_s(taps: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
    """From Schroeder's integral, -5 to -25 dB."""
    decay_db = 10 * np.log10(np.cumsum(taps[::-1].astype(np.float64) ** 2)[::-1] + 1e-20)
    decay_db -= decay_db[0]
    first, last = (int(np.argmax(decay_db < level)) for level in (-5, -25))
    return 3 * (last - first) / 16_000


def test_simulated_rooms_are_aligned_varied_and_of_unit_energy() -> None:
    pytest.importorskip("pyroomacoustics")
    rooms = simulate_rooms(12, np.random.default_rng(1))
    assert rooms.shape == (12, ROOM_TAPS)
    assert rooms.dtype == torch.float32
    assert torch.allclose(rooms.square().sum(dim=1), torch.ones(12), atol=1e-4)
    # The direct path is the first arrival: hardly anything precedes it.
    assert rooms[:, : DIRECT_TAP - 20].abs().max() < 0.05 * rooms.abs().max()
    assert (rooms[:, DIRECT_TAP - 1 : DIRECT_TAP + 2].abs().amax(dim=1) > 0.02).all()
    decays_s = sorted(rt60_s(taps) for taps in rooms.numpy())
    assert decays_s[0] > 0.05
    assert decays_s[-1] < 1.0
    assert decays_s[-1] > 2 * decays_s[0]


def test_halls_sound_longer_than_rooms_and_far_voices_are_in_them() -> None:
    pytest.importorskip("pyroomacoustics")
    rooms = simulate_rooms(8, np.random.default_rng(1), hall_share=0.5).numpy()
    decays_s = [rt60_s(taps) for taps in rooms]
    assert min(decays_s[:4]) > 0.6
    assert max(decays_s[:4]) > 2.0
    assert max(decays_s[4:]) < 1.0
    near = rooms[:, : DIRECT_TAP + 40]
    assert np.sum(near**2, axis=1).min() < 0.2  # the rest of the energy is reflections


def test_of_a_long_response_a_short_crop_hears_its_beginning() -> None:
    crop = torch.zeros(1, 800)
    crop[0, 10] = 0.5
    taps = torch.zeros(1, ROOM_TAPS)
    taps[0, DIRECT_TAP] = taps[0, DIRECT_TAP + 500] = taps[0, DIRECT_TAP + 800] = 0.5
    heard = reverberated(crop, taps)
    assert heard.shape == crop.shape
    assert torch.nonzero(heard[0].abs() > 0.01).flatten().tolist() == [10, 510]


def test_simulated_rooms_are_the_same_for_the_same_seed() -> None:
    pytest.importorskip("pyroomacoustics")
    first, again, other = (simulate_rooms(2, np.random.default_rng(n)) for n in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_simulating_without_the_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    with pytest.raises(VoiceguardError, match="pyroomacoustics") as caught:
        simulate_rooms(1, np.random.default_rng(1))
    assert install_command("pyroomacoustics") in caught.value.hint


def test_a_room_neither_delays_a_voice_nor_changes_its_energy() -> None:
    pulses = torch.zeros(2, 8000)
    pulses[0, 1000] = 0.5
    pulses[1, 3] = 0.25
    taps = torch.zeros(2, ROOM_TAPS)
    taps[:, DIRECT_TAP : DIRECT_TAP + 3000] = torch.from_numpy(response(0))
    heard = reverberated(pulses, taps)
    assert heard.abs().argmax(dim=1).tolist() == [1000, 3]
    assert torch.allclose(heard.square().sum(dim=1), pulses.square().sum(dim=1), rtol=1e-4)
    assert heard[0, 1001:].abs().max() > 0
    assert heard[0, :999].abs().max() < 1e-6


@pytest.mark.parametrize("direct", [0, 20, DIRECT_TAP, 700])
def test_measured_rooms_have_their_direct_path_where_it_is_asked_for(
    tmp_path: Path, direct: int
) -> None:
    write_wav(tmp_path / "hall.wav", response(direct))
    rooms, skips = load_rooms(tmp_path)
    assert rooms.shape == (1, ROOM_TAPS)
    assert int(rooms.abs().argmax()) == DIRECT_TAP
    assert rooms.square().sum().item() == pytest.approx(1.0, abs=1e-4)
    assert skips == ()


def test_long_rooms_are_cut(tmp_path: Path) -> None:
    write_wav(tmp_path / "church.wav", response(100, num_samples=40_000))
    assert load_rooms(tmp_path)[0].shape == (1, ROOM_TAPS)


def test_rooms_beside_the_noise_are_split_by_the_noises_manifest(tmp_path: Path) -> None:
    write_wav(tmp_path / "rir" / "one.wav", response(10))
    write_wav(tmp_path / "rir" / "two.wav", response(10))
    write_wav(tmp_path / "noise" / "fan.wav", response(0, num_samples=8000))
    (tmp_path / "noise" / "manifest.csv").write_text(
        "path,split\nrir/one.wav,train\nrir/two.wav,eval\nnoise/fan.wav,train\n"
    )
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.csv").write_text("this,is,foreign\n1,2,3\n")
    assert len(load_rooms(tmp_path / "rir", split="train")[0]) == 1
    assert len(load_rooms(tmp_path / "rir")[0]) == 2
    noises, music, _ = load_noises(tmp_path / "noise", split="train")
    assert (len(noises), len(music)) == (1, 0)


def test_music_is_told_from_noise_by_its_name(tmp_path: Path) -> None:
    sound = response(0, num_samples=8000)
    for name in ("fan.wav", "Music-01.wav", "music/waltz.wav"):
        write_wav(tmp_path / name, sound)
    noises, music, skips = load_noises(tmp_path)
    assert (len(noises), len(music), skips) == (1, 2, ())
    assert noises[0].shape == (8000,)
    assert torch.allclose(noises[0], torch.from_numpy(sound), atol=1e-4)


def test_one_click_above_full_scale_does_not_silence_the_rest(tmp_path: Path) -> None:
    """As in a recording that a resampler spoilt: 60 dB above full scale for 3 ms."""
    sound = response(0, num_samples=8000)
    sound[4000:4048] = 900.0
    content = sound.tobytes()
    layout = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + len(content),
        b"WAVE",
        b"fmt ",
        16,
        3,
        1,
        16_000,
        64_000,
        4,
        32,
        b"data",
        len(content),
    )
    (tmp_path / "set.wav").write_bytes(layout + content)
    noises, _, _ = load_noises(tmp_path)
    assert noises[0].max() == 1.0
    assert torch.allclose(noises[0][:4000], torch.from_numpy(sound[:4000]), atol=1e-4)


def test_what_cannot_be_used_is_skipped_by_name(tmp_path: Path) -> None:
    write_wav(tmp_path / "fan.wav", response(0, num_samples=8000))
    write_wav(tmp_path / "short.wav", response(0, num_samples=1000))
    write_wav(tmp_path / "silent.wav", np.zeros(8000, dtype=np.float32))
    (tmp_path / "text.wav").write_text("not audio")
    noises, _, skips = load_noises(tmp_path)
    assert len(noises) == 1
    reasons = {skip.path.name: skip.reason for skip in skips}
    assert reasons.keys() == {"short.wav", "silent.wav", "text.wav"}
    assert reasons["short.wav"] == "shorter than 0.2 s"
    assert reasons["silent.wav"] == "silent"


@pytest.mark.parametrize("load", [load_rooms, load_noises])
def test_nothing_usable_is_an_error_that_names_the_folder(
    tmp_path: Path, load: Callable[[Path], object]
) -> None:
    (tmp_path / "text.wav").write_text("not audio")
    with pytest.raises(UsageError, match=str(tmp_path)):
        load(tmp_path)
