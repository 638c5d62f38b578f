"""Trials of one encoder: voiceprints against tests of the same corpus, scored.

In: ``Embedded``. Out: tables of trials for figures, DET curves and histograms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from voiceguard.lab.fitting.trials import Kind, Trials
from voiceguard.scoring.cosine import cosines
from voiceguard.scoring.snorm import CohortStatistics, s_norm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voiceguard.lab.corpora.corpus import Recording
    from voiceguard.lab.evaluation.encoders.embeddings import Cell, Embedded
    from voiceguard.scoring.snorm import Cohort
    from voiceguard.service.kit import Kit


class Scored(NamedTuple):
    """The same trials, scored in every way that a kit can."""

    cosine: Trials
    normalised: Trials | None
    """After s-norm; None without a cohort."""
    llrs: Trials | None
    """None without a calibration."""


class Pairs(NamedTuple):
    """Which voiceprint meets which test; indices, ``(num_trials,)`` each."""

    enrollee: NDArray[np.int64]
    test: NDArray[np.int64]
    is_target: NDArray[np.bool_]


def all_pairs(embedded: Embedded, cell: Cell) -> Pairs:
    """Everybody against everybody of the same corpus: another channel gives a stranger away."""
    enrolled, tested = _people(embedded, cell)
    same_corpus = _column(enrolled, "corpus")[:, None] == _column(tested, "corpus")[None, :]
    enrollee, test = np.nonzero(same_corpus)
    is_target = _column(enrolled, "speaker")[enrollee] == _column(tested, "speaker")[test]
    return Pairs(enrollee, test, is_target)


def score_pairs(label: str, kit: Kit, embedded: Embedded, cell: Cell, pairs: Pairs) -> Scored:
    """Scores trials of one condition and length.

    Args:
        label: Of the encoder whose embeddings they are.
        kit: Its cohort and calibration.
        embedded: For its voiceprints and tests.
        cell: The condition and length.
        pairs: Which to score.
    """
    voiceprints = embedded.voiceprints[label]
    embeddings = embedded.embeddings[label][cell]
    matrix = cosines(voiceprints, embeddings)
    cosine = _trials(embedded, cell, pairs, matrix[pairs.enrollee, pairs.test])
    normalised = None
    if kit.cohort is not None:
        score = _s_normed(kit.cohort, voiceprints, embeddings, pairs)
        normalised = cosine.with_score(score)
    llrs = None
    if (calibration := kit.calibration) is not None:
        raw = cosine if calibration.cohort_id is None else normalised
        assert raw is not None  # a calibration is loaded with its cohort only
        llrs = raw.with_score(calibration.llr(raw.score, raw.net_speech_s, raw.snr_db))
    return Scored(cosine, normalised, llrs)


def _trials(embedded: Embedded, cell: Cell, pairs: Pairs, score: NDArray[np.float64]) -> Trials:
    """``(num_trials,)`` scores with who is in each trial; all of one fold, as nothing is fitted."""
    enrolled, tested = _people(embedded, cell)
    rows, columns = pairs.enrollee, pairs.test
    tests = embedded.tests[cell]
    kind = np.where(
        _column(enrolled, "session")[rows] == _column(tested, "session")[columns],
        str(Kind.SAME_SESSION),
        str(Kind.CROSS_SESSION),
    )
    return Trials(
        score=score,
        enrolled=_column(enrolled, "speaker")[rows],
        tested=_column(tested, "speaker")[columns],
        net_speech_s=np.array([test.net_speech_s for test in tests])[columns],
        snr_db=np.array([test.snr_db for test in tests])[columns],
        fold=np.zeros(len(score), np.int64),
        condition=np.full(len(score), f"{cell.length} {cell.condition}"),
        surroundings=np.full(len(score), cell.condition),
        kind=np.where(pairs.is_target, kind, str(Kind.STRANGER)),
    )


def _s_normed(
    cohort: Cohort,
    voiceprints: NDArray[np.float32],
    embeddings: NDArray[np.float32],
    pairs: Pairs,
) -> NDArray[np.float64]:
    voiceprints, embeddings = cohort.projected(voiceprints), cohort.projected(embeddings)
    enrolled, tested = cohort.statistics(voiceprints), cohort.statistics(embeddings)
    return s_norm(
        cosines(voiceprints, embeddings)[pairs.enrollee, pairs.test],
        CohortStatistics(enrolled.mean[pairs.enrollee], enrolled.deviation[pairs.enrollee]),
        CohortStatistics(tested.mean[pairs.test], tested.deviation[pairs.test]),
    )


def _people(embedded: Embedded, cell: Cell) -> tuple[Sequence[Recording], Sequence[Recording]]:
    """Who is enrolled, and who is tested in a cell."""
    return embedded.enrollees, [test.about for test in embedded.tests[cell]]


def _column(items: Sequence[Recording], name: str) -> NDArray[np.str_]:
    """``(num_items,)``."""
    return np.array([getattr(item, name) for item in items], dtype=np.str_)
