"""What one voice differs by from channel to channel, learnt and taken out."""

from __future__ import annotations

import numpy as np
import pytest

from voiceguard.lab.fitting.projection import within_speaker_projection
from voiceguard.scoring.cosine import normalised

DIM = 12


def voices(num_speakers: int, channel_gain: float, seed: int = 0) -> np.ndarray:
    """``(num_speakers, 3, DIM)``: channels push everybody along the first axis, by chance a bit."""
    rng = np.random.default_rng(seed)
    people = rng.standard_normal((num_speakers, 1, DIM))
    takes = people + 0.2 * rng.standard_normal((num_speakers, 3, DIM))
    takes[..., 0] += channel_gain * rng.standard_normal((num_speakers, 3))
    return normalised(takes.astype(np.float32))


def share_told_apart(takes: np.ndarray) -> float:
    """Of people whose second take resembles their own first one most."""
    return float(np.mean(np.argmax(takes[:, 1] @ takes[:, 0].T, axis=1) == np.arange(len(takes))))


def test_it_shortens_where_channels_differ_and_nothing_else() -> None:
    projection = within_speaker_projection(voices(400, channel_gain=4.0))
    gains = np.linalg.norm(projection, axis=1)
    assert gains[0] < 0.5
    assert gains[1:] == pytest.approx(1.0, abs=0.1)
    assert projection == pytest.approx(projection.T)
    assert np.linalg.eigvalsh(projection.astype(np.float64)).min() > 0


def test_other_people_are_told_apart_better_with_it() -> None:
    projection = within_speaker_projection(voices(200, channel_gain=4.0))
    others = voices(100, channel_gain=4.0, seed=1)
    before, after = share_told_apart(others), share_told_apart(normalised(others @ projection))
    assert after > before + 0.2


def test_a_spread_that_is_alike_in_all_directions_changes_no_cosine() -> None:
    rng = np.random.default_rng(3)
    takes = (10 * np.eye(DIM) + rng.standard_normal((4000, 3, DIM))[:, :, None, :])[:, :, 0]
    projection = within_speaker_projection(takes.astype(np.float32))
    assert projection / projection[0, 0] == pytest.approx(np.eye(DIM), abs=0.02)


def test_a_weight_of_nothing_is_the_identity() -> None:
    projection = within_speaker_projection(voices(20, channel_gain=4.0), weight=0.0)
    assert projection == pytest.approx(np.eye(DIM), abs=1e-6)


@pytest.mark.parametrize("value", [1.0, np.nan])
def test_takes_that_show_nothing_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="that differ, and are finite"):
        within_speaker_projection(np.full((5, 3, DIM), value, np.float32))
