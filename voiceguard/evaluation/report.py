"""Figures as tables for people and as plain values for machines."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table

from voiceguard.evaluation.figures import P_FAS
from voiceguard.types import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.evaluation.decisions import DecisionFigures
    from voiceguard.evaluation.figures import ScoreFigures


def percent(rate: float | None, digits: int = 1) -> str:
    """``7.2``; a dash for nothing."""
    return "-" if rate is None else f"{100 * rate:.{digits}f}"


def score_table(figures: Sequence[ScoreFigures]) -> Table:
    """One line per condition: how well scores separate, and how well calibration keeps its word."""
    table = Table(
        title="Scores, cross-fitted: each half under the calibration of the other",
        caption="rates in %; minDCF and actDCF at p_target 0.01; Cllr in bits; FA: false accepts "
        "at the threshold that was promised for that rate; pairs: of different speakers",
        box=None,
        header_style="bold",
    )
    table.add_column("condition")
    for name in ("targets", "strangers", "pairs", "EER", "same", "other", "minDCF", "actDCF"):
        table.add_column(name, justify="right")
    for name in ("Cllr_min", "Cllr", *(f"FA@{100 * rate:g}%" for rate in P_FAS)):
        table.add_column(name, justify="right")
    for row in figures:
        table.add_row(
            row.condition,
            str(row.num_target),
            str(row.num_nontarget),
            str(row.num_pairs),
            percent(row.eer),
            percent(row.eer_same_session),
            percent(row.eer_cross_session),
            f"{row.min_dcf:.2f}",
            f"{row.act_dcf:.2f}",
            f"{row.min_cllr:.2f}",
            f"{row.cllr:.2f}",
            *(percent(rate, 2) for rate in row.false_accepts),
        )
    return table


def decision_table(figures: Sequence[DecisionFigures], p_fa: float) -> Table:
    """One line per condition and kind of trial: what the daemon would have said."""
    table = Table(
        title=f"Final decisions at p_fa {p_fa:g}, one voiceprint enrolled at a time",
        caption="in % of the trials; 95 %: interval of the accepts, for other speakers; early: "
        "accepted by a provisional result; short: inconclusive for too little speech; FA/h: final "
        "accepts per hour of other people's speech and voiceprint",
        box=None,
        header_style="bold",
    )
    table.add_column("condition")
    table.add_column("who speaks")
    for name in ("trials", "accepted", "95 %", "early", "rejected", "inconcl.", "short"):
        table.add_column(name, justify="right")
    for name in ("unheard", "FA/h"):
        table.add_column(name, justify="right")
    for row in figures:
        digits = 2 if row.kind == "stranger" else 1
        interval = row.accepted_interval
        table.add_row(
            row.condition,
            str(row.kind),
            str(row.num_trials),
            percent(row.accepted, digits),
            "-" if interval is None else " to ".join(percent(end, digits) for end in interval),
            percent(row.accepted_early, digits),
            percent(row.rejected),
            percent(row.inconclusive),
            percent(row.inconclusive_reasons.get(Reason.TOO_SHORT, 0) / row.num_trials),
            percent(row.not_heard),
            f"{row.accepts_per_hour:.1f}"
            if row.accepts_per_hour is not None and row.kind == "stranger"
            else "-",
        )
    return table


def plain(rows: Sequence[ScoreFigures] | Sequence[DecisionFigures]) -> list[dict[str, Any]]:
    """For JSON: no NaN, figures to six digits."""
    return [{name: _plain(value) for name, value in asdict(row).items()} for row in rows]


def _plain(value: Any) -> Any:  # noqa: ANN401  # whatever a row holds
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
