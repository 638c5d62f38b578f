"""How well an encoder's scores separate speakers: a row of figures per condition and corpus.

In: trials of one condition and length. Out: rows for a table, and the EERs of every draw of
speakers, which the comparison of two encoders is made from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from voiceguard.lab.evaluation.daemon.pairing import Kind
from voiceguard.lab.fitting.metrics import act_dcf, cllr, eer, min_cllr, min_dcf
from voiceguard.lab.fitting.resampling import eer_per_draw, interval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from voiceguard.lab.evaluation.encoders.trials import EncoderTrials
    from voiceguard.lab.fitting.resampling import SpeakerDraws

COSINE = "cosine"
S_NORM = "s-norm"
MEAN = "mean"
"""Stands for a corpus in rows that are means over all of them."""
P_TARGETS = (0.01, 0.05)


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
    trials: EncoderTrials, line: Line, *, calibrated: bool, draws: SpeakerDraws | None
) -> Measured | None:
    """Figures of one corpus's trials.

    Args:
        trials: Of one corpus, condition and length.
        line: What they are; its scoring says which scores to judge.
        calibrated: Whether the trials' LLRs were made from these scores.
        draws: Of the corpus's speakers; None: who they are is not known.

    Returns:
        None where there are no target or no non-target trials.
    """
    score = trials.score if line.scoring == COSINE else trials.normalised
    assert score is not None  # s-norm is asked of entrants with a cohort
    target, nontarget = score[trials.is_target], score[~trials.is_target]
    if not len(target) or not len(nontarget):
        return None
    act, spent = _costs(trials) if calibrated else (None, None)
    dcf_01, dcf_05 = (min_dcf(target, nontarget, p_target=p_target) for p_target in P_TARGETS)
    eers = np.empty(0)
    if draws is not None:
        eers = eer_per_draw(score, trials.enrolled, trials.tested, draws)
    figures = EncoderFigures(
        **line._asdict(),
        num_target=len(target),
        num_nontarget=len(nontarget),
        eer=eer(target, nontarget),
        eer_interval=interval(eers),
        eer_same_session=_eer_of(score[trials.kind == Kind.SAME_SESSION], nontarget),
        eer_cross_session=_eer_of(score[trials.kind == Kind.CROSS_SESSION], nontarget),
        min_dcf_01=dcf_01,
        min_dcf_05=dcf_05,
        act_dcf=act,
        cllr=spent,
        min_cllr=min_cllr(target, nontarget),
    )
    return Measured(figures=figures, eers=eers)


def _eer_of(target: NDArray[np.float64], nontarget: NDArray[np.float64]) -> float | None:
    return eer(target, nontarget) if len(target) else None


def _costs(trials: EncoderTrials) -> tuple[float, float]:
    """The actual DCF and Cllr."""
    assert trials.llr is not None  # asked of entrants with a calibration
    target, nontarget = trials.llr[trials.is_target], trials.llr[~trials.is_target]
    return act_dcf(target, nontarget, p_target=P_TARGETS[0]), cllr(target, nontarget)


def mean_over_corpora(rows: Sequence[Measured]) -> Measured:
    """Each corpus counts the same, however many trials it has."""
    eers = np.mean([row.eers for row in rows], axis=0)
    each = [row.figures for row in rows]
    first = each[0]

    def mean(value_of: Callable[[EncoderFigures], float | None]) -> float | None:
        values = [value for figures in each if (value := value_of(figures)) is not None]
        return float(np.mean(values)) if values else None

    def certain(value_of: Callable[[EncoderFigures], float]) -> float:
        return float(np.mean([value_of(figures) for figures in each]))

    figures = EncoderFigures(
        label=first.label,
        scoring=first.scoring,
        corpus=MEAN,
        condition=first.condition,
        length=first.length,
        num_target=sum(figures.num_target for figures in each),
        num_nontarget=sum(figures.num_nontarget for figures in each),
        eer=certain(lambda row: row.eer),
        eer_interval=interval(eers),
        eer_same_session=mean(lambda row: row.eer_same_session),
        eer_cross_session=mean(lambda row: row.eer_cross_session),
        min_dcf_01=certain(lambda row: row.min_dcf_01),
        min_dcf_05=certain(lambda row: row.min_dcf_05),
        act_dcf=mean(lambda row: row.act_dcf),
        cllr=mean(lambda row: row.cllr),
        min_cllr=certain(lambda row: row.min_cllr),
    )
    return Measured(figures=figures, eers=eers)
