"""How good scores and their calibration are: one row of figures per condition.

In: trials, and for each half a calibration that has not seen it. Out: rows for a report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.lab.corpora.conditions import CLEAN
from voiceguard.lab.corpora.corpus import HALVES
from voiceguard.lab.evaluation.daemon.pairing import Kind
from voiceguard.lab.fitting.metrics import act_dcf, cllr, eer, min_cllr, min_dcf

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from voiceguard.lab.evaluation.daemon.pairing import Scored
    from voiceguard.lab.fitting.trials import Trials
    from voiceguard.scoring.calibration import Calibration

P_TARGET = 0.01
P_FAS = (1e-2, 1e-3)
"""Promises that are put to the test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreFigures:
    """One condition; rates and costs as fractions, Cllr in bits."""

    condition: str
    num_target: int
    num_nontarget: int
    num_pairs: int
    """Of different speakers: non-target trials of one pair are not independent."""
    eer: float
    eer_same_session: float | None
    """None: no such target trials."""
    eer_cross_session: float | None
    min_dcf: float
    act_dcf: float
    cllr: float
    min_cllr: float
    false_accepts: tuple[float, ...]
    """Measured at the thresholds promised for each of P_FAS."""


def crossed_llrs(trials: Trials, calibrations: Mapping[str, Calibration]) -> Trials:
    """Each half's trials, calibrated by what was fitted to the other half."""
    llr = np.empty(len(trials))
    for fold, half in enumerate(HALVES):
        rows = trials.fold == fold
        llr[rows] = calibrations[half].llr(
            trials.score[rows], trials.net_speech_s[rows], trials.snr_db[rows]
        )
    return trials.with_score(llr)


def score_figures(
    scored: Scored, calibrations: Mapping[str, Calibration], *, p_fas: Sequence[float] = P_FAS
) -> list[ScoreFigures]:
    """One row per condition, and ``all`` of them pooled, last.

    Args:
        scored: Trials before calibration.
        calibrations: By the half that they have not seen.
        p_fas: Rates whose thresholds are tested.
    """
    llrs = crossed_llrs(scored.trials, calibrations)
    pairs = set(zip(scored.noise.tolist(), llrs.condition.tolist(), strict=True))
    noises = list(dict.fromkeys(scored.noise.tolist()))
    in_order = sorted(pairs, key=lambda pair: (pair[0] != CLEAN, noises.index(pair[0]), pair[1]))
    conditions = [(name, llrs.condition == name) for _, name in in_order]
    return [
        _row(name, llrs, scored.kind, rows, calibrations, p_fas)
        for name, rows in [*conditions, ("all", np.ones(len(llrs), np.bool_))]
        if (llrs.is_target & rows).any() and (~llrs.is_target & rows).any()
    ]


def _row(
    name: str,
    llrs: Trials,
    kind: NDArray[np.str_],
    rows: NDArray[np.bool_],
    calibrations: Mapping[str, Calibration],
    p_fas: Sequence[float],
) -> ScoreFigures:
    part = llrs.select(rows)
    strangers = part.select(~part.is_target)

    def eer_of(wanted: Kind) -> float | None:
        target = part.score[kind[rows] == wanted]
        return eer(target, part.nontarget) if len(target) else None

    return ScoreFigures(
        condition=name,
        num_target=len(part.target),
        num_nontarget=len(part.nontarget),
        num_pairs=strangers.num_pairs,
        eer=eer(part.target, part.nontarget),
        eer_same_session=eer_of(Kind.SAME_SESSION),
        eer_cross_session=eer_of(Kind.CROSS_SESSION),
        min_dcf=min_dcf(part.target, part.nontarget, p_target=P_TARGET),
        act_dcf=act_dcf(part.target, part.nontarget, p_target=P_TARGET),
        cllr=cllr(part.target, part.nontarget),
        min_cllr=min_cllr(part.target, part.nontarget),
        false_accepts=tuple(_false_accepts(strangers, calibrations, p_fa) for p_fa in p_fas),
    )


def _false_accepts(
    strangers: Trials, calibrations: Mapping[str, Calibration], p_fa: float
) -> float:
    """Share above the threshold that each half's foreign calibration promises for ``p_fa``."""
    thresholds = np.array([calibrations[half].threshold_for(p_fa).llr for half in HALVES])
    return float(np.mean(strangers.score > thresholds[strangers.fold]))
