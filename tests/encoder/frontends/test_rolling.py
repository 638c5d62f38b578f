"""Features cut in any chunks are the offline features of the same window, for every family."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.encoder.conftest import synthetic_voice
from voiceguard.encoder.frontends.log_mel_config import LogMelConfig
from voiceguard.encoder.frontends.rolling import KEPT_FRAMES, RollingFeatures
from voiceguard.encoder.frontends.speechbrain import SpeechBrainFbankConfig
from voiceguard.encoder.frontends.taoruijie import TaoRuijieMelConfig

if TYPE_CHECKING:
    from voiceguard.encoder.frontends.base import FrontEnd

RNG = np.random.default_rng(5)
AUDIO = torch.from_numpy(
    np.concatenate(
        [
            synthetic_voice(2.5),
            np.zeros(8000, np.float32),
            RNG.normal(0, 1e-4, 16_000).astype(np.float32),
            synthetic_voice(2.5, pitch_hz=210.0),
            RNG.normal(0, 0.1, 16_000).astype(np.float32),
        ]
    )
)
NUM_FRAMES = len(AUDIO) // 160

FAMILIES: dict[str, FrontEnd] = {
    "log_mel": LogMelConfig().build(),
    "log_mel, another size": LogMelConfig(
        num_mels=24, fft_samples=1024, window_samples=800
    ).build(),
    "speechbrain": SpeechBrainFbankConfig().build(),
    "speechbrain, another size": SpeechBrainFbankConfig(
        num_mels=24, fft_samples=512, window_samples=320, top_db=20.0
    ).build(),
    "taoruijie": TaoRuijieMelConfig().build(),
    # Its first frame inside the window begins at sample 0, before which the emphasis looks.
    "taoruijie, another size": TaoRuijieMelConfig(
        num_mels=24, fft_samples=640, window_samples=640
    ).build(),
}
WINDOWS = st.lists(
    st.tuples(
        st.integers(-150, 300),  # how far the window moves, in frames
        st.integers(8, 300),  # how long it is, in frames
        st.integers(0, 159),  # and samples beyond
        st.sampled_from([0, 0, 0, 0, 1]),  # another segment, now and then
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize("front_end", FAMILIES.values(), ids=FAMILIES.keys())
@given(WINDOWS)
@settings(max_examples=40, deadline=None)
def test_rolling_equals_offline_for_any_sequence_of_windows(
    front_end: FrontEnd, windows: list[tuple[int, int, int, int]]
) -> None:
    """Windows may grow, slide, jump, go back, end between frames, change segment."""
    rolling = RollingFeatures(front_end)
    first = 0
    for step, length, beyond, segment in windows:
        first = min(max(first + step, 0), NUM_FRAMES - 8)
        audio = AUDIO if segment == 0 else AUDIO.flip(0)
        samples = audio[first * 160 : (first + length) * 160 + beyond]
        found = rolling(samples, segment=segment, first_sample=first * 160)
        torch.testing.assert_close(found, front_end(samples), atol=1e-3, rtol=1e-4)
        assert rolling._kept is not None
        assert len(rolling._kept) <= KEPT_FRAMES


@pytest.mark.parametrize("front_end", FAMILIES.values(), ids=FAMILIES.keys())
def test_inner_frames_are_computed_once_per_segment(front_end: FrontEnd) -> None:
    """Shown by feeding other samples where frames are already known: nobody looks at them."""
    rolling = RollingFeatures(front_end)
    rolling(AUDIO[:16_000], segment=0, first_sample=0)
    altered = AUDIO[:24_000].clone()
    altered[4000:12_000] = 0.0
    expected = front_end(AUDIO[:24_000])
    found = rolling(altered, segment=0, first_sample=0)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)
    assert (front_end(altered) - expected).abs().max() > 1.0
