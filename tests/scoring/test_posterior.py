"""LLRs and a prior become a probability, for people."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceguard.scoring.posterior import posterior
from voiceguard.types import SpeakerScore


def scored(*llrs: float | None) -> list[SpeakerScore]:
    """Speakers a, b, c, ..."""
    return [
        SpeakerScore(speaker=chr(ord("a") + i), cosine=0.5, normalised=1.0, llr=llr)
        for i, llr in enumerate(llrs)
    ]


def test_one_speaker_is_the_logistic_of_llr_and_prior() -> None:
    assert posterior(scored(0.0), "a", 0.5) == pytest.approx(0.5)
    assert posterior(scored(math.log(9)), "a", 0.5) == pytest.approx(0.9)
    assert posterior(scored(math.log(9)), "a", 0.1) == pytest.approx(0.5)


def test_the_prior_is_divided_among_the_enrolled() -> None:
    assert posterior(scored(0.0, 0.0), "b", 0.5) == pytest.approx(0.25)
    two = [posterior(scored(5.0, 5.0), name, 0.5) for name in "ab"]
    assert two[0] == two[1] == pytest.approx(math.exp(5) / (2 + 2 * math.exp(5)))


def test_where_an_llr_is_missing_nobody_can_say() -> None:
    for llrs in ((None,), (3.0, None), (math.nan,), (math.inf, 1.0), ()):
        assert posterior(scored(*llrs), "a", 0.5) is None
    assert posterior(scored(3.0), "z", 0.5) is None


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=8), st.floats(0.001, 0.999))
def test_they_are_probabilities_and_the_best_has_the_highest(
    llrs: list[float], p_target: float
) -> None:
    scores = scored(*llrs)
    found = [posterior(scores, each.speaker, p_target) or 0.0 for each in scores]
    assert all(0 < each < 1 for each in found)
    assert sum(found) < 1
    assert found[llrs.index(max(llrs))] == max(found)


def test_an_llr_beyond_every_exponential_is_still_a_probability() -> None:
    assert posterior(scored(1e4, -1e4), "a", 0.5) == pytest.approx(1.0)
    assert posterior(scored(1e4, -1e4), "b", 0.5) == 0.0
