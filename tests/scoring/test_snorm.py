"""Adaptive s-norm and the cohort file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from tests.scoring.people import DIM, ENCODER_ID, directions, make_cohort, make_projection
from voiceguard.errors import EncoderError
from voiceguard.scoring.cosine import normalised
from voiceguard.scoring.snorm import (
    Cohort,
    CohortSource,
    CohortStatistics,
    load_cohort,
    s_norm,
    save_cohort,
    top_statistics,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_statistics_are_those_of_the_most_similar_strangers() -> None:
    statistics = top_statistics(np.array([0.1, 0.9, -0.5, 0.7, 0.2]), top_k=2)
    assert statistics.mean == pytest.approx(0.8)
    assert statistics.deviation == pytest.approx(0.1)


def test_a_normalised_score_is_the_mean_of_both_sides() -> None:
    enrolled = CohortStatistics(np.array(0.2), np.array(0.1))
    tested = CohortStatistics(np.array(0.0), np.array(0.2))
    assert s_norm(np.array(0.6), enrolled, tested) == pytest.approx((4.0 + 3.0) / 2)


@given(
    seed=st.integers(0, 10_000),
    scale=st.floats(0.1, 10),
    shift=st.floats(-3, 3),
    top_k=st.integers(8, 30),
)
def test_rescaling_and_shifting_all_raw_scores_changes_nothing(
    seed: int, scale: float, shift: float, top_k: int
) -> None:
    """What a channel does to every cosine alike cancels out."""
    rng = np.random.default_rng(seed)
    score, of_enrolled, of_tested = rng.normal(size=5), rng.normal(size=30), rng.normal(size=30)

    def after(a: float, b: float) -> np.ndarray:
        return s_norm(
            a * score + b,
            top_statistics(a * of_enrolled + b, top_k),
            top_statistics(a * of_tested + b, top_k),
        )

    assert after(scale, shift) == pytest.approx(after(1.0, 0.0), rel=1e-6, abs=1e-6)


@given(seed=st.integers(0, 10_000))
def test_the_order_of_the_cohort_is_irrelevant(seed: int) -> None:
    cohort = make_cohort()
    shuffled = np.random.default_rng(seed).permutation(cohort.embeddings)
    other = replace(cohort, embeddings=shuffled)
    tests = directions(seed, 4)
    for mine, theirs in zip(cohort.statistics(tests), other.statistics(tests), strict=True):
        assert theirs == pytest.approx(mine, abs=1e-6)


def test_a_table_of_embeddings_gives_what_each_gives_alone() -> None:
    cohort, tests = make_cohort(), directions(3, 6)
    together = cohort.statistics(tests)
    for i, test in enumerate(tests):
        alone = cohort.statistics(test)
        assert alone.mean == pytest.approx(together.mean[i], abs=1e-6)
        assert alone.deviation == pytest.approx(together.deviation[i], abs=1e-6)


def test_both_sides_being_exchanged_changes_nothing() -> None:
    a = CohortStatistics(np.array(0.2), np.array(0.1))
    b = CohortStatistics(np.array(0.1), np.array(0.3))
    assert s_norm(np.array(0.5), a, b) == s_norm(np.array(0.5), b, a)


def test_a_cohort_of_identical_strangers_gives_finite_scores() -> None:
    same = np.tile(directions(1, 1), (12, 1))
    statistics = Cohort(embeddings=same, encoder_id=ENCODER_ID, top_k=5).statistics(same[0])
    assert statistics.deviation > 0


@pytest.mark.parametrize(
    ("embeddings", "top_k", "complaint"),
    [
        (directions(1, 5), 2, "num_speakers"),
        (directions(1, 12)[0], 2, "num_speakers"),
        (directions(1, 12), 1, "top_k"),
        (directions(1, 12), 13, "top_k"),
        (2 * directions(1, 12), 5, "norm"),
        (np.full((12, DIM), np.nan, dtype=np.float32), 5, "norm"),
    ],
)
def test_a_cohort_that_cannot_work_is_refused(
    embeddings: np.ndarray, top_k: int, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Cohort(embeddings=embeddings, encoder_id=ENCODER_ID, top_k=top_k)


@pytest.mark.parametrize(
    ("projection", "complaint"),
    [
        (np.eye(DIM + 1, dtype=np.float32), "a projection is"),
        (np.ones(DIM, dtype=np.float32), "a projection is"),
        (np.full((DIM, DIM), np.inf, dtype=np.float32), "a projection is"),
        (np.zeros((DIM, DIM), dtype=np.float32), "leaves nothing"),
    ],
)
def test_a_projection_that_cannot_work_is_refused(projection: np.ndarray, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(make_cohort(), projection=projection)


def test_a_projection_of_the_identity_changes_nothing() -> None:
    cohort, tests = make_cohort(), directions(3, 6)
    same = replace(cohort, projection=np.eye(DIM, dtype=np.float32))
    assert same.projected(tests) == pytest.approx(tests, abs=1e-6)
    for with_it, without in zip(same.statistics(tests), cohort.statistics(tests), strict=True):
        assert with_it == pytest.approx(without, abs=1e-6)


def test_statistics_are_those_of_the_projected_cohort() -> None:
    projection, tests = make_projection(), directions(3, 6)
    cohort = replace(make_cohort(), projection=projection)
    moved = replace(make_cohort(), embeddings=normalised(cohort.embeddings @ projection))
    mine = cohort.projected(tests)
    assert np.linalg.norm(mine, axis=1) == pytest.approx(1.0, abs=1e-6)
    for one, other in zip(cohort.statistics(mine), moved.statistics(mine), strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_sources_must_add_up() -> None:
    with pytest.raises(ValueError, match="add up"):
        replace(make_cohort(), sources=(CohortSource(corpus="c", licence="CC0", num_speakers=3),))


def test_a_cohort_cannot_be_changed_after_it_was_made() -> None:
    mine = directions(1, 12)
    cohort = Cohort(embeddings=mine, encoder_id=ENCODER_ID, top_k=5)
    mine[:] = 0
    assert np.linalg.norm(cohort.embeddings[0]) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="read-only"):
        cohort.embeddings[0, 0] = 2.0
    matrix = make_projection()
    projecting = replace(cohort, projection=matrix)
    matrix[:] = 0
    assert projecting.projection is not None
    with pytest.raises(ValueError, match="read-only"):
        projecting.projection[0, 0] = 2.0


def test_the_id_depends_on_everything_that_changes_a_score() -> None:
    cohort = make_cohort()
    others = [
        make_cohort(encoder_id="another"),
        make_cohort(top_k=21),
        replace(cohort, embeddings=directions(98, 60)),
        replace(cohort, projection=make_projection()),
        replace(cohort, projection=make_projection(96)),
    ]
    assert len({c.cohort_id for c in [cohort, *others]}) == 6
    assert make_cohort().cohort_id == cohort.cohort_id


@pytest.mark.parametrize("projection", [None, make_projection()])
def test_a_cohort_survives_its_file_with_the_same_id(
    projection: np.ndarray | None, tmp_path: Path
) -> None:
    sources = (CohortSource(corpus="librispeech", licence="CC-BY-4.0", num_speakers=60),)
    cohort = replace(make_cohort(), sources=sources, projection=projection)
    save_cohort(cohort, tmp_path / "a")
    loaded = load_cohort(tmp_path / "a", encoder_id=ENCODER_ID)
    assert np.array_equal(loaded.embeddings, cohort.embeddings)
    if projection is None:
        assert loaded.projection is None
    else:
        assert loaded.projection is not None
        assert np.array_equal(loaded.projection, projection)
    assert loaded.cohort_id == cohort.cohort_id
    assert (loaded.top_k, loaded.sources) == (20, sources)
    save_cohort(loaded, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_cohort_of_another_encoder_is_refused_by_name(tmp_path: Path) -> None:
    save_cohort(make_cohort(), tmp_path / "c")
    with pytest.raises(EncoderError, match=f"belongs to encoder {ENCODER_ID}, not to other"):
        load_cohort(tmp_path / "c", encoder_id="other")


def test_a_missing_truncated_or_altered_cohort_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    with pytest.raises(EncoderError, match="does not exist") as missing:
        load_cohort(path, encoder_id=ENCODER_ID)
    assert missing.value.hint
    save_cohort(make_cohort(), path)
    good = path.read_bytes()
    swapped = bytearray(good)
    swapped[-4 * DIM :], swapped[-8 * DIM : -4 * DIM] = good[-8 * DIM : -4 * DIM], good[-4 * DIM :]
    for bad in (good[:-10], b"", b"not a cohort", bytes(swapped)):
        path.write_bytes(bad)
        with pytest.raises(EncoderError, match="damaged"):
            load_cohort(path, encoder_id=ENCODER_ID)


def test_other_safetensors_files_are_no_cohort(tmp_path: Path) -> None:
    save_file({"embeddings": directions(1, 12)}, tmp_path / "w")
    with pytest.raises(EncoderError, match="damaged"):
        load_cohort(tmp_path / "w", encoder_id=ENCODER_ID)
