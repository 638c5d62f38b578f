"""The raw score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scoring.people import directions, near
from voiceguard.scoring.cosine import cosines, normalised, renormalised_mean


def test_a_mean_of_one_embedding_is_its_direction() -> None:
    assert renormalised_mean(np.array([[3.0, 4.0]], dtype=np.float32)) == pytest.approx([0.6, 0.8])


def test_every_template_counts_the_same_however_long_its_vector_is() -> None:
    loud = np.array([[100.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    assert renormalised_mean(loud) == pytest.approx([0.5**0.5, 0.5**0.5])


@given(seed=st.integers(0, 10_000), count=st.integers(1, 8))
def test_the_mean_has_norm_one_and_ignores_the_order(seed: int, count: int) -> None:
    rows = near(directions(seed, 1)[0], seed + 1, count)
    mean = renormalised_mean(rows)
    assert mean.dtype == np.float32
    assert np.linalg.norm(mean) == pytest.approx(1.0, abs=1e-6)
    shuffled = np.random.default_rng(seed).permutation(rows)
    assert renormalised_mean(shuffled) == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((0, 4), dtype=np.float32),
        np.zeros((2, 4), dtype=np.float32),
        np.full((1, 4), np.nan, dtype=np.float32),
        np.array([[1.0, 0.0], [-1.0, 0.0]], dtype=np.float32),
        np.ones(4, dtype=np.float32),
    ],
    ids=["none", "zero", "nan", "cancelling", "not a table"],
)
def test_embeddings_without_a_common_direction_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(ValueError, match="embeddings"):
        renormalised_mean(rows)


def test_what_has_no_direction_scores_nan_rather_than_zero() -> None:
    tests = normalised(np.array([[0.0, 0.0], [np.inf, 1.0], [2.0, 0.0]], dtype=np.float32))
    scores = cosines(tests, np.array([[1.0, 0.0]], dtype=np.float32))
    assert np.isnan(scores[:2]).all()
    assert scores[2, 0] == 1.0


@given(seed=st.integers(0, 10_000))
def test_cosines_stay_in_range_and_are_symmetric(seed: int) -> None:
    a, b = directions(seed, 5), directions(seed + 1, 3)
    scores = cosines(a, b)
    assert scores.shape == (5, 3)
    assert (np.abs(scores) <= 1).all()
    assert np.allclose(cosines(b, a).T, scores, atol=1e-6)
    assert np.diagonal(cosines(a, a)) == pytest.approx(np.ones(5), abs=1e-6)
