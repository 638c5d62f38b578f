"""Health: every fault makes the daemon unavailable, and a wish to be quiet is not a fault."""

from __future__ import annotations

import pytest

from voiceguard.service.health import DaemonState, Health, assess_health
from voiceguard.types import SourceState, SourceStatus


def _assess(
    *states: SourceState, is_armed: bool = True, fault: str = "", age_s: float = 0.0
) -> Health:
    streams = {f"s{i}": SourceStatus(state=state) for i, state in enumerate(states)}
    return assess_health(
        is_armed=is_armed,
        streams=streams,
        store_fault=fault,
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
    assert health == Health(DaemonState.UNAVAILABLE, "the key is missing")


def test_disarmed_is_available_and_says_so() -> None:
    health = _assess(is_armed=False)
    assert health.state is DaemonState.DISARMED
    assert health.is_available


def test_a_source_that_is_still_starting_is_not_yet_listening() -> None:
    assert _assess(SourceState.STARTING).state is DaemonState.STARTING
    assert not _assess(SourceState.STARTING).is_available
