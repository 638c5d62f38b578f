"""Mixtures are what their labels say, and a network learns from them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tests.encoder.overlap.made_network import SHAPE, made_network, made_weights
from tests.fakes import tone
from voiceguard.encoder.overlap.spectrogram import HOP_SAMPLES
from voiceguard.encoder.overlap.weights import read_weights
from voiceguard.errors import UsageError
from voiceguard.lab.training.corruption.recordings import Recordings
from voiceguard.lab.training.overlap.__main__ import main
from voiceguard.lab.training.overlap.learning import Learner, Recipe
from voiceguard.lab.training.overlap.mixing import Mixer, truth
from voiceguard.lab.training.overlap.surroundings import Surroundings, coloured, sounding
from voiceguard.lab.training.overlap.weights import set_threshold
from voiceguard.lab.training.speech.circles import Circles
from voiceguard.lab.training.speech.material import Passage, to_pcm

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

CPU = torch.device("cpu")
NUM_VOICES = 8


class Nothing(Surroundings):
    """Nothing befalls a piece."""

    def in_a_room(self, first: Tensor, second: Tensor, rng: np.random.Generator) -> Tensor:
        del rng
        return first + second

    def background(self, mixed: Tensor, *_: object) -> Tensor:
        return mixed

    def channel(self, mixed: Tensor, rng: np.random.Generator) -> Tensor:
        del rng
        return mixed


def mixer(kind: type[Surroundings] = Surroundings) -> Mixer:
    """Of tones, two rooms and hiss."""
    passages = [
        Passage(f"s{number}", "tones", to_pcm(tone(200.0 + 130 * number, 3.0, seed=number)))
        for number in range(NUM_VOICES)
    ]
    hiss = np.random.default_rng(0).normal(0, 0.1, 20_000).astype(np.float32)
    decay = torch.exp(-torch.arange(8000) / torch.tensor([[400.0], [2000.0]]))
    recorded = Recordings([torch.from_numpy(hiss)], CPU)
    surroundings = kind([recorded, recorded], decay / decay.norm(dim=1, keepdim=True), recorded)
    circles = Circles(passages, [passage.speaker for passage in passages])
    return Mixer(circles, surroundings, num_windows=NUM_VOICES)


def test_the_same_draws_give_the_same_pieces_and_all_are_sound() -> None:
    first, second = (mixer().draw(24, 25_600, np.random.default_rng(3)) for _ in range(2))
    # Not to the last bit: a transform may round otherwise where its memory is aligned otherwise.
    assert torch.allclose(first.samples, second.samples, rtol=0, atol=1e-5)
    assert torch.isfinite(first.samples).all()
    assert (first.samples.abs().amax(dim=1) > 0.01).all()
    assert first.samples.shape == (24, 25_600)
    assert first.hops.shape == (24, 25_600 // HOP_SAMPLES)


def test_overlap_is_two_voices_in_the_hops_that_say_so() -> None:
    pieces = mixer(Nothing).draw(40, 25_600, np.random.default_rng(4))
    overlaps, sure = pieces.is_overlap > 0, pieces.weights > 0
    assert 0.35 < float(pieces.is_overlap.mean()) < 0.55
    assert (pieces.hops[~overlaps].mean(dim=1) < 0.05).all()
    assert (pieces.hops[overlaps & sure].mean(dim=1) >= 0.15).all()
    assert sure[~overlaps].all()
    assert sure[overlaps].float().mean() > 0.5


def test_a_masked_voice_is_neither_one_nor_two() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (1, 3200)).astype(np.float32)
    voice = torch.from_numpy(noise)
    for gain_db, expected in ((0, (1, 1)), (-12, (1, 1)), (-20, (0, 0)), (-30, (0, 1))):
        hops, weights = truth(voice, voice * 10 ** (gain_db / 20))
        assert (float(hops.mean()), float(weights.mean())) == expected, gain_db
    hops, weights = truth(voice, torch.zeros_like(voice))
    assert (float(hops.mean()), float(weights.mean())) == (0, 1)


def test_a_microphones_curve_is_what_it_says() -> None:
    pulse = torch.zeros(1, 1600)
    pulse[0, 800] = 1.0
    heard = torch.fft.rfft(coloured(pulse, torch.tensor([[0.0, 20.0, 0.0]]))).abs()[0]
    assert heard[[0, 400, 800]].tolist() == pytest.approx([1.0, 10.0, 1.0], rel=1e-3)


def test_rooms_are_ordered_by_how_long_they_sound() -> None:
    decay = torch.exp(-torch.arange(4000) / torch.tensor([[300.0], [30.0]]))
    long, short = sounding(decay)
    assert long > 5 * short


def test_it_learns(tmp_path: Path) -> None:
    """Whether there are two tones, after a few steps; and the file is what was learnt."""
    recipe = Recipe(num_steps=16, batch_s=30.0, learning_rate=0.02, warmup_steps=2)
    learner = Learner(SHAPE, recipe, mixer(Nothing), CPU)
    losses = [learner.step() for _ in range(recipe.num_steps)]
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    assert not learner.average.training
    assert made_weights(tmp_path, learner.average).shape == SHAPE


def test_a_threshold_is_written_into_the_file(tmp_path: Path) -> None:
    before = made_weights(tmp_path, made_network())
    path = tmp_path / "overlap.safetensors"
    after = read_weights(path, set_threshold(path, 2.5))
    assert (after.threshold, after.shape, after.trained_on) == (2.5, SHAPE, before.trained_on)
    assert all(np.array_equal(after.arrays[name], each) for name, each in before.arrays.items())


@pytest.mark.parametrize("content", [None, b"", b"no weights of ours, whatever else it is"])
def test_no_threshold_is_written_into_anything_else(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "overlap.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"no threshold can be written into .*overlap"):
        set_threshold(path, 2.5)
    assert content is None or path.read_bytes() == content


def test_the_recipe_says_what_it_needs_and_which_hash_to_pin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made_weights(tmp_path, made_network())
    path = tmp_path / "overlap.safetensors"
    monkeypatch.setattr(sys, "argv", ["overlap", "--out", str(path)])
    with pytest.raises(SystemExit):
        main()
    assert "speech, noise and rooms are needed" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--threshold", "3"])
    assert main() == 0
    assert read_weights(path, capsys.readouterr().out.split()[1]).threshold == 3


def test_what_is_not_there_is_named_before_anything_is_taught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "nothing")
    for out, named in ((tmp_path / "nowhere/o.safetensors", "nowhere"), (tmp_path / "o", missing)):
        monkeypatch.setattr(sys, "argv", ["overlap", missing, missing, missing, "--out", str(out)])
        assert main() == 2
        assert named in capsys.readouterr().err
