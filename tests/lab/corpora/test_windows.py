"""All of an utterance; of what is longer, windows from its beginning to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.audio.sound_files import write_audio
from tests.fakes import tone
from voiceguard.audio.files import load_audio
from voiceguard.lab.corpora import windows
from voiceguard.lab.corpora.windows import NUM_WINDOWS, load_spread, spread_over
from voiceguard.types import SAMPLE_RATE_HZ, MonoBlock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WINDOW = 100
"""Samples of a window here: what is cut and where does not hang on how long they are."""
WHOLE = 15 * WINDOW


@pytest.fixture(autouse=True)
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "_WINDOW_SAMPLES", WINDOW)
    monkeypatch.setattr(windows, "MAX_RECORDING_S", WHOLE / SAMPLE_RATE_HZ)


def blocks(num_samples: int, size: int) -> Iterator[MonoBlock]:
    """Each sample is its own number."""
    numbered = np.arange(num_samples, dtype=np.float32)
    for first in range(0, num_samples, size):
        yield MonoBlock(numbered[first : first + size])


@pytest.mark.usefixtures("short_windows")
def test_an_utterance_is_read_as_a_whole(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", tone(500.0, 0.06)[:, None], 16_000)
    with capture_logs() as said:
        np.testing.assert_array_equal(load_spread(path), load_audio(path))
    assert said == []


def test_that_a_long_recording_is_thinned_is_said(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", tone(500.0, 0.5)[:, None], 16_000)
    with capture_logs() as said:
        assert len(load_spread(path)) == NUM_WINDOWS * WINDOW
    assert [each["event"] for each in said] == ["recording_thinned"]
    assert said[0]["of_s"] == pytest.approx(0.5)


@settings(deadline=None)
@given(st.integers(0, 50_000), st.integers(20, 5_000))
def test_however_it_comes_windows_lie_evenly_over_all_of_it(num_samples: int, size: int) -> None:
    samples, total_s = spread_over(blocks(num_samples, size))
    assert total_s == pytest.approx(num_samples / SAMPLE_RATE_HZ)
    if num_samples <= WHOLE:
        np.testing.assert_array_equal(samples, np.arange(num_samples))
        return
    parts = samples.reshape(NUM_WINDOWS, WINDOW)
    assert (parts - parts[:, :1] == np.arange(WINDOW)).all()
    starts = parts[:, 0] / WINDOW
    assert starts[0] == 0
    apart = np.diff(starts)
    assert apart.min() >= 1
    assert apart.max() <= 2 * apart.min()
    whole_windows = num_samples // WINDOW
    assert starts[-1] >= whole_windows - 1 - whole_windows / NUM_WINDOWS
