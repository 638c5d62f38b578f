"""An evaluation of encoders as tables for people and as plain values for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voiceguard.lab.evaluation.encoders.figures import COSINE, MEAN
from voiceguard.lab.evaluation.report.layout import make_table, percent, plain

if TYPE_CHECKING:
    from rich.table import Table

    from voiceguard.lab.evaluation.encoders.results import EncoderEvaluation


def encoder_tables(evaluation: EncoderEvaluation) -> list[Table]:
    """Figures per condition, what encoders cost, and where there are several how they compare."""
    tables = [_figure_table(evaluation), _cost_table(evaluation)]
    if evaluation.comparisons:
        tables.append(comparison_table(evaluation))
    return tables


def plain_evaluation(evaluation: EncoderEvaluation) -> dict[str, Any]:
    """For JSON: no NaN, figures to six digits; the trials are not in it."""
    return {
        "num_speakers": evaluation.num_speakers,
        "num_enrolled": evaluation.num_enrolled,
        "encoders": plain(evaluation.costs),
        "figures": plain(evaluation.figures),
        "comparisons": [
            {**row, "is_certain": comparison.is_certain}
            for row, comparison in zip(
                plain(evaluation.comparisons), evaluation.comparisons, strict=True
            )
        ],
        "skips": [{"path": str(skip.path), "reason": skip.reason} for skip in evaluation.skips],
    }


def _figure_table(evaluation: EncoderEvaluation) -> Table:
    table = make_table(
        "Encoders alone, every voiceprint of a corpus against everybody's tests in it",
        "EER in % with the 95 % interval for other speakers; same, other: of targets in the "
        "enrollment's session and in others; minDCF at p_target 0.01 and 0.05, actDCF at 0.01; "
        "Cllr in bits; mean: of the corpora's figures",
        ["condition", "length", "corpus", "encoder"],
        [
            *("targets", "strangers", "EER", "95 %", "same", "other"),
            *("minDCF.01", "minDCF.05", "actDCF", "Cllr_min", "Cllr"),
        ],
    )
    corpora = (MEAN, *evaluation.corpora)
    ordered = sorted(
        evaluation.figures,
        key=lambda row: (
            evaluation.conditions.index(row.condition),
            evaluation.lengths.index(row.length),
            corpora.index(row.corpus),
        ),
    )
    for row in ordered:
        table.add_row(
            row.condition,
            row.length,
            row.corpus,
            row.label if row.scoring == COSINE else f"{row.label} {row.scoring}",
            str(row.num_target),
            str(row.num_nontarget),
            percent(row.eer, 2),
            span(row.eer_interval),
            percent(row.eer_same_session, 2),
            percent(row.eer_cross_session, 2),
            f"{row.min_dcf_01:.3f}",
            f"{row.min_dcf_05:.3f}",
            "-" if row.act_dcf is None else f"{row.act_dcf:.3f}",
            f"{row.min_cllr:.3f}",
            "-" if row.cllr is None else f"{row.cllr:.3f}",
        )
    return table


def comparison_table(evaluation: EncoderEvaluation) -> Table:
    """The first encoder against each other one."""
    table = make_table(
        f"{evaluation.labels[0]} against the others, mean of the corpora's EERs, by cosine",
        "difference: relative to the other encoder; 95 %: speaker-paired interval; *: it excludes "
        "no difference",
        ["condition", "length", "other"],
        ["EER", "its EER", "difference %", "95 %", ""],
    )
    for row in evaluation.comparisons:
        table.add_row(
            row.condition,
            row.length,
            row.other,
            percent(row.eer_first, 2),
            percent(row.eer_other, 2),
            "-" if row.relative_difference is None else f"{100 * row.relative_difference:+.0f}",
            "-" if row.interval is None else " to ".join(f"{100 * x:+.0f}" for x in row.interval),
            "*" if row.is_certain else "",
        )
    return table


def _cost_table(evaluation: EncoderEvaluation) -> Table:
    table = make_table(
        "What they take",
        "CPU time of one embedding of 3 s, median; id: of weights and features",
        ["encoder", "id"],
        ["parameters", "dimensions", "CPU ms"],
    )
    for cost in evaluation.costs:
        table.add_row(
            cost.label,
            cost.encoder_id,
            f"{cost.num_parameters:,}",
            str(cost.embedding_dim),
            f"{cost.cpu_ms:.1f}",
        )
    return table


def span(interval: tuple[float, float] | None) -> str:
    """``1.2-3.4`` in percent; a dash for nothing."""
    return "-" if interval is None else "-".join(percent(end) for end in interval)
