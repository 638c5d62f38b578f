"""The eight figures that encoders are compared by: four lengths, noise, rooms, both, strict use.

In: an evaluation of encoders. Out: per encoder and corpus a ``Summary``, by cosine. Published
tables quote these and name the command; ``plan`` tests nothing that is not among them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from voiceguard.lab.corpora.conditions import CLEAN, NOISY_ROOM, REVERBERANT
from voiceguard.lab.evaluation.encoders.figures import COSINE, MEAN

if TYPE_CHECKING:
    from voiceguard.lab.evaluation.encoders.results import EncoderEvaluation
    from voiceguard.lab.evaluation.plan import Plan


class Column(NamedTuple):
    """One figure of one condition and length."""

    name: str
    condition: str
    length: str
    figure: Literal["eer", "min_dcf_01"] = "eer"


COLUMNS = (
    *(Column(length, CLEAN, length) for length in ("1 s", "2 s", "3 s", "5 s")),
    Column("3 s, 5 dB", "5 dB", "3 s"),
    Column("3 s, rooms", REVERBERANT, "3 s"),
    Column("2 s, 10 dB + rooms", NOISY_ROOM, "2 s"),
    Column("minDCF(0.01) 3 s", CLEAN, "3 s", "min_dcf_01"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryFigure:
    """One column of one row."""

    column: str
    value: float
    """A rate as a fraction, or a normalised cost."""
    interval: tuple[float, float] | None
    """95 % of an EER, for other speakers than these; None where there are too few."""
    num_target: int
    num_nontarget: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One encoder on one corpus."""

    label: str
    corpus: str
    """``mean``: of the corpora's figures, each counting the same; also where there is one."""
    figures: tuple[SummaryFigure | None, ...]
    """By ``COLUMNS``; None where there was no noise, no room, or no speech as long."""


def summary_plan(plan: Plan) -> Plan:
    """What the summary needs of a plan: its cells, crops only, of every session that there is."""
    cells = frozenset((column.condition, column.length) for column in COLUMNS)
    needed = {condition for condition, _ in cells}
    return replace(
        plan,
        conditions=tuple(each for each in plan.conditions if each.name in needed),
        cells=cells,
        with_whole=False,
        every_session=True,
        fitting=(),
        brief=(),
    )


def summarise(evaluation: EncoderEvaluation) -> tuple[Summary, ...]:
    """Per encoder each corpus, then their mean."""
    rows = {
        (row.label, row.corpus, row.condition, row.length): row
        for row in evaluation.figures
        if row.scoring == COSINE
    }

    def found(label: str, corpus: str, column: Column) -> SummaryFigure | None:
        row = rows.get((label, corpus, column.condition, column.length))
        if row is None and corpus == MEAN:
            # Of a single corpus there is no mean row beside it.
            alone = [rows.get((label, each, *column[1:3])) for each in evaluation.corpora]
            row = next((each for each in alone if each is not None), None)
        if row is None:
            return None
        is_rate = column.figure == "eer"
        return SummaryFigure(
            column=column.name,
            value=row.eer if is_rate else row.min_dcf_01,
            interval=row.eer_interval if is_rate else None,
            num_target=row.num_target,
            num_nontarget=row.num_nontarget,
        )

    return tuple(
        Summary(
            label=label,
            corpus=corpus,
            figures=tuple(found(label, corpus, column) for column in COLUMNS),
        )
        for corpus in (*evaluation.corpora, MEAN)
        for label in evaluation.labels
    )
