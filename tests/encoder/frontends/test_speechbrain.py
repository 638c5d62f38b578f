"""SpeechBrain's features, against the formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.encoder.conftest import synthetic_voice
from voiceguard.encoder.card.kinds import read_features, typed
from voiceguard.encoder.frontends.rolling import RollingFeatures
from voiceguard.encoder.frontends.speechbrain import SpeechBrainFbankConfig

VOICE = torch.from_numpy(synthetic_voice(2.0))


def test_features_are_those_of_the_formula() -> None:
    """Frames padded with zeros, triangles as wide right as left, decibels, floor, mean."""
    samples = VOICE[:4800].numpy().astype(np.float64)
    padded = np.pad(samples, 200)
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = np.stack([padded[i : i + 400] * window for i in range(0, 4801, 160)])
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 82) / 2595) - 1)
    left, centres = edges[1:-1] - edges[:-2], edges[1:-1]
    distance = np.abs(np.linspace(0, 8000, 201)[:, None] - centres) / left
    decibels = 10 * np.log10(np.maximum(power @ np.clip(1 - distance, 0, None), 1e-10))
    decibels = np.maximum(decibels, decibels.max() - 80)
    found = SpeechBrainFbankConfig().build()(VOICE[:4800]).numpy()
    assert found.shape == (80, 31)
    np.testing.assert_allclose(found, (decibels - decibels.mean(0)).T, atol=5e-3)


def test_the_floor_is_under_the_loudest_of_the_window_and_not_of_the_stream() -> None:
    """A window's loud end lifts the floor of its quiet start, which is in no other window."""
    front_end = SpeechBrainFbankConfig().build()
    audio = VOICE.clone()
    audio[:16_000] *= 1e-3
    rolling = RollingFeatures(front_end)
    for start, stop in ((0, 16_000), (0, 32_000), (3200, 16_000)):
        found = rolling(audio[start:stop], segment=0, first_sample=start)
        torch.testing.assert_close(found, front_end(audio[start:stop]), atol=1e-3, rtol=1e-4)
    alone, within = (front_end(each)[:, :90] for each in (audio[:16_000], audio))
    lifted = (alone - alone.mean(1, keepdim=True)) - (within - within.mean(1, keepdim=True))
    assert lifted.abs().max() > 5.0, "the loud end must matter, or this shows nothing"


def test_the_version_names_every_parameter() -> None:
    default = SpeechBrainFbankConfig()
    others = [
        SpeechBrainFbankConfig(num_mels=64),
        SpeechBrainFbankConfig(fft_samples=512),
        SpeechBrainFbankConfig(window_samples=320),
        SpeechBrainFbankConfig(min_hz=20.0),
        SpeechBrainFbankConfig(max_hz=7600.0),
        SpeechBrainFbankConfig(top_db=60.0),
    ]
    assert len({config.version for config in (default, *others)}) == 7


def test_parameters_survive_json_and_others_are_refused() -> None:
    config = SpeechBrainFbankConfig(num_mels=64)
    assert read_features(typed(config)) == config
    with pytest.raises(ValueError, match="fbank-0"):
        read_features({**typed(config), "version": "fbank-0"})
    with pytest.raises(ValueError, match="deltas"):
        read_features({**typed(config), "deltas": True})
    for wrong in ({"num_mels": 0}, {"window_samples": 500}, {"min_hz": 9e3}, {"top_db": 0.0}):
        with pytest.raises(ValueError, match="not"):
            SpeechBrainFbankConfig(**wrong)
