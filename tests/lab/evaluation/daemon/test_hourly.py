"""Accepts at one false accept per hour: the threshold of the middle voiceprint."""

from __future__ import annotations

import numpy as np
import pytest

from voiceguard.lab.evaluation.daemon.hourly import accepts_per_hour
from voiceguard.lab.fitting.trials import Kind, Trials


def trials(rows: list[tuple[str, str, str, Kind, float, float]]) -> Trials:
    """Of (enrolled, tested, length, kind, net speech, LLR), all of them clean."""
    enrolled, tested, length, kind, net_s, llr = zip(*rows, strict=True)
    return Trials(
        score=np.array(llr),
        enrolled=np.array(enrolled),
        tested=np.array(tested),
        net_speech_s=np.array(net_s),
        snr_db=np.full(len(rows), 20.0),
        fold=np.zeros(len(rows), np.int64),
        condition=np.array([f"{each} clean" for each in length]),
        surroundings=np.full(len(rows), "clean"),
        kind=np.array([str(each) for each in kind]),
    )


def test_the_middle_voiceprint_has_no_more_than_one_per_hour() -> None:
    rows = []
    for number, best in enumerate((3.0, 5.0, 9.0)):
        name = f"c/s{number}"
        # Two hours of strangers each: one accept too many at anything below the third LLR.
        rows += [
            (name, "c/else", "full", Kind.STRANGER, 1800.0, best + above)
            for above in (2.0, 1.0, 0.0, -1.0)
        ]
        rows += [
            (name, name, "3 s", Kind.SAME_SESSION, 3.0, 6.0),
            (name, name, "3 s", Kind.CROSS_SESSION, 3.0, 4.0),
        ]
    (row,) = accepts_per_hour(trials(rows))
    assert (row.corpus, row.noise, row.num_voiceprints) == ("all", "clean", 3)
    assert row.accept_llr == 5.0
    assert row.hours_each == pytest.approx(2.0)
    assert row.median_voiceprint == pytest.approx(1.0)
    assert row.worst_voiceprint == pytest.approx(2.0)
    assert (row.same_session, row.other_session) == (1.0, 0.0)


def test_without_whole_utterances_of_strangers_there_is_nothing_to_say() -> None:
    assert accepts_per_hour(trials([("c/a", "c/a", "3 s", Kind.SAME_SESSION, 3.0, 6.0)])) == []
