"""One embedding for a segment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scoring.people import directions, near
from voiceguard.scoring.cosine import renormalised_mean
from voiceguard.scoring.pooling import pool

FULL = 64_000


def test_full_length_windows_are_averaged_and_their_beginnings_left_out() -> None:
    rows = list(near(directions(1, 1)[0], 2, 4))
    pooled = pool(rows, [16_000, FULL, FULL, 32_000], max_window_samples=FULL)
    assert pooled == pytest.approx(renormalised_mean(np.stack(rows[1:3])), abs=1e-6)


def test_without_a_full_length_window_the_longest_stands_alone() -> None:
    rows = list(directions(3, 3))
    assert pool(rows, [8_000, 24_000, 16_000], max_window_samples=FULL) == pytest.approx(rows[1])


def test_of_equally_long_windows_the_latest_is_taken() -> None:
    rows = list(directions(3, 3))
    assert pool(rows, [24_000, 24_000, 16_000], max_window_samples=FULL) == pytest.approx(rows[1])


@given(lengths=st.lists(st.integers(1, 2 * FULL), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_the_result_has_norm_one(lengths: list[int], seed: int) -> None:
    rows = list(near(directions(seed, 1)[0], seed + 1, len(lengths)))
    pooled = pool(rows, lengths, max_window_samples=FULL)
    assert pooled.dtype == np.float32
    assert np.linalg.norm(pooled) == pytest.approx(1.0, abs=1e-6)


def test_an_embedding_that_is_not_finite_is_not_hidden_in_the_mean() -> None:
    rows = [*directions(1, 2), np.full(16, np.nan, dtype=np.float32)]
    assert np.isnan(pool(rows, [FULL] * 3, max_window_samples=FULL)).all()


def test_nothing_to_pool_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one window"):
        pool([], [], max_window_samples=FULL)
    with pytest.raises(ValueError, match="one length per embedding"):
        pool(list(directions(1, 2)), [FULL], max_window_samples=FULL)
