"""Hop 4: every voiceprint scored, best first; nothing compared that may not be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scoring.people import (
    DIM,
    directions,
    make_calibration,
    make_cohort,
    make_projection,
    make_voiceprint,
    near,
)
from voiceguard.scoring.cosine import normalised, renormalised_mean
from voiceguard.scoring.scorer import Scorer, leave_one_out

if TYPE_CHECKING:
    from voiceguard.scoring.snorm import Cohort
    from voiceguard.types import Embedding

COHORT = make_cohort()
CALIBRATION = make_calibration(cohort_id=COHORT.cohort_id)
CENTRES = directions(5, 4)
VOICEPRINTS = [
    make_voiceprint(name, near(CENTRES[i], 50 + i, 3))
    for i, name in enumerate(["ada", "bob", "cyd", "dee"])
]


def test_the_speaker_who_spoke_is_best_by_far() -> None:
    scorer = Scorer(VOICEPRINTS, COHORT, CALIBRATION)
    for i, voiceprint in enumerate(VOICEPRINTS):
        best, *others = scorer.score(near(CENTRES[i], 70 + i, 1)[0], 3.0, 20.0)
        assert best.speaker == voiceprint.speaker
        assert best.llr is not None
        for other in others:
            assert other.llr is not None
            assert other.llr < best.llr - 2


def test_scores_by_hand() -> None:
    """Cosine to the mean, s-norm with both sides' statistics, then the calibration."""
    test = near(CENTRES[0], 80, 1)[0]
    (score,) = Scorer(VOICEPRINTS[:1], COHORT, CALIBRATION).score(test, 3.0, 20.0)
    mean = renormalised_mean(np.stack([t.embedding for t in VOICEPRINTS[0].templates]))
    cosine = float(mean @ test)
    sides = []
    for side in (mean, test):
        top = np.sort(COHORT.embeddings @ side)[-20:]
        sides.append((cosine - top.mean()) / top.std())
    assert score.cosine == pytest.approx(cosine, abs=1e-6)
    assert score.normalised == pytest.approx(np.mean(sides), rel=1e-4)
    assert score.llr == pytest.approx(min(20.0, np.mean(sides)), rel=1e-4)


def test_with_a_projection_scores_are_those_of_projected_embeddings() -> None:
    """As if voiceprint, test and cohort had come that way; the cosine is told as it was."""
    projection = make_projection()
    cohort = replace(COHORT, projection=projection)
    test = near(CENTRES[0], 80, 1)[0]
    (score,) = Scorer(VOICEPRINTS[:1], cohort, None).score(test, 3.0, 20.0)
    mean = renormalised_mean(np.stack([t.embedding for t in VOICEPRINTS[0].templates]))
    assert score.cosine == pytest.approx(float(mean @ test), abs=1e-6)
    moved = replace(COHORT, embeddings=normalised(COHORT.embeddings @ projection))
    voiceprint = make_voiceprint("ada", normalised(mean @ projection)[None])
    (other,) = Scorer([voiceprint], moved, None).score(test @ projection, 3.0, 20.0)
    assert score.normalised == pytest.approx(other.normalised, rel=1e-4)
    assert score.normalised != pytest.approx(_alone(COHORT, test), rel=1e-2)


def _alone(cohort: Cohort, test: Embedding) -> float:
    (score,) = Scorer(VOICEPRINTS[:1], cohort, None).score(test, 3.0, 20.0)
    return score.normalised


def test_leaving_one_out_goes_through_the_projection_too() -> None:
    cohort = replace(COHORT, projection=make_projection())
    templates = VOICEPRINTS[0].templates
    for number, left_out in enumerate(leave_one_out(templates, cohort, None)):
        rest = [t.embedding for i, t in enumerate(templates) if i != number]
        scorer = Scorer([make_voiceprint("ada", np.stack(rest))], cohort, None)
        (score,) = scorer.score(templates[number].embedding, 3.0, 20.0)
        assert left_out.normalised == pytest.approx(score.normalised, rel=1e-5)


def test_without_cohort_the_score_is_the_cosine_and_without_calibration_there_is_no_llr() -> None:
    for score in Scorer(VOICEPRINTS, None, None).score(CENTRES[0], 3.0, 20.0):
        assert score.normalised == score.cosine
        assert score.llr is None


def test_nobody_enrolled_gives_no_scores() -> None:
    scorer = Scorer([], COHORT, CALIBRATION)
    assert scorer.speakers == ()
    assert scorer.score(CENTRES[0], 3.0, 20.0) == ()


