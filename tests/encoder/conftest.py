"""Encoders and audio that the tests of this package share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from voiceguard.encoder.loading import load_encoder
from voiceguard.encoder.networks.ecapa_config import EcapaTdnnConfig
from voiceguard.encoder.networks.ecapa_tdnn import EcapaTdnn
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from voiceguard.protocols import Encoder
    from voiceguard.types import Samples


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """The shipped default in torch, on the CPU."""
    return load_encoder("default", device="cpu", runtime="torch")


def synthetic_voice(seconds: float, *, pitch_hz: float = 120.0) -> Samples:
    """A buzz with vibrato, three formants and syllables: the same numbers on every machine."""
    t = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * pitch_hz * (t + 0.004 * np.sin(2 * np.pi * 1.7 * t))
    voice = np.zeros_like(t)
    for harmonic in range(1, 40):
        hz = harmonic * pitch_hz
        gain = sum(
            1 / (1 + ((hz - formant_hz) / width_hz) ** 2)
            for formant_hz, width_hz in ((600.0, 90.0), (1400.0, 120.0), (2600.0, 180.0))
        )
        voice += gain * np.sin(harmonic * phase + harmonic**2)
    voice *= 0.55 - 0.45 * np.cos(2 * np.pi * 3.1 * t)
    return np.asarray(0.3 * voice / np.abs(voice).max(), dtype=np.float32)


def tiny_config(**changes: object) -> EcapaTdnnConfig:
    """A small network for tests of structure."""
    sizes: dict[str, object] = {
        "num_mels": 12,
        "channels": (16, 16, 16, 16, 24),
        "res2net_scale": 4,
        "se_channels": 6,
        "attention_channels": 10,
        "embedding_dim": 8,
    }
    return EcapaTdnnConfig(**{**sizes, **changes})  # type: ignore[arg-type]


def random_network(config: EcapaTdnnConfig, seed: int = 0) -> EcapaTdnn:
    """Random in everything, normalisation included, so that a forgotten step shows."""
    generator = torch.Generator().manual_seed(seed)
    network = EcapaTdnn(config)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.weight.normal_(generator=generator)  # scales may be negative
                module.bias.normal_(generator=generator)
                module.running_mean.normal_(generator=generator)
                module.running_var.uniform_(0.3, 3.0, generator=generator)
            elif isinstance(module, torch.nn.Conv1d | torch.nn.Linear):
                module.weight.normal_(0.0, module.weight[0].numel() ** -0.5, generator=generator)
                assert module.bias is not None
                module.bias.normal_(generator=generator)
    return network.eval()
