"""Promises against what happened, by the decision, by the hour, and in time."""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.lab.evaluation.made_up import one
from voiceguard.lab.evaluation.daemon.decisions import Decided
from voiceguard.lab.evaluation.daemon.promises import (
    Standing,
    check_promises,
    false_accepts_per_hour,
    speakers_to_show,
    times_to_decision,
)
from voiceguard.lab.fitting.trials import Kind

SURE, UNSURE = 12.0, -5.0
"""LLRs: accepted early, and not at all."""
NAMES = [f"{corpus}/s{n:02}" for corpus in ("here", "there") for n in range(20)]


def strangers(*, length: str = "full", accepts: int = 0, p_fa: float = 0.01) -> list[Decided]:
    pairs = [(a, b) for a, b in permutations(NAMES, 2) if a.split("/")[0] == b.split("/")[0]]
    return [
        one(a, b, length, "clean", Kind.STRANGER, p_fa, SURE if number < accepts else UNSURE)
        for number, (a, b) in enumerate(pairs)
    ]


def test_a_promise_is_kept_open_or_broken() -> None:
    (kept,) = check_promises(strangers())
    assert kept.standing is Standing.KEPT
    assert (kept.final.value, kept.final.num_pairs) == (0, 380)
    assert kept.final.upper == pytest.approx(3 / 380)
    assert not kept.extrapolated
    (open_,) = check_promises(strangers(p_fa=0.001))
    assert open_.standing is Standing.OPEN  # 380 pairs can't show a thousandth
    assert open_.extrapolated
    everywhere = [
        one(each.enrolled, each.tested, "full", "clean", Kind.STRANGER, 0.01,
            SURE if number % 5 == 0 else UNSURE)
        for number, each in enumerate(strangers())
    ]  # fmt: skip
    (broken,) = check_promises(everywhere)
    assert broken.standing is Standing.BROKEN


def test_a_promise_names_its_corpora_and_its_worst_length() -> None:
    (row,) = check_promises(strangers(accepts=38) + strangers(length="1 s"))
    assert row.by_corpus == {"here": 38 / 760, "there": 0.0}
    assert row.median_corpus == pytest.approx(0.025)
    assert (row.worst_length, row.worst_length_rate) == ("full", 38 / 760)
    assert row.ever.value == row.final.value


def test_early_accepts_count_though_the_final_decision_took_them_back() -> None:
    trials = strangers()
    taken_back = Decided(
        **{
            **{name: getattr(trials[0], name) for name in Decided.__slots__},
            "accepted_early": True, "accept_net_s": 2.0, "accept_audio_s": 2.2,
        }
    )  # fmt: skip
    (row,) = check_promises([taken_back, *trials[1:]])
    assert row.final.value == 0
    assert row.ever.value == pytest.approx(1 / 760)


def test_so_many_speakers_have_enough_pairs() -> None:
    for rate, pairs in ((0.01, 300), (0.001, 3000), (0.0001, 30000)):
        number = speakers_to_show(rate)
        assert number * (number - 1) / 2 >= pairs > (number - 1) * (number - 2) / 2


def test_false_accepts_by_the_hour_of_speech_and_voiceprint() -> None:
    (row,) = false_accepts_per_hour([*strangers(accepts=19), *strangers(length="3 s", accepts=9)])
    assert row.speech_hours == pytest.approx(760 * 3 / 3600)  # whole utterances only
    assert row.final.value == pytest.approx(19 / (760 * 3 / 3600))
    assert row.num_voiceprints == 40
    assert row.median_voiceprint == 0
    assert row.worst_voiceprint == pytest.approx(19 / (19 * 3 / 3600))  # one let everybody in


def test_time_is_told_of_accepts_alone() -> None:
    own = [
        one(name, name, length, "clean", Kind.SAME_SESSION, 0.01, llr)
        for name in NAMES
        for length in ("1 s", "3 s", "full")
        for llr in (SURE, 5.0, UNSURE)
    ]
    rows = {row.condition: row for row in times_to_decision([*own, *strangers(accepts=9)])}
    assert set(rows) == {"3 s clean", "full clean"}  # a crop of 1 s ends before it can tell
    row = rows["full clean"]
    assert row.num_trials == 120
    assert row.accepted.value == pytest.approx(2 / 3)
    assert row.early_share == 0.5
    assert (row.median_net_s, row.p90_net_s) == (2.5, 3.0)
    assert (row.median_audio_s, row.p90_audio_s) == pytest.approx((3.1, 3.9))
    assert times_to_decision(strangers(accepts=9)) == []
