"""NeMo's mel features: the formula, and windows cut anyhow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.encoder.conftest import synthetic_voice
from voiceguard.encoder.card.kinds import read_features, typed
from voiceguard.encoder.frontends.nemo import NemoMel, NemoMelConfig, slaney_bands
from voiceguard.encoder.frontends.rolling import RollingFeatures
from voiceguard.encoder.torchaudio_compat import import_torchaudio

CONFIG = NemoMelConfig(num_bands=64)
FRONT_END = CONFIG.build()
AUDIO = torch.from_numpy(
    np.concatenate(
        [
            synthetic_voice(3.0),
            np.zeros(8000, np.float32),
            np.random.default_rng(5).normal(0, 0.1, 40_000).astype(np.float32),
        ]
    )
)  # 6 s
NUM_FRAMES = len(AUDIO) // 160


def written_out(samples: np.ndarray, config: NemoMelConfig) -> np.ndarray:
    """The features by numpy, in double precision, with all frames of a centred transform."""
    size, window_size = config.fft_samples, config.window_samples
    emphasised = samples.astype(np.float64)
    emphasised[1:] -= config.pre_emphasis * samples[:-1].astype(np.float64)
    padded = np.pad(emphasised, size // 2)
    window = np.zeros(size)
    left = (size - window_size) // 2
    window[left : left + window_size] = np.hanning(window_size)
    starts = range(0, len(samples) + 1, 160)
    frames = np.stack([padded[start : start + size] for start in starts])
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    log_power = np.log(power @ slaney_bands(config).numpy().T.astype(np.float64) + 2.0**-24)
    counted = log_power[: len(samples) // 160]  # one less than there are
    normalised: np.ndarray = (counted - counted.mean(0)) / (counted.std(0, ddof=1) + 1e-5)
    return normalised.T


@pytest.mark.parametrize("num_samples", [16_000, 16_001, 16_159, 24_100])
@pytest.mark.parametrize(
    "config", [CONFIG, NemoMelConfig(window_samples=320), NemoMelConfig(window_samples=401)]
)
def test_features_are_those_of_the_formula(config: NemoMelConfig, num_samples: int) -> None:
    samples = AUDIO[4000 : 4000 + num_samples]
    found = config.build()(samples).numpy()
    assert found.shape == (config.num_bands, num_samples // 160)
    np.testing.assert_allclose(found, written_out(samples.numpy(), config), atol=2e-3)


def test_the_mel_bands_are_slaneys() -> None:
    functional = import_torchaudio().functional
    theirs = functional.melscale_fbanks(257, 0.0, 8000.0, 64, 16000, "slaney", "slaney").T
    torch.testing.assert_close(slaney_bands(CONFIG), theirs, atol=1e-6, rtol=0)


def test_every_band_has_mean_0_and_deviation_1_in_every_window() -> None:
    features = FRONT_END(AUDIO[1600:30_000])
    torch.testing.assert_close(features.mean(1), torch.zeros(64), atol=1e-4, rtol=0)
    torch.testing.assert_close(features.std(1), torch.ones(64), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "front_end",
    # SpeakerNet's frame 1 begins at sample 0, before which the emphasis looks; a Hann window would
    # hide it.
    [FRONT_END, NemoMelConfig(num_bands=64, window_samples=320, window="hamming").build()],
    ids=["titanet", "short frames"],
)
@given(
    st.lists(
        st.tuples(
            st.integers(-150, 300),
            st.integers(800, 65_000),
            st.sampled_from([0, 0, 0, 0, 1]),
        ),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=50, deadline=None)
def test_windows_cut_anyhow_have_the_features_that_they_have_alone(
    front_end: NemoMel, windows: list[tuple[int, int, int]]
) -> None:
    """They may grow, slide, jump, go back, end between frames, change segment."""
    rolling = RollingFeatures(front_end)
    first = 0
    for step, num_samples, segment in windows:
        first = min(max(first + step, 0), NUM_FRAMES - 10)
        audio = AUDIO if segment == 0 else AUDIO.flip(0)
        samples = audio[first * 160 : first * 160 + num_samples]
        found = rolling(samples, segment=segment, first_sample=first * 160)
        torch.testing.assert_close(found, front_end(samples), atol=2e-4, rtol=1e-5)


def test_without_pre_emphasis_there_is_none() -> None:
    plain = NemoMelConfig(num_bands=64, pre_emphasis=0.0)
    samples = AUDIO[:16_000]
    np.testing.assert_allclose(
        plain.build()(samples).numpy(), written_out(samples.numpy(), plain), atol=2e-3
    )
    assert (plain.build()(samples) - FRONT_END(samples)).abs().max() > 0.1


def test_the_version_names_every_parameter() -> None:
    others = [
        replace(CONFIG, num_bands=80),
        replace(CONFIG, window="hamming"),
        replace(CONFIG, window_samples=320),
        replace(CONFIG, fft_samples=1024),
        replace(CONFIG, pre_emphasis=0.0),
        replace(CONFIG, min_hz=20.0),
        replace(CONFIG, max_hz=7600.0),
        replace(CONFIG, floor=1e-6),
    ]
    assert len({config.version for config in (CONFIG, *others)}) == 9


def test_parameters_survive_json_and_another_version_is_refused() -> None:
    assert read_features(typed(CONFIG)) == CONFIG
    with pytest.raises(ValueError, match="nemo-mel-0"):
        read_features({**typed(CONFIG), "version": "nemo-mel-0"})
    with pytest.raises(ValueError, match="dither"):
        read_features({**typed(CONFIG), "dither": 0.0})


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("window", "kaiser"),
        ("num_bands", 0),
        ("window_samples", 513),
        ("fft_samples", 10_000),
        ("max_hz", 9000.0),
        ("min_hz", -1.0),
        ("pre_emphasis", 1.5),
        ("floor", 0.0),
    ],
)
def test_impossible_parameters_are_named(parameter: str, value: Any) -> None:  # noqa: ANN401 - each its own
    with pytest.raises(ValueError, match=r"window|bands|emphasis|floor"):
        replace(CONFIG, **{parameter: value})
