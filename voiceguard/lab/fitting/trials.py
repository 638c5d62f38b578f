"""A table of trials with known answers, for fitting calibrations and measuring error rates."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Kind(StrEnum):
    """Who speaks, and when."""

    SAME_SESSION = "same session"
    """The enrolled speaker, on the occasion of the enrollment."""
    CROSS_SESSION = "other session"
    """The enrolled speaker on another occasion: what daily use is like."""
    STRANGER = "stranger"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trials:
    """Columns of ``(num_trials,)``; a trial is a target trial where ``enrolled == tested``.

    Or where ``kind`` says so, if it is there: listed trials may not name their speakers.
    """

    score: NDArray[np.float64]
    """As the scorer gives it before calibration (or LLRs, after it)."""
    enrolled: NDArray[np.str_]
    """Whose voiceprint. Names are unique across corpora ("voxforge/rortiz")."""
    tested: NDArray[np.str_]
    """Who spoke."""
    net_speech_s: NDArray[np.float64]
    snr_db: NDArray[np.float64]
    fold: NDArray[np.int64]
    """Which part of the speakers: both of a trial's speakers belong to the same one."""
    condition: NDArray[np.str_]
    """What is fitted with equal weight and told apart in figures: "3 s clean", "1 s 5 dB"."""
    surroundings: NDArray[np.str_] | None = None
    """What promised error rates shall hold in separately: "clean", "5 dB". None: the condition."""
    kind: NDArray[np.str_] | None = None
    """``Kind``; None: nobody told."""

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self._columns().items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"columns of unequal length: {lengths}")

    def _columns(self) -> dict[str, Any]:
        columns = {column.name: getattr(self, column.name) for column in fields(self)}
        return {name: column for name, column in columns.items() if column is not None}

    def __len__(self) -> int:
        return len(self.score)

    @property
    def is_target(self) -> NDArray[np.bool_]:
        """``(num_trials,)``."""
        if self.kind is not None:
            return np.asarray(self.kind != Kind.STRANGER)
        return np.asarray(self.enrolled == self.tested)

    @property
    def target(self) -> NDArray[np.float64]:
        """Scores of the target trials, ``(num_target,)``."""
        return self.score[self.is_target]

    @property
    def nontarget(self) -> NDArray[np.float64]:
        """Scores of the non-target trials, ``(num_nontarget,)``."""
        return self.score[~self.is_target]

    @property
    def speakers(self) -> NDArray[np.str_]:
        """``(num_speakers,)``: everybody, once, in alphabetical order."""
        return np.unique(np.concatenate([self.enrolled, self.tested]))

    @property
    def num_enrolled(self) -> int:
        """Speakers who meet their own voiceprint."""
        return len(np.unique(self.enrolled[self.is_target]))

    @property
    def num_pairs(self) -> int:
        """Pairs of speakers, in either order: trials of one pair are not independent."""
        ordered = np.sort(np.stack([self.enrolled, self.tested]), axis=0)
        return len(set(map(tuple, ordered.T.tolist())))

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Trials:
        """The rows of a mask, or those of a list of indices, repeated as often as listed.

        Args:
            rows: ``(num_trials,)`` of a mask, or ``(num_rows,)`` indices.
        """
        return Trials(**{name: column[rows] for name, column in self._columns().items()})

    def of_kind(self, kind: Kind) -> NDArray[np.float64]:
        """Scores of the trials of one kind, ``(num_of_kind,)``; none where nobody told."""
        return self.score[:0] if self.kind is None else self.score[self.kind == kind]

    def in_surroundings(self, *names: str) -> Trials:
        """The trials in these surroundings."""
        assert self.surroundings is not None
        return self.select(np.isin(self.surroundings, names))

    def of_corpus(self, corpus: str) -> Trials:
        """The trials of one corpus; no trial crosses two of them."""
        return self.select(np.char.startswith(self.tested, f"{corpus}/"))

    def with_score(self, score: NDArray[np.float64]) -> Trials:
        """The same trials with other scores, ``(num_trials,)``."""
        return replace(self, score=score)
