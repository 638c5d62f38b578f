"""What the daemon decides in each corpus, and the mean of them: corpora differ more than encoders.

In: trials as decided, and their LLRs. Out: a row per policy, condition and corpus, the mean first,
in which each corpus counts the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.lab.evaluation.daemon.decisions import NOT_HEARD
from voiceguard.lab.evaluation.encoders.figures import MEAN
from voiceguard.lab.fitting.metrics import cllr, min_cllr
from voiceguard.lab.fitting.rates import Counted, mean_rate, speaker_rate
from voiceguard.lab.fitting.trials import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voiceguard.lab.evaluation.daemon.decisions import Decided
    from voiceguard.lab.fitting.rates import Rate
    from voiceguard.lab.fitting.trials import Trials


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFigures:
    """One policy, condition and corpus; None: no such trials."""

    p_fa: float
    condition: str
    corpus: str
    """``mean``: of the corpora's rates."""
    same_session: Rate | None
    """Accepted at the end, of the enrolled speaker's segments."""
    other_session: Rate | None
    strangers: Rate | None
    """Accepted at the end."""
    not_heard: float | None
    """Of the enrolled speaker's utterances."""
    cllr: float | None
    """In bits, of the LLRs that were decided by."""
    min_cllr: float | None


def corpus_figures(decided: Sequence[Decided], llrs: Trials) -> list[CorpusFigures]:
    """One row per policy, condition and corpus; the mean first, where there are several.

    Args:
        decided: Under every policy.
        llrs: Of the same trials, whatever the policy.
    """
    parts: dict[tuple[float, str], dict[str, list[Decided]]] = {}
    for each in decided:
        of_cell = parts.setdefault((each.p_fa, each.condition), {})
        of_cell.setdefault(each.corpus, []).append(each)
    rows: list[CorpusFigures] = []
    costs: dict[tuple[str, str], tuple[float, float] | None] = {}
    for (p_fa, condition), by_corpus in parts.items():
        for corpus in by_corpus:
            if (condition, corpus) not in costs:
                costs[condition, corpus] = _costs(llrs, condition, corpus)
        of_condition = {corpus: costs[condition, corpus] for corpus in sorted(by_corpus)}
        if len(by_corpus) > 1:
            rows.append(_row(p_fa, condition, MEAN, by_corpus, of_condition))
        for corpus, cost in of_condition.items():
            one = {corpus: by_corpus[corpus]}
            rows.append(_row(p_fa, condition, corpus, one, {corpus: cost}))
    return rows


def _row(
    p_fa: float,
    condition: str,
    name: str,
    by_corpus: Mapping[str, list[Decided]],
    costs: Mapping[str, tuple[float, float] | None],
) -> CorpusFigures:
    known = [cost for cost in costs.values() if cost is not None]
    unheard = [
        float(np.mean([each.outcome == NOT_HEARD for each in own]))
        for part in by_corpus.values()
        if (own := [each for each in part if each.kind is not Kind.STRANGER])
    ]
    return CorpusFigures(
        p_fa=p_fa,
        condition=condition,
        corpus=name,
        same_session=_accepted(by_corpus, Kind.SAME_SESSION),
        other_session=_accepted(by_corpus, Kind.CROSS_SESSION),
        strangers=_accepted(by_corpus, Kind.STRANGER),
        not_heard=float(np.mean(unheard)) if unheard else None,
        cllr=float(np.mean([cost for cost, _ in known])) if known else None,
        min_cllr=float(np.mean([lowest for _, lowest in known])) if known else None,
    )


def _accepted(by_corpus: Mapping[str, list[Decided]], kind: Kind) -> Rate | None:
    counted = [
        Counted(
            np.array([each.is_accepted for each in some], dtype=np.float64),
            np.ones(len(some)),
            [each.enrolled for each in some],
            [each.tested for each in some],
        )
        for part in by_corpus.values()
        if (some := [each for each in part if each.kind is kind])
    ]
    if not counted:
        return None
    return speaker_rate(*counted[0]) if len(counted) == 1 else mean_rate(counted)


def _costs(llrs: Trials, condition: str, corpus: str) -> tuple[float, float] | None:
    part = llrs.select(llrs.condition == condition).of_corpus(corpus)
    if not len(part.target) or not len(part.nontarget):
        return None
    return cllr(part.target, part.nontarget), min_cllr(part.target, part.nontarget)
