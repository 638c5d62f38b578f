"""Decisions corpus by corpus, and their mean."""

from __future__ import annotations

import numpy as np
import pytest

from tests.lab.evaluation.made_up import make_daemon, one
from voiceguard.lab.evaluation.daemon.by_corpus import corpus_figures
from voiceguard.lab.evaluation.report.corpus_tables import corpus_table
from voiceguard.lab.fitting.trials import Kind, Trials

NAMES = [f"{corpus}/s{n}" for corpus in ("easy", "hard") for n in range(6)]


def trials() -> list[tuple[str, str, Kind, float]]:
    """In the easy corpus everybody is accepted, in the hard one a third; one stranger is there."""
    own = [
        (name, name, Kind.SAME_SESSION, 9.0 if name.startswith("easy") or turn == 0 else 1.0)
        for name in NAMES
        for turn in range(3)
    ]
    others = [
        (a, b, Kind.STRANGER, 9.0 if (a, b) == ("hard/s0", "hard/s1") else -3.0)
        for a in NAMES
        for b in NAMES
        if a != b and a.split("/")[0] == b.split("/")[0]
    ]
    return [*own, *others]


def as_llrs(rows: list[tuple[str, str, Kind, float]]) -> Trials:
    return Trials(
        score=np.array([llr for _, _, _, llr in rows]),
        enrolled=np.array([a for a, _, _, _ in rows]),
        tested=np.array([b for _, b, _, _ in rows]),
        net_speech_s=np.full(len(rows), 3.0),
        snr_db=np.full(len(rows), 20.0),
        fold=np.zeros(len(rows), np.int64),
        condition=np.full(len(rows), "3 s clean"),
        surroundings=np.full(len(rows), "clean"),
        kind=np.array([str(kind) for _, _, kind, _ in rows]),
    )


def test_each_corpus_counts_the_same_in_the_mean() -> None:
    rows = trials()
    decided = [one(a, b, "3 s", "clean", kind, 0.01, llr) for a, b, kind, llr in rows]
    # Twice as many trials in one corpus do not weigh more.
    decided += [each for each in decided if each.corpus == "easy"]
    found = {row.corpus: row for row in corpus_figures(decided, as_llrs(rows))}
    assert list(found) == ["mean", "easy", "hard"]
    mean, easy, hard = found.values()
    for row, own, strangers in ((mean, 2 / 3, 1 / 60), (easy, 1.0, 0.0), (hard, 1 / 3, 1 / 30)):
        assert row.same_session is not None
        assert row.strangers is not None
        assert row.same_session.value == pytest.approx(own)
        assert row.strangers.value == pytest.approx(strangers)
        assert row.other_session is None
        assert row.not_heard == 0
    assert mean.strangers is not None
    assert mean.strangers.num_pairs == 2 * 15
    assert mean.strangers.upper is not None
    assert mean.strangers.upper >= 1 / 60
    assert mean.cllr == pytest.approx((easy.cllr + hard.cllr) / 2)  # type: ignore[operator]


def test_one_corpus_has_no_mean_beside_it() -> None:
    rows = [row for row in trials() if row[0].startswith("easy")]
    decided = [one(a, b, "3 s", "clean", kind, 0.01, llr) for a, b, kind, llr in rows]
    assert [row.corpus for row in corpus_figures(decided, as_llrs(rows))] == ["easy"]


def test_other_policies_are_shown_where_it_matters() -> None:
    rows = make_daemon().by_corpus
    table = corpus_table(rows, 0.01)
    shown = list(table.columns[0].cells)
    assert sum("shipped" in str(cell) for cell in shown) == sum(row.p_fa == 0.01 for row in rows)
    assert (
        0
        < sum("shipped" not in str(cell) for cell in shown)
        < sum(row.p_fa != 0.01 for row in rows)
    )
