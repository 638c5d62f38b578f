"""The bar while something plays: raised, for whom, for how long, and that it is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes import FakeClock, chunks, ended, listening, make_decision, quiet, tone
from tests.pipeline.test_stream import ANNA_HZ, Bench, scene
from voiceguard.decisions.explain import explain
from voiceguard.decisions.wire import decision_payload
from voiceguard.pipeline.television import Television, TelevisionConfig, raised
from voiceguard.scoring.policy import PolicyConfig
from voiceguard.types import Outcome

TV, RADIO = "home/tv/state", "home/radio/state"


def television(clock: FakeClock | None = None) -> Television:
    config = TelevisionConfig(topics=(TV, f"kitchen={RADIO}"), after_s=5.0)
    return Television(config, clock or FakeClock())


@pytest.mark.parametrize(
    "payload", [b"playing", b" ON\n", b"true", b"1", b"buffering", b'{"state": "playing"}']
)
def test_what_plays_raises_the_bar(payload: bytes) -> None:
    home, judge = television(), Bench().judge()
    assert home.judge("kitchen", judge) is judge
    home.take(TV, payload)
    surer = home.judge("kitchen", judge)
    assert (surer.policy.p_fa, surer.raised_by) == (0.001, "television")
    assert home.judge("hall", judge).raised_by == "television"


@pytest.mark.parametrize(
    "payload",
    [
        b"paused",
        b"off",
        b"",
        b"0",
        b"\xff\xfe",
        b'{"state": 0}',
        b'{"state"',
        b"[" * 9999,
        b"{" * 99,
    ],
)
def test_anything_else_does_not(payload: bytes) -> None:
    home, judge = television(), Bench().judge()
    home.take(TV, payload)
    home.take("somebody/else", b"playing")
    assert home.judge("kitchen", judge) is judge


def test_a_topic_may_count_for_one_stream_alone() -> None:
    home, judge = television(), Bench().judge()
    home.take(RADIO, b"playing")
    assert home.judge("kitchen", judge).raised_by == "television"
    assert home.judge("hall", judge) is judge


def test_it_stays_raised_for_some_seconds_after_and_over_a_suspend_no_longer() -> None:
    clock = FakeClock()
    home, judge = television(clock), Bench().judge()
    home.take(TV, b"playing")
    clock.now_s += 3600
    home.take(TV, b"idle")
    clock.now_s += 4.9
    assert home.plays("kitchen")
    clock.slept_s += 1.0
    assert home.judge("kitchen", judge) is judge


@pytest.mark.parametrize(
    ("policy", "p_fa"),
    [
        (PolicyConfig(p_fa=0.01), 0.001),
        (PolicyConfig(p_fa=0.0001), 0.0001),
        (PolicyConfig(p_fa=None, far_per_hour=0.01), 0.01 / 1300),
        (PolicyConfig(p_fa=None, far_per_hour=60.0), 0.001),
    ],
)
def test_it_never_lowers_the_bar(policy: PolicyConfig, p_fa: float) -> None:
    judge = replace(Bench().judge(), policy=policy)
    assert raised(judge, 0.001).policy.p_fa == pytest.approx(p_fa)


async def test_a_decision_made_under_it_says_so() -> None:
    bench = Bench()
    judge = raised(bench.judge(), 0.001)
    bench.judge = lambda: judge  # type: ignore[method-assign]
    (final,) = await bench.run(
        [listening(), *chunks(scene(tone(ANNA_HZ, 3.0), quiet(1.0))), ended()]
    )
    assert (final.outcome, final.p_fa) == (Outcome.ACCEPTED, 0.001)
    payload = decision_payload(final)
    assert payload["raised_by"] == "television"
    assert "Something played (television)" in explain(payload)
    plain = decision_payload(make_decision())
    assert plain["raised_by"] is None
    assert "television" not in explain(plain)


@pytest.mark.parametrize("topic", ["", "a/#", "a/+/b", "x" * 300])
def test_what_is_no_topic_is_refused(topic: str) -> None:
    with pytest.raises(ValueError, match="topics must be like"):
        TelevisionConfig(topics=(topic,))
