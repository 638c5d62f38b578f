"""How well an encoder's scores separate speakers: a row of figures per condition and corpus.

In: trials of one condition and length. Out: rows for a table, and the EERs of every draw of
speakers, which the comparison of two encoders is made from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from voiceguard.lab.evaluation.separation import P_TARGET, costs, separation
from voiceguard.lab.fitting.metrics import min_dcf
from voiceguard.lab.fitting.resampling import eer_per_draw, interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voiceguard.lab.fitting.resampling import SpeakerDraws
    from voiceguard.lab.fitting.trials import Trials

COSINE = "cosine"
S_NORM = "s-norm"
MEAN = "mean"
"""Stands for a corpus in rows that are means over all of them."""
P_TARGETS = (P_TARGET, 0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderFigures:
    """One encoder, condition, length and corpus; rates and costs as fractions, Cllr in bits."""

    label: str
    scoring: str
    """``cosine``, or ``s-norm``: normalised with the encoder's cohort."""
    corpus: str
    """``mean``: of the corpora's figures, each counting the same; trials are added up."""
    condition: str
    length: str
    num_target: int
    num_nontarget: int
    eer: float
    eer_interval: tuple[float, float] | None
    """95 %, for other speakers than these; None where there are too few."""
    eer_same_session: float | None
    """None: no such target trials."""
    eer_cross_session: float | None
    min_dcf_01: float
    min_dcf_05: float
    act_dcf: float | None
    """At p_target 0.01; None where no calibration goes with this scoring."""
    cllr: float | None
    min_cllr: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """A row, and what its EER would have been with other speakers."""

    figures: EncoderFigures
    eers: NDArray[np.float64]
    """``(num_draws,)``; empty where speakers are unknown."""


class Line(NamedTuple):
    """Names a row of figures."""

    label: str
    scoring: str
    corpus: str
    condition: str
    length: str


def measure(
    trials: Trials, line: Line, *, llrs: Trials | None, draws: SpeakerDraws | None
) -> Measured | None:
    """Figures of one corpus's trials.

    Args:
        trials: Of one corpus, condition and length, with the scores to judge.
        line: What they are.
        llrs: The same trials, calibrated, if their LLRs were made from these scores.
        draws: Of the corpus's speakers; None: who they are is not known.

    Returns:
        None where there are no target or no non-target trials.
    """
    separated = separation(trials)
    if separated is None:
        return None
    dcf_01, dcf_05 = (
        min_dcf(trials.target, trials.nontarget, p_target=p_target) for p_target in P_TARGETS
    )
    eers = np.empty(0) if draws is None else eer_per_draw(trials, draws)
    spent = None if llrs is None else costs(llrs)
    figures = EncoderFigures(
        **line._asdict(),
        **separated,
        act_dcf=None if spent is None else spent["act_dcf"],
        cllr=None if spent is None else spent["cllr"],
        eer_interval=interval(eers),
        min_dcf_01=dcf_01,
        min_dcf_05=dcf_05,
    )
    return Measured(figures=figures, eers=eers)


_AVERAGED = (
    "eer", "eer_same_session", "eer_cross_session", "min_dcf_01", "min_dcf_05", "act_dcf", "cllr",
    "min_cllr",
)  # fmt: skip


def mean_over_corpora(rows: Sequence[Measured]) -> Measured:
    """Each corpus counts the same, however many trials it has."""
    eers = np.mean([row.eers for row in rows], axis=0)
    each = [row.figures for row in rows]

    def mean(name: str) -> float | None:
        values = [value for row in each if (value := getattr(row, name)) is not None]
        return float(np.mean(values)) if values else None

    averaged: dict[str, Any] = {name: mean(name) for name in _AVERAGED}
    figures = replace(
        each[0],
        corpus=MEAN,
        num_target=sum(row.num_target for row in each),
        num_nontarget=sum(row.num_nontarget for row in each),
        eer_interval=interval(eers),
        **averaged,
    )
    return Measured(figures=figures, eers=eers)