@settings(max_examples=50)
@given(order=st.permutations(VOICEPRINTS), seed=st.integers(0, 1000))
def test_the_order_of_voiceprints_is_irrelevant(order: list, seed: int) -> None:  # type: ignore[type-arg]
    test = directions(seed, 1)[0]
    expected = Scorer(VOICEPRINTS, COHORT, CALIBRATION).score(test, 2.0, 15.0)
    assert Scorer(order, COHORT, CALIBRATION).score(test, 2.0, 15.0) == expected


@settings(max_examples=50)
@given(seed=st.integers(0, 1000))
def test_best_first_and_another_voiceprint_changes_nobodys_score(seed: int) -> None:
    test = directions(seed, 1)[0]
    scores = Scorer(VOICEPRINTS, COHORT, CALIBRATION).score(test, 2.0, 15.0)
    values = [score.normalised for score in scores]
    assert values == sorted(values, reverse=True)
    for voiceprint in VOICEPRINTS:
        (alone,) = Scorer([voiceprint], COHORT, CALIBRATION).score(test, 2.0, 15.0)
        together = next(s for s in scores if s.speaker == voiceprint.speaker)
        assert alone.normalised == pytest.approx(together.normalised, rel=1e-4, abs=1e-5)


def test_a_longer_vector_of_the_same_direction_scores_the_same() -> None:
    scorer = Scorer(VOICEPRINTS, COHORT, CALIBRATION)
    assert scorer.score(4 * CENTRES[0], 3.0, 20.0) == scorer.score(CENTRES[0], 3.0, 20.0)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_an_embedding_without_direction_scores_nan(value: float) -> None:
    scorer = Scorer(VOICEPRINTS, COHORT, CALIBRATION)
    scores = scorer.score(np.full(DIM, value, dtype=np.float32), 3.0, 20.0)
    assert len(scores) == len(VOICEPRINTS)
    for score in scores:
        assert score.llr is not None
        assert np.isnan([score.cosine, score.normalised, score.llr]).all()


def test_another_encoders_voiceprint_cohort_or_calibration_is_refused() -> None:
    foreign = make_voiceprint("eve", directions(1, 2), encoder_id="other")
    for voiceprints, cohort, calibration in (
        ([*VOICEPRINTS, foreign], None, None),
        ([foreign], COHORT, None),
        (VOICEPRINTS, None, replace(make_calibration(), encoder_id="other")),
    ):
        with pytest.raises(ValueError, match="different encoders"):
            Scorer(voiceprints, cohort, calibration)


@pytest.mark.parametrize("cohort", [None, make_cohort(top_k=10)])
def test_a_calibration_of_another_cohort_is_refused(cohort: object) -> None:
    with pytest.raises(ValueError, match="another cohort"):
        Scorer(VOICEPRINTS, cohort, CALIBRATION)  # type: ignore[arg-type]


def test_unusable_voiceprints_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'eve' has no templates"):
        Scorer([replace(VOICEPRINTS[0], speaker="eve", templates=())], None, None)
    with pytest.raises(ValueError, match="'eve'"):
        Scorer([make_voiceprint("eve", np.zeros((1, DIM), dtype=np.float32))], None, None)
    with pytest.raises(ValueError, match="two voiceprints"):
        Scorer([VOICEPRINTS[0], VOICEPRINTS[0]], None, None)
    with pytest.raises(ValueError, match="shape"):
        Scorer(VOICEPRINTS, None, None).score(np.ones(3, dtype=np.float32), 1.0, 1.0)


def test_a_take_is_never_scored_against_a_mean_that_contains_it() -> None:
    templates = VOICEPRINTS[0].templates
    scores = leave_one_out(templates, COHORT, CALIBRATION)
    assert [score.speaker for score in scores] == ["take 0", "take 1", "take 2"]
    for i, template in enumerate(templates):
        rest = replace(VOICEPRINTS[0], templates=templates[:i] + templates[i + 1 :])
        (expected,) = Scorer([rest], COHORT, CALIBRATION).score(template.embedding, 4.0, 20.0)
        assert scores[i].cosine == pytest.approx(expected.cosine, abs=1e-6)
        assert scores[i].normalised == pytest.approx(expected.normalised, rel=1e-4)
        assert scores[i].llr == pytest.approx(expected.llr, rel=1e-4)
        (with_itself,) = Scorer([VOICEPRINTS[0]], None, None).score(template.embedding, 4.0, 20.0)
        assert with_itself.cosine > scores[i].cosine


def test_leaving_one_out_works_without_cohort_and_calibration_but_not_with_one_take() -> None:
    templates = VOICEPRINTS[0].templates
    for score in leave_one_out(templates, None, None):
        assert score.normalised == score.cosine
        assert score.llr is None
    with pytest.raises(ValueError, match="two templates"):
        leave_one_out(templates[:1], None, None)
