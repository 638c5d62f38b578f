"""What the limits of enrollment are fitted to: takes of one voice and of two."""

from __future__ import annotations

import numpy as np

from voiceguard.lab.evaluation.daemon.enrollment_limits import TakeStatistics
from voiceguard.scoring.limits import EnrollmentLimits


def statistics(two: list[float]) -> TakeStatistics:
    return TakeStatistics(
        agreements=np.zeros(0),
        agreements_added=np.zeros(0),
        breaks_one_voice=np.zeros(0),
        breaks_two_voices=np.array(two),
    )


def test_two_voices_are_caught_where_the_break_is_clearer_than_the_limit() -> None:
    limits = EnrollmentLimits(max_voice_break=0.8)
    assert statistics([0.5, 0.8, 0.9, 1.2]).caught(limits) == 0.5


def test_without_a_limit_or_takes_nobody_knows() -> None:
    assert statistics([0.5]).caught(EnrollmentLimits()) is None
    assert statistics([]).caught(EnrollmentLimits(max_voice_break=0.8)) is None
