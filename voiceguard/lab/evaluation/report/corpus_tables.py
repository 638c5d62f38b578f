"""The daemon's decisions corpus by corpus, and in homes of several, as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.lab.evaluation.daemon.households import SHARED
from voiceguard.lab.evaluation.report.layout import interval, make_table, percent, policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from voiceguard.lab.evaluation.daemon.by_corpus import CorpusFigures
    from voiceguard.lab.evaluation.daemon.households import HouseholdFigures
    from voiceguard.lab.fitting.rates import Rate

ELSEWHERE = ("3 s clean", "full clean")
"""Of policies that are not shipped, only these conditions are shown."""


def corpus_table(rows: Sequence[CorpusFigures], shipped_p_fa: float) -> Table:
    """Accepts of the speaker and of strangers, the mean of the corpora and each of them."""
    table = make_table(
        "Decisions by corpus: accepted at the end",
        "in % of the trials, one voiceprint enrolled at a time; mean: of the corpora's rates; "
        "95 %: interval for other speakers; bound: one-sided 95 %; unheard: of the speaker's own; "
        "Cllr in bits",
        ["p_fa", "condition", "corpus"],
        [
            *("same", "other session", "trials", "strangers", "95 %", "bound", "pairs"),
            *("unheard", "Cllr_min", "Cllr"),
        ],
    )
    for row in rows:
        if row.p_fa != shipped_p_fa and row.condition not in ELSEWHERE:
            continue
        own = [rate.num_trials for rate in (row.same_session, row.other_session) if rate]
        table.add_row(
            policy(row.p_fa, shipped_p_fa),
            row.condition,
            row.corpus,
            _value(row.same_session),
            _value(row.other_session),
            " + ".join(map(str, own)) or "-",
            _value(row.strangers, 2),
            "-" if row.strangers is None else interval(row.strangers, 2),
            "-" if row.strangers is None else percent(row.strangers.upper, 2),
            "-" if row.strangers is None else str(row.strangers.num_pairs),
            percent(row.not_heard),
            "-" if row.min_cllr is None else f"{row.min_cllr:.2f}",
            "-" if row.cllr is None else f"{row.cllr:.2f}",
        )
    return table


def household_table(rows: Sequence[HouseholdFigures]) -> Table:
    """What it costs to enroll several people."""
    table = make_table(
        "Several people enrolled together",
        "in % of the trials, accepted at the end; strangers: as anybody, with the 95 % interval by "
        "who speaks; shared: one p_fa for all of them; each: a rate per hour for every voiceprint, "
        "which lets as many more strangers in as there are voiceprints",
        ["condition", "promise"],
        ["people", "same", "other session", "trials", "strangers", "95 %"],
    )
    for row in rows:
        own = [rate.num_trials for rate in (row.same_session, row.other_session) if rate]
        table.add_row(
            row.condition,
            "one p_fa, shared" if row.promise == SHARED else "per hour, each",
            str(row.size),
            _value(row.same_session),
            _value(row.other_session),
            " + ".join(map(str, own)) or "-",
            _value(row.strangers, 2),
            "-" if row.strangers is None else interval(row.strangers, 2),
        )
    return table


def _value(rate: Rate | None, digits: int = 1) -> str:
    return "-" if rate is None else percent(rate.value, digits)
