"""The features of numpy are torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from voiceguard.encoder import golden
from voiceguard.encoder.frontends.arrays import array_front_end
from voiceguard.encoder.frontends.kaldi_config import KaldiFbankConfig
from voiceguard.encoder.frontends.log_mel_config import LogMelConfig
from voiceguard.encoder.frontends.speechbrain import SpeechBrainFbankConfig

CONFIGS = [
    LogMelConfig(),
    LogMelConfig(num_mels=24, fft_samples=1024, window_samples=800, floor=1e-5),
    KaldiFbankConfig(),
    KaldiFbankConfig(num_bands=40, window="hamming", sample_scale=32768.0, subtract_mean=False),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.version)
def test_they_are_the_twins_to_rounding(config: LogMelConfig | KaldiFbankConfig) -> None:
    ours, twin = array_front_end(config), config.build()
    assert ours is not None
    noise = np.random.default_rng(3).normal(0, 1e-3, 9_999).astype(np.float32)
    for samples in (golden.signal(3.0), golden.signal(0.5), noise):
        expected = twin(torch.from_numpy(samples)).numpy().T
        found = ours(samples)
        assert found.dtype == np.float32
        # Natural logarithms; a band that holds one bin near its triangle's foot rounds worst.
        np.testing.assert_allclose(found, expected, atol=2e-3)
        assert np.abs(found - expected).mean() < 1e-5


def test_others_have_no_twin() -> None:
    assert array_front_end(SpeechBrainFbankConfig()) is None
