"""Weights that were written are what the next run begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tests.encoder.overlap.made_network import made_network, made_weights
from tests.lab.training.overlap.test_course import learner
from tests.lab.training.overlap.test_teaching import Nothing, mixer
from voiceguard.encoder.overlap.detector import NetworkDetector
from voiceguard.encoder.overlap.weights import read_weights
from voiceguard.errors import UsageError
from voiceguard.lab.training.overlap.initial import read_initial
from voiceguard.lab.training.overlap.weights import folded

if TYPE_CHECKING:
    from pathlib import Path


def test_it_says_what_the_file_says_alone_and_nearly_so_while_it_learns(tmp_path: Path) -> None:
    made_weights(tmp_path, made_network())
    path = tmp_path / "overlap.safetensors"
    weights, sha256 = read_initial(path)
    assert read_weights(path, sha256).threshold == weights.threshold
    one = learner()
    one.begin_with(weights)
    for name, tensor in folded(one.average).items():
        assert np.allclose(tensor, weights.arrays[name], atol=1e-5), name

    samples = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    spectrogram = one.average.spectrogram(torch.from_numpy(samples).unsqueeze(0))
    said = float(one.average(spectrogram)[0].detach())
    assert said == pytest.approx(NetworkDetector(weights).score(samples), abs=1e-3)
    pieces = mixer(Nothing).draw(40, 25_600, np.random.default_rng(1))
    spectrogram = one.average.spectrogram(pieces.samples)
    alone = one.average(spectrogram)[0].detach()
    in_batch = one.average.train()(spectrogram)[0].detach()
    assert float((alone - in_batch).std()) < 0.5 * float(alone.std())


def test_what_is_no_network_is_not_begun_with(tmp_path: Path) -> None:
    (tmp_path / "noise.safetensors").write_bytes(b"hiss" * 100)
    for name in ("noise.safetensors", "nothing.safetensors"):
        with pytest.raises(UsageError, match=name) as caught:
            read_initial(tmp_path / name)
        assert "--init" in caught.value.hint
