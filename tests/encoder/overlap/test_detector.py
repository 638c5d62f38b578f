"""The network without torch against torch; and the shipped one, on the demo's voices."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tests.encoder.overlap.made_network import SHAPE, made_network, made_weights
from tests.recordings import STRANGERS, TAKES
from voiceguard.audio.files import load_audio
from voiceguard.encoder import golden
from voiceguard.encoder.overlap.config import OverlapConfig
from voiceguard.encoder.overlap.detector import NetworkDetector, pieces
from voiceguard.encoder.overlap.loading import load_overlap
from voiceguard.encoder.overlap.spectrogram import spectrogram
from voiceguard.encoder.overlap.weights import PATH, read_weights
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path


def test_it_says_what_torch_says(tmp_path: Path) -> None:
    network = made_network()
    detector = NetworkDetector(made_weights(tmp_path, network))
    for seconds in (1.0, 2.37, 4.0):
        samples = golden.signal(seconds)
        with torch.inference_mode():
            given = network.spectrogram(torch.from_numpy(samples)[None])
            expected, _ = network(given)
        assert np.abs(spectrogram(samples, SHAPE) - given[0].numpy()).max() < 1e-4
        assert detector.score(samples) == pytest.approx(float(expected[0]), abs=2e-2)


def test_what_is_long_is_heard_in_pieces_and_none_of_it_is_left_out() -> None:
    for num in (16_000, 64_000, 64_001, 150_000, 320_000):
        samples = np.arange(num, dtype=np.float32)
        found = list(pieces(samples))
        assert all(len(piece) == min(num, 64_000) for piece in found)
        assert (found[0][0], found[-1][-1]) == (0, num - 1)
        starts = [piece[0] for piece in found]
        assert max(np.diff(starts), default=0) <= 32_000


def test_one_piece_with_two_voices_is_enough(tmp_path: Path) -> None:
    detector = NetworkDetector(made_weights(tmp_path, made_network()))
    samples = golden.signal(11.0)
    assert detector.score(samples) == max(detector.score(piece) for piece in pieces(samples))


def test_what_is_too_short_has_one_voice(tmp_path: Path) -> None:
    weights = replace(made_weights(tmp_path, made_network()), threshold=-1e9)
    assert NetworkDetector(weights).hears_two(golden.signal(1.0))
    assert not NetworkDetector(weights).hears_two(golden.signal(0.9))


def test_what_is_no_number_is_an_error_never_one_voice(tmp_path: Path) -> None:
    weights = made_weights(tmp_path, made_network())
    spoilt = {**weights.arrays, "head.bias": np.full(3, np.nan, dtype=np.float32)}
    with pytest.raises(EncoderError, match="no number"):
        NetworkDetector(replace(weights, arrays=spoilt)).hears_two(golden.signal(2.0))


def test_a_damaged_or_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "it.safetensors"
    with pytest.raises(EncoderError, match="cannot be read"):
        read_weights(path)
    path.write_bytes(PATH.read_bytes()[:-1])
    with pytest.raises(EncoderError, match="is damaged"):
        read_weights(path)


# --- the shipped one ----------------------------------------------------------------------------


def test_it_is_not_loaded_where_it_is_off() -> None:
    assert load_overlap(OverlapConfig(detector="off")) is None
    with pytest.raises(ValueError, match="detector must be on or off"):
        OverlapConfig(detector="auto")  # type: ignore[arg-type]


def test_two_people_at_once_are_told_from_each_of_them() -> None:
    detector = load_overlap(OverlapConfig())
    assert detector is not None
    owner = load_audio(TAKES[1])
    for file in STRANGERS[1:]:
        stranger = np.resize(load_audio(file), len(owner))
        level = np.sqrt(np.mean(owner**2) / np.mean(stranger**2))
        assert detector.hears_two(owner + level * stranger)
        assert not detector.hears_two(stranger)
    assert not detector.hears_two(owner)
