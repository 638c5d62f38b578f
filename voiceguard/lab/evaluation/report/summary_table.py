"""The summary of encoders for people and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voiceguard.lab.evaluation.encoders.summary import COLUMNS, summarise
from voiceguard.lab.evaluation.report.encoder_tables import comparison_table, plain_evaluation, span
from voiceguard.lab.evaluation.report.layout import make_table, percent, plain

if TYPE_CHECKING:
    from rich.table import Table

    from voiceguard.lab.evaluation.encoders.results import EncoderEvaluation
    from voiceguard.lab.evaluation.encoders.summary import Column, SummaryFigure

_COUNTED = next(n for n, column in enumerate(COLUMNS) if column.name == "3 s")


def summary_tables(evaluation: EncoderEvaluation) -> list[Table]:
    """The eight figures, and where there are several encoders how sure their differences are."""
    table = make_table(
        "Encoders in eight figures",
        "EER in %, and minDCF at p_target 0.01, by cosine; beside 3 s the 95 % interval for other "
        "speakers and the trials; mean: of the corpora's figures; -: no noise, rooms or speech for "
        f"it; {evaluation.num_enrolled} of {evaluation.num_speakers} speakers enrolled",
        ["corpus", "encoder"],
        [*(column.name for column in COLUMNS), "3 s: 95 %", "targets", "strangers"],
    )
    for row in summarise(evaluation):
        counted = row.figures[_COUNTED]
        table.add_row(
            row.corpus,
            row.label,
            *map(_shown, COLUMNS, row.figures),
            "-" if counted is None else span(counted.interval),
            "-" if counted is None else str(counted.num_target),
            "-" if counted is None else str(counted.num_nontarget),
        )
    return [table, *([comparison_table(evaluation)] if evaluation.comparisons else ())]


def plain_summary(evaluation: EncoderEvaluation) -> dict[str, Any]:
    """For JSON: the rows of the table, and everything that they were made from."""
    rows = [
        {
            "label": row.label,
            "corpus": row.corpus,
            "figures": {
                column.name: None if figure is None else plain([figure])[0]
                for column, figure in zip(COLUMNS, row.figures, strict=True)
            },
        }
        for row in summarise(evaluation)
    ]
    return {"summary": rows, **plain_evaluation(evaluation)}


def _shown(column: Column, figure: SummaryFigure | None) -> str:
    if figure is None:
        return "-"
    return percent(figure.value, 2) if column.figure == "eer" else f"{figure.value:.3f}"
