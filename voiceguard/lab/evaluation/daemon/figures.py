"""How good scores and their calibration are: one row of figures per condition.

In: trials, and for each half a calibration that has not seen it. Out: rows for a report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.lab.corpora.conditions import CLEAN
from voiceguard.lab.corpora.corpus import HALVES
from voiceguard.lab.evaluation.daemon.trials import crossed_llrs
from voiceguard.lab.evaluation.separation import P_TARGET, costs, separation
from voiceguard.lab.fitting.metrics import min_dcf

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voiceguard.lab.fitting.trials import Trials
    from voiceguard.scoring.calibration import Calibration

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


def score_figures(
    trials: Trials, calibrations: Mapping[str, Calibration], *, p_fas: Sequence[float] = P_FAS
) -> list[ScoreFigures]:
    """One row per condition, and ``all`` of them pooled, last.

    Args:
        trials: Before calibration.
        calibrations: By the half that they have not seen.
        p_fas: Rates whose thresholds are tested.
    """
    llrs = crossed_llrs(trials, calibrations)
    assert llrs.surroundings is not None
    pairs = set(zip(llrs.surroundings.tolist(), llrs.condition.tolist(), strict=True))
    noises = list(dict.fromkeys(llrs.surroundings.tolist()))
    in_order = sorted(pairs, key=lambda pair: (pair[0] != CLEAN, noises.index(pair[0]), pair[1]))
    parts = [(name, llrs.select(llrs.condition == name)) for _, name in in_order]
    rows = (_row(name, part, calibrations, p_fas) for name, part in [*parts, ("all", llrs)])
    return [row for row in rows if row is not None]


def _row(
    name: str, llrs: Trials, calibrations: Mapping[str, Calibration], p_fas: Sequence[float]
) -> ScoreFigures | None:
    separated = separation(llrs)
    if separated is None:
        return None
    strangers = llrs.select(~llrs.is_target)
    return ScoreFigures(
        condition=name,
        num_pairs=strangers.num_pairs,
        min_dcf=min_dcf(llrs.target, llrs.nontarget, p_target=P_TARGET),
        **separated,
        **costs(llrs),
        false_accepts=tuple(_false_accepts(strangers, calibrations, p_fa) for p_fa in p_fas),
    )


def _false_accepts(
    strangers: Trials, calibrations: Mapping[str, Calibration], p_fa: float
) -> float:
    """Share above the threshold that each half's foreign calibration promises for ``p_fa``."""
    thresholds = np.array([calibrations[half].threshold_for(p_fa).llr for half in HALVES])
    return float(np.mean(strangers.score > thresholds[strangers.fold]))
