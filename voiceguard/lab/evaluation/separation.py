"""What both readings say of scores: how well they separate speakers, and what calibration costs.

Pure numpy. In: a table of trials. Out: figures that a row of either reading begins with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from voiceguard.lab.fitting.metrics import act_dcf, cllr, eer, min_cllr
from voiceguard.lab.fitting.trials import Kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voiceguard.lab.fitting.trials import Trials

P_TARGET = 0.01
"""Of the costs that rows of figures name."""


class Separation(TypedDict):
    """Rates as fractions, Cllr in bits."""

    num_target: int
    num_nontarget: int
    eer: float
    eer_same_session: float | None
    """None: no such target trials."""
    eer_cross_session: float | None
    min_cllr: float


def separation(trials: Trials) -> Separation | None:
    """How well scores separate speakers; None without target or without non-target trials."""
    target, nontarget = trials.target, trials.nontarget
    if not len(target) or not len(nontarget):
        return None

    def eer_of(some: NDArray[np.float64]) -> float | None:
        return eer(some, nontarget) if len(some) else None

    return Separation(
        num_target=len(target),
        num_nontarget=len(nontarget),
        eer=eer(target, nontarget),
        eer_same_session=eer_of(trials.of_kind(Kind.SAME_SESSION)),
        eer_cross_session=eer_of(trials.of_kind(Kind.CROSS_SESSION)),
        min_cllr=min_cllr(target, nontarget),
    )


class Costs(TypedDict):
    """What thresholds set by calibrated LLRs cost."""

    act_dcf: float
    """At P_TARGET."""
    cllr: float


def costs(llrs: Trials) -> Costs:
    """Of trials whose scores are LLRs."""
    return Costs(
        act_dcf=act_dcf(llrs.target, llrs.nontarget, p_target=P_TARGET),
        cllr=cllr(llrs.target, llrs.nontarget),
    )
