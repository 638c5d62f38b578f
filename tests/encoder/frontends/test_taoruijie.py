"""The unofficial implementations' features: log-mel of a pre-emphasised signal."""

from __future__ import annotations

import pytest
import torch

from tests.encoder.conftest import synthetic_voice
from voiceguard.encoder.card.kinds import read_features, typed
from voiceguard.encoder.frontends.log_mel import LogMel
from voiceguard.encoder.frontends.log_mel_config import LogMelConfig
from voiceguard.encoder.frontends.taoruijie import TaoRuijieMelConfig


def test_features_are_log_mel_of_the_pre_emphasised_signal() -> None:
    samples = torch.from_numpy(synthetic_voice(1.0))
    emphasised = samples.clone()
    emphasised[1:] -= 0.97 * samples[:-1]
    emphasised[0] -= 0.97 * samples[1]  # mirrored about the first
    expected = LogMel(LogMelConfig())(emphasised)
    torch.testing.assert_close(TaoRuijieMelConfig().build()(samples), expected, atol=1e-3, rtol=0)


def test_parameters_survive_json_and_the_version_names_them() -> None:
    config = TaoRuijieMelConfig(preemphasis=0.95)
    assert read_features(typed(config)) == config
    assert config.version != TaoRuijieMelConfig().version
    assert TaoRuijieMelConfig(num_mels=64).version != TaoRuijieMelConfig().version
    with pytest.raises(ValueError, match="emphasis"):
        read_features({**typed(config), "emphasis": 1})
