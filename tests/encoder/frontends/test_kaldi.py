"""Kaldi's filter bank: torchaudio's numbers, and windows cut anyhow."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.encoder.conftest import synthetic_voice
from voiceguard.encoder.card.kinds import read_features, typed
from voiceguard.encoder.frontends.kaldi_config import KaldiFbankConfig
from voiceguard.encoder.frontends.rolling import RollingFeatures
from voiceguard.encoder.torchaudio_compat import import_torchaudio

NOISE = 0.02 * torch.randn(64_000, generator=torch.Generator().manual_seed(1))
AUDIO = torch.cat([torch.from_numpy(synthetic_voice(4.0)) + NOISE, torch.zeros(8000), NOISE])
WESPEAKER = KaldiFbankConfig(window="hamming", sample_scale=32768.0)
SPEAKER_3D = KaldiFbankConfig()


def by_torchaudio(samples: torch.Tensor, config: KaldiFbankConfig) -> torch.Tensor:
    """As the two projects call it, dither 0."""
    import_torchaudio()
    kaldi: Any = importlib.import_module("torchaudio.compliance.kaldi")
    log_power: torch.Tensor = kaldi.fbank(
        samples.unsqueeze(0) * config.sample_scale,
        num_mel_bins=config.num_bands,
        frame_length=25,
        frame_shift=10,
        dither=0.0,
        low_freq=config.min_hz,
        high_freq=config.max_hz,
        sample_frequency=16_000,
        window_type=config.window,
    )
    return log_power


@pytest.mark.parametrize("num_samples", [400, 559, 560, 16_000, 100_001])
@pytest.mark.parametrize(
    "config",
    [WESPEAKER, SPEAKER_3D, KaldiFbankConfig(num_bands=40, min_hz=60.0, max_hz=7600.0)],
)
def test_features_are_torchaudios(config: KaldiFbankConfig, num_samples: int) -> None:
    samples = AUDIO[1000 : 1000 + num_samples]
    found = config.build()(samples)
    assert found.shape == (config.num_bands, (num_samples - 400) // 160 + 1)
    expected = by_torchaudio(samples, config)
    torch.testing.assert_close(found, (expected - expected.mean(0)).T, atol=2e-4, rtol=0)


def test_the_mean_may_stay() -> None:
    config = KaldiFbankConfig(subtract_mean=False)
    expected = by_torchaudio(AUDIO[:16_000], config).T
    torch.testing.assert_close(config.build()(AUDIO[:16_000]), expected, atol=2e-4, rtol=0)


def test_the_scale_of_the_samples_moves_the_floor_of_silence() -> None:
    """Digital silence is raised to float32's epsilon at either scale, faint noise is not."""
    faint = 1e-4 * NOISE[:4000]
    of_floats = KaldiFbankConfig(subtract_mean=False).build()(faint)
    of_integers = KaldiFbankConfig(subtract_mean=False, sample_scale=32768.0).build()(faint)
    assert of_floats.max() == pytest.approx(-15.942, abs=1e-2)  # log(2^-23)
    assert of_integers.min() > -15.0


@settings(deadline=None, max_examples=20)
@given(
    cuts=st.lists(
        st.tuples(st.integers(0, 600), st.integers(3, 120), st.booleans()), min_size=1, max_size=8
    ),
    config=st.sampled_from([WESPEAKER, SPEAKER_3D]),
)
def test_windows_cut_anyhow_have_the_features_of_each_alone(
    cuts: list[tuple[int, int, bool]], config: KaldiFbankConfig
) -> None:
    front_end = config.build()
    rolling = RollingFeatures(front_end)
    segment = 0
    for first, num_frames, is_new_segment in cuts:
        segment += is_new_segment
        samples = AUDIO[first * 160 : (first + num_frames) * 160]
        found = rolling(samples, segment=segment, first_sample=first * 160)
        torch.testing.assert_close(found, front_end(samples), atol=1e-4, rtol=0)


def test_a_card_holds_it_and_every_parameter_is_part_of_the_version() -> None:
    assert read_features(typed(WESPEAKER)) == WESPEAKER
    changed = (
        WESPEAKER,
        SPEAKER_3D,
        KaldiFbankConfig(num_bands=64),
        KaldiFbankConfig(min_hz=30.0),
        KaldiFbankConfig(max_hz=7000.0),
        KaldiFbankConfig(subtract_mean=False),
        KaldiFbankConfig(sample_scale=32768.0),
    )
    assert len({config.version for config in changed}) == len(changed)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_bands": 3}, "num_bands must be between 4 and 256"),
        ({"window": "hann"}, "'povey' or 'hamming', not 'hann'"),
        ({"sample_scale": 2.0}, "sample_scale must be 1 or 32768"),
        ({"min_hz": -1.0}, "between 0 and 8000 Hz"),
        ({"max_hz": 8001.0}, "between 0 and 8000 Hz"),
        ({"min_hz": 500.0, "max_hz": 400.0}, "between 0 and 8000 Hz"),
    ],
)
def test_impossible_parameters_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KaldiFbankConfig(**parameters)


def test_a_card_of_another_revision_is_refused() -> None:
    with pytest.raises(ValueError, match="this voiceguard computes"):
        read_features({**typed(WESPEAKER), "version": "kaldi-fbank-0"})
