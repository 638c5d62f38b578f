"""Trials of one encoder: voiceprints against tests of the same corpus, scored.

In: ``Embedded``. Out: ``EncoderTrials``, columns for figures, DET curves and histograms.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from voiceguard.lab.evaluation.daemon.pairing import Kind
from voiceguard.scoring.snorm import CohortStatistics, s_norm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voiceguard.lab.evaluation.encoders.embeddings import Embedded
    from voiceguard.lab.evaluation.encoders.protocol import Enrollee, Tested
    from voiceguard.protocols import Encoder
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.snorm import Cohort


@dataclass(frozen=True, slots=True)
class Entrant:
    """An encoder in the table, with what belongs to it where there is something.

    Args:
        encoder: As loaded: one that remembers would answer too fast when it is timed.
        cohort: Normalises scores, in figures of their own beside the plain cosine's.
        calibration: Makes LLRs.
        label: In tables; the encoder's name where empty.

    Raises:
        ValueError: They do not belong together.
    """

    encoder: Encoder
    cohort: Cohort | None = None
    calibration: Calibration | None = None
    label: str = ""

    def __post_init__(self) -> None:
        encoder_id = self.encoder.info.encoder_id
        if self.cohort is not None and self.cohort.encoder_id != encoder_id:
            raise ValueError(f"the cohort belongs to encoder {self.cohort.encoder_id}")
        if self.calibration is None:
            return
        if self.calibration.encoder_id != encoder_id:
            raise ValueError(f"the calibration belongs to encoder {self.calibration.encoder_id}")
        expected = self.calibration.cohort_id
        if expected is not None and (self.cohort is None or self.cohort.cohort_id != expected):
            raise ValueError(f"the calibration was fitted with cohort {expected}")

    @property
    def name(self) -> str:
        """The label, or else the encoder's name."""
        return self.label or self.encoder.info.name


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncoderTrials:
    """Columns of ``(num_trials,)``; higher scores speak for the target."""

    score: NDArray[np.float64]
    """Cosine."""
    normalised: NDArray[np.float64] | None
    """After s-norm; None without a cohort."""
    llr: NDArray[np.float64] | None
    """Natural logarithm; None without a calibration."""
    is_target: NDArray[np.bool_]
    kind: NDArray[np.str_]
    """``pairing.Kind``."""
    enrolled: NDArray[np.str_]
    tested: NDArray[np.str_]
    enrolled_session: NDArray[np.str_]
    tested_session: NDArray[np.str_]
    corpus: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.score)

    @property
    def target(self) -> NDArray[np.float64]:
        """Cosines of the target trials, ``(num_target,)``."""
        return self.score[self.is_target]

    @property
    def nontarget(self) -> NDArray[np.float64]:
        """Cosines of the non-target trials, ``(num_nontarget,)``."""
        return self.score[~self.is_target]

    def of_corpus(self, corpus: str) -> EncoderTrials:
        """The trials of one corpus."""
        rows = self.corpus == corpus
        columns = {column.name: getattr(self, column.name) for column in fields(self)}
        chosen: dict[str, Any] = {
            name: None if value is None else value[rows] for name, value in columns.items()
        }
        return EncoderTrials(**chosen)


class Pairs(NamedTuple):
    """Which voiceprint meets which test; indices, ``(num_trials,)`` each."""

    enrollee: NDArray[np.int64]
    test: NDArray[np.int64]
    is_target: NDArray[np.bool_]


def all_pairs(enrollees: Sequence[Enrollee], tests: Sequence[Tested]) -> Pairs:
    """Everybody against everybody of the same corpus: another channel gives a stranger away."""
    same_corpus = _column(enrollees, "corpus")[:, None] == _column(tests, "corpus")[None, :]
    enrollee, test = np.nonzero(same_corpus)
    is_target = _column(enrollees, "speaker")[enrollee] == _column(tests, "speaker")[test]
    return Pairs(enrollee, test, is_target)


def score_pairs(
    entrant: Entrant,
    embedded: Embedded,
    tests: Sequence[Tested],
    embeddings: NDArray[np.float32],
    pairs: Pairs,
) -> EncoderTrials:
    """Scores trials of one condition and length.

    Args:
        entrant: Whose embeddings they are.
        embedded: For its voiceprints.
        tests: Of the condition and length.
        embeddings: ``(num_tests, embedding_dim)``.
        pairs: Which to score.
    """
    voiceprints = embedded.voiceprints[entrant.name]
    rows, columns = pairs.enrollee, pairs.test
    matrix = np.clip(np.asarray(voiceprints @ embeddings.T, np.float64), -1.0, 1.0)
    score = matrix[rows, columns]
    normalised = _s_normed(entrant.cohort, score, voiceprints, embeddings, pairs)
    llr = None
    if entrant.calibration is not None:
        raw = score if entrant.calibration.cohort_id is None else normalised
        assert raw is not None  # an entrant has the cohort that its calibration expects
        llr = entrant.calibration.llr(
            raw,
            np.array([test.net_speech_s for test in tests])[columns],
            np.array([test.snr_db for test in tests])[columns],
        )
    enrollees = embedded.enrollees
    enrolled_session = _column(enrollees, "session")[rows]
    tested_session = _column(tests, "session")[columns]
    kind = np.where(
        enrolled_session == tested_session, str(Kind.SAME_SESSION), str(Kind.CROSS_SESSION)
    )
    return EncoderTrials(
        score=score,
        normalised=normalised,
        llr=llr,
        is_target=pairs.is_target,
        kind=np.where(pairs.is_target, kind, str(Kind.STRANGER)),
        enrolled=_column(enrollees, "speaker")[rows],
        tested=_column(tests, "speaker")[columns],
        enrolled_session=enrolled_session,
        tested_session=tested_session,
        corpus=_column(tests, "corpus")[columns],
    )


def _s_normed(
    cohort: Cohort | None,
    score: NDArray[np.float64],
    voiceprints: NDArray[np.float32],
    embeddings: NDArray[np.float32],
    pairs: Pairs,
) -> NDArray[np.float64] | None:
    if cohort is None:
        return None
    enrolled, tested = cohort.statistics(voiceprints), cohort.statistics(embeddings)
    return s_norm(
        score,
        CohortStatistics(enrolled.mean[pairs.enrollee], enrolled.deviation[pairs.enrollee]),
        CohortStatistics(tested.mean[pairs.test], tested.deviation[pairs.test]),
    )


def _column(items: Sequence[Enrollee] | Sequence[Tested], name: str) -> NDArray[np.str_]:
    return np.array([getattr(item, name) for item in items], dtype=np.str_)
