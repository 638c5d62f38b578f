"""Health: every fault makes the daemon unavailable, and a wish to be quiet is not a fault."""

from __future__ import annotations

import pytest

from voiceguard.service.reporting.health import Condition, DaemonState, Health, assess_health
from voiceguard.types import SourceState, SourceStatus


def _assess(
    *states: SourceState,
    is_armed: bool = True,
    fault: str = "",
    age_s: float = 0.0,
    num_speakers: int = 1,
    is_calibrated: bool = True,
) -> Health:
    streams = {f"s{i}": SourceStatus(state=state) for i, state in enumerate(states)}
    return assess_health(
        is_armed=is_armed,
        streams=streams,
        store_fault=fault,
        is_calibrated=is_calibrated,
        num_speakers=num_speakers,
        inference_age_s=age_s,
        inference_timeout_s=10.0,
    )


@pytest.mark.parametrize("state", [SourceState.LOST, SourceState.STALLED, SourceState.MUTED])
def test_a_troubled_microphone_makes_it_unavailable(state: SourceState) -> None:
    health = _assess(state)
    assert health.state is DaemonState.UNAVAILABLE
    assert not health.is_available
    assert str(state) in health.reason


def test_one_of_two_microphones_is_enough_and_the_other_is_named() -> None:
    health = _assess(SourceState.LISTENING, SourceState.LOST)
    assert health.is_available
    assert "s1" in health.reason


def test_stalled_inference_makes_it_unavailable_even_while_listening() -> None:
    assert not _assess(SourceState.LISTENING, age_s=11).is_available


def test_an_unreadable_store_makes_it_unavailable_even_while_listening() -> None:
    health = _assess(SourceState.LISTENING, fault="the key is missing")
    assert (health.state, health.reason) == (DaemonState.UNAVAILABLE, "the key is missing")


def test_disarmed_is_available_and_says_so() -> None:
    health = _assess(is_armed=False)
    assert health.state is DaemonState.DISARMED
    assert health.is_available


def test_a_source_that_is_still_starting_is_not_yet_listening() -> None:
    assert _assess(SourceState.STARTING).state is DaemonState.STARTING
    assert not _assess(SourceState.STARTING).is_available


LISTENING, MUTED, LOST = SourceState.LISTENING, SourceState.MUTED, SourceState.LOST


@pytest.mark.parametrize(
    ("health", "condition", "is_problem"),
    [
        (_assess(LISTENING), Condition.LISTENING, False),
        (_assess(LISTENING, LOST), Condition.LISTENING, True),
        (_assess(MUTED, MUTED), Condition.MUTED, True),
        (_assess(MUTED, LOST), Condition.NO_MICROPHONE, True),
        (_assess(SourceState.STALLED), Condition.NO_MICROPHONE, True),
        (_assess(SourceState.STARTING), Condition.STARTING, False),
        (_assess(SourceState.ENDED), Condition.ENDED, False),
        (_assess(is_armed=False), Condition.DISARMED, False),
        (_assess(LISTENING, age_s=11), Condition.NOT_RESPONDING, True),
        (_assess(LISTENING, fault="no key"), Condition.VOICEPRINTS_UNUSABLE, True),
        (_assess(LISTENING, num_speakers=0), Condition.NOBODY_ENROLLED, True),
        (_assess(LISTENING, is_calibrated=False), Condition.NOT_CALIBRATED, True),
        (_assess(MUTED, num_speakers=0), Condition.MUTED, True),
    ],
)
def test_the_cause_in_a_word(health: Health, condition: Condition, *, is_problem: bool) -> None:
    """What keeps it from hearing comes before what keeps it from accepting."""
    assert (health.condition, health.has_problem) == (condition, is_problem)
