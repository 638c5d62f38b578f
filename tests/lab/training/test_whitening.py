"""The last turn: within-voice variation is evened out, and folding equals multiplying."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from voiceguard.encoder.networks.ecapa_config import EcapaTdnnConfig
from voiceguard.encoder.networks.ecapa_tdnn import EcapaTdnn
from voiceguard.lab.training.whitening import fold, within_voice_transform


def voices(num_voices: int = 40, crops: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Voices on a sphere, which vary a lot in the first direction and little in the others."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((num_voices, 6))
    spread = np.array([1.5, 0.2, 0.2, 0.2, 0.2, 0.2])
    noise = rng.standard_normal((num_voices, crops, 6)) * spread
    embeddings = (centres[:, None] + noise).reshape(-1, 6).astype(np.float32)
    return embeddings, np.repeat(np.arange(num_voices), crops)


def separation(x: np.ndarray, labels: np.ndarray) -> float:
    """Mean cosine within voices minus between them."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosine = unit @ unit.T
    same = labels[:, None] == labels[None, :]
    np.fill_diagonal(same, val=False)
    other = labels[:, None] != labels[None, :]
    return float(cosine[same].mean() - cosine[other].mean())


def test_it_separates_voices_better() -> None:
    x, labels = voices()
    matrix = within_voice_transform(x, labels, 1.0)

    assert separation(x @ matrix.T, labels) > separation(x, labels) + 0.1


def test_without_strength_directions_stay() -> None:
    x, labels = voices()

    matrix = within_voice_transform(x, labels, 0.0)

    np.testing.assert_allclose(matrix, np.eye(6), atol=1e-9)


def test_folded_into_the_network_it_is_the_same_as_afterwards() -> None:
    torch.manual_seed(0)
    network = EcapaTdnn(EcapaTdnnConfig(channels=(8, 8, 8, 8, 24), embedding_dim=6)).eval()
    features = torch.randn(3, 80, 60)
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((6, 6))
    with torch.no_grad():
        expected = network(features).numpy() @ matrix.T
        fold(network, matrix)
        found = network(features).numpy()

    assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)
