"""Log-mel features: of whole recordings, and rolling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.encoder.conftest import synthetic_voice
from voiceguard.encoder.card.kinds import read_features, typed
from voiceguard.encoder.frontends.log_mel import LogMel
from voiceguard.encoder.frontends.log_mel_config import LogMelConfig
from voiceguard.encoder.frontends.rolling import KEPT_FRAMES, RollingFeatures

LOG_MEL = LogMel(LogMelConfig())
FRONT_END = LogMelConfig().build()
RNG = np.random.default_rng(5)
AUDIO = torch.from_numpy(
    np.concatenate(
        [
            synthetic_voice(4.0),
            np.zeros(8000, np.float32),
            RNG.normal(0, 0.1, 56000).astype(np.float32),
            synthetic_voice(4.0, pitch_hz=210.0),
        ]
    )
)  # 12 s
NUM_FRAMES = len(AUDIO) // 160


def test_features_are_those_of_the_formula() -> None:
    """Against a transform written out with numpy: frames, window, triangles, log, mean."""
    samples = AUDIO[:4800].numpy().astype(np.float64)
    padded = np.pad(samples, 256, mode="reflect")
    window = np.zeros(512)
    window[56:456] = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = np.stack([padded[i : i + 512] * window for i in range(0, 4801, 160)])
    power = np.abs(np.fft.rfft(frames)) ** 2
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (20, 7600))
    mel_edges = np.linspace(low, high, 82)
    edges = 700 * (10 ** (mel_edges / 2595) - 1)
    hz = np.linspace(0, 8000, 257)
    rising = (hz[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - hz[:, None]) / np.diff(edges)[1:]
    log_power = np.log(power @ np.clip(np.minimum(rising, falling), 0, None) + 1e-6)
    expected = (log_power - log_power.mean(0)).T
    found = LOG_MEL(AUDIO[:4800]).numpy()
    assert found.shape == (80, 31)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_loudness_does_not_matter_and_batches_do_not_mix() -> None:
    voice = AUDIO[:32000]
    pair = LOG_MEL(torch.stack([voice, 0.5 * voice]))
    torch.testing.assert_close(pair[0], LOG_MEL(voice))
    assert (pair[0] - pair[1]).abs().mean() < 0.05


@given(
    st.lists(
        st.tuples(st.integers(-150, 400), st.integers(5, 450), st.sampled_from([0, 0, 0, 0, 1])),
        min_size=1,
        max_size=10,
    )
)
@settings(max_examples=60, deadline=None)
def test_rolling_equals_offline_for_any_sequence_of_windows(
    windows: list[tuple[int, int, int]],
) -> None:
    """Windows may grow, slide, jump, go back, leave what is kept behind, change segment."""
    rolling = RollingFeatures(FRONT_END)
    first = 0
    for step, length, segment in windows:
        first = min(max(first + step, 0), NUM_FRAMES - 5)
        audio = AUDIO if segment == 0 else AUDIO.flip(0)
        samples = audio[first * 160 : (first + length) * 160]
        found = rolling(samples, segment=segment, first_sample=first * 160)
        torch.testing.assert_close(found, LOG_MEL(samples), atol=1e-4, rtol=1e-5)
        assert rolling._kept is not None
        assert len(rolling._kept) <= KEPT_FRAMES


def test_a_window_that_slides_past_what_is_kept_stays_right() -> None:
    rolling = RollingFeatures(FRONT_END)
    for first in range(0, NUM_FRAMES - 400, 50):
        samples = AUDIO[first * 160 : (first + 400) * 160]
        found = rolling(samples, segment=0, first_sample=first * 160)
        torch.testing.assert_close(found, LOG_MEL(samples), atol=1e-4, rtol=1e-5)


def test_rolling_takes_windows_that_end_between_frames() -> None:
    rolling = RollingFeatures(FRONT_END)
    for stop in (12_801, 20_000, 20_159, 33_333):
        found = rolling(AUDIO[1600:stop], segment=0, first_sample=1600)
        torch.testing.assert_close(found, LOG_MEL(AUDIO[1600:stop]), atol=1e-4, rtol=1e-5)


def test_inner_frames_are_computed_once_per_segment() -> None:
    """Shown by feeding other samples where frames are already known: nobody looks at them."""
    rolling = RollingFeatures(FRONT_END)
    rolling(AUDIO[:16000], segment=0, first_sample=0)
    altered = AUDIO[:24000].clone()
    altered[4000:12000] = 0.0
    found = rolling(altered, segment=0, first_sample=0)
    torch.testing.assert_close(found, LOG_MEL(AUDIO[:24000]), atol=1e-4, rtol=1e-5)
    found = rolling(altered, segment=1, first_sample=0)
    torch.testing.assert_close(found, LOG_MEL(altered), atol=1e-4, rtol=1e-5)


def test_a_very_long_window_is_right_and_does_not_grow_the_cache() -> None:
    rolling = RollingFeatures(FRONT_END)
    found = rolling(AUDIO, segment=0, first_sample=0)
    torch.testing.assert_close(found, LOG_MEL(AUDIO), atol=1e-4, rtol=1e-5)
    assert rolling._kept is not None
    assert len(rolling._kept) == KEPT_FRAMES
    found = rolling(AUDIO[96_000:], segment=0, first_sample=96_000)
    torch.testing.assert_close(found, LOG_MEL(AUDIO[96_000:]), atol=1e-4, rtol=1e-5)


def test_windows_off_the_grid_are_refused() -> None:
    with pytest.raises(ValueError, match="starts at 81"):
        RollingFeatures(FRONT_END)(AUDIO[81:16081], segment=0, first_sample=81)


def test_the_version_names_every_parameter() -> None:
    """So that embeddings of other features never meet: the version is part of the encoder's id."""
    default = LogMelConfig()
    others = [
        LogMelConfig(num_mels=64),
        LogMelConfig(fft_samples=1024),
        LogMelConfig(window_samples=320),
        LogMelConfig(min_hz=0.0),
        LogMelConfig(max_hz=8000.0),
        LogMelConfig(floor=1e-5),
    ]
    assert len({config.version for config in (default, *others)}) == 7


def test_parameters_survive_json_and_another_version_is_refused() -> None:
    config = LogMelConfig(num_mels=64)
    assert read_features(typed(config)) == config
    with pytest.raises(ValueError, match="log-mel-0"):
        read_features({**typed(config), "version": "log-mel-0"})
    with pytest.raises(ValueError, match="preemphasis"):
        read_features({**typed(config), "preemphasis": 0.97})
