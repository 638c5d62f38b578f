"""A decision's times: how old its audio is depends on no clock that anybody sets."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.fakes import NOON, CollectingSink, FakeClock, make_end
from voiceguard.pipeline.channel import Arrival
from voiceguard.pipeline.decider import Decider
from voiceguard.pipeline.inference import Inferred
from voiceguard.pipeline.judge import Judge
from voiceguard.scoring.policy import PolicyConfig
from voiceguard.scoring.scorer import Scorer


def decided(clock: FakeClock, arrival: Arrival, sink: CollectingSink) -> None:
    """The final decision of a segment of one second, which nobody enrolled spoke."""
    judge = Judge(
        encoder_id="0123456789abcdef",
        scorer=Scorer((), None, None),
        policy=PolicyConfig(),
        calibration=None,
        claim=None,
    )
    decider = Decider(
        "kitchen",
        judge=lambda: judge,
        sink=sink,
        clock=clock,
        max_window_samples=64_000,
        min_window_speech_s=0.8,
    )
    decider.take(make_end(), Inferred(), arrival)


@pytest.mark.parametrize("set_by_s", [-3600.0, 0.0, 3600.0])
def test_the_wall_clock_may_be_set_at_any_time(set_by_s: float) -> None:
    """A decision made 2 s after its audio has 3 s left, in the time of the clock as it is now."""
    clock, sink = FakeClock(), CollectingSink()
    arrival = Arrival(clock.now_s, clock.now_s - 1.0, clock.slept_s)
    clock.set_by_s = set_by_s
    clock.now_s += 2.0
    decided(clock, arrival, sink)
    [decision] = sink.decisions
    assert decision.expires_at - clock.utc() == timedelta(seconds=3)
    assert decision.delivered_at == NOON + timedelta(seconds=set_by_s)


def test_a_suspend_makes_the_audio_older() -> None:
    """The monotonic clock stood still; the decision has expired all the same."""
    clock, sink = FakeClock(slept_s=100.0), CollectingSink()
    arrival = Arrival(clock.now_s, clock.now_s - 1.0, clock.slept_s)
    clock.slept_s += 60.0
    decided(clock, arrival, sink)
    [decision] = sink.decisions
    assert decision.expires_at - clock.utc() == timedelta(seconds=-55)
