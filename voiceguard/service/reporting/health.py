"""Can the daemon decide, right now? Pure: from what is known of its parts to one state.

*Unavailable* is what Home Assistant and every other consumer sees while nothing could be accepted
even if the right person spoke.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from voiceguard.types import SourceState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voiceguard.types import SourceStatus


class DaemonState(StrEnum):
    """What the status topic says."""

    STARTING = "starting"
    LISTENING = "listening"
    DISARMED = "disarmed"
    UNAVAILABLE = "unavailable"


class Condition(StrEnum):
    """What it hears with, or what keeps it from hearing, in a word: of the daemon or a stream."""

    STARTING = "starting"
    LISTENING = "listening"
    DISARMED = "disarmed"
    NO_MICROPHONE = "no_microphone"
    """Gone, or open and silent."""
    MUTED = "muted"
    ENDED = "ended"
    """A file or standard input is read to its end."""
    NOT_CALIBRATED = "not_calibrated"
    """It listens, and can accept nobody."""
    NOBODY_ENROLLED = "nobody_enrolled"
    """Likewise."""
    VOICEPRINTS_UNUSABLE = "voiceprints_unusable"
    NOT_RESPONDING = "not_responding"
    """Inference stalls."""


_OF_SOURCE = {
    SourceState.STARTING: Condition.STARTING,
    SourceState.LISTENING: Condition.LISTENING,
    SourceState.STALLED: Condition.NO_MICROPHONE,
    SourceState.LOST: Condition.NO_MICROPHONE,
    SourceState.MUTED: Condition.MUTED,
    SourceState.ENDED: Condition.ENDED,
}
_WELL = {Condition.STARTING, Condition.LISTENING, Condition.DISARMED, Condition.ENDED}


def condition_of(state: SourceState) -> Condition:
    """A stream's, by the state of its source."""
    return _OF_SOURCE[state]


def is_problem(condition: Condition) -> bool:
    """Whether somebody should look after it."""
    return condition not in _WELL


@dataclass(frozen=True, slots=True)
class Health:
    """A state, and for people the reason behind it."""

    state: DaemonState
    reason: str = ""
    condition: Condition = Condition.STARTING

    @property
    def has_problem(self) -> bool:
        """Whether somebody should look after it: also where one stream of several is deaf."""
        return bool(self.reason) or is_problem(self.condition)

    @property
    def is_available(self) -> bool:
        """Disarmed is a wish that was granted, not a fault."""
        return self.state in {DaemonState.LISTENING, DaemonState.DISARMED}


def assess_health(
    *,
    is_armed: bool,
    streams: Mapping[str, SourceStatus],
    store_fault: str,
    is_calibrated: bool = True,
    num_speakers: int = 1,
    inference_age_s: float,
    inference_timeout_s: float,
) -> Health:
    """One state for the whole daemon; the first fault found names the reason.

    Args:
        is_armed: Whether it is meant to listen.
        streams: The last status of every stream.
        store_fault: Why the voiceprints cannot be read (a missing key, say), else empty.
        is_calibrated: Whether the encoder is; else nobody can be accepted.
        num_speakers: How many can be recognised.
        inference_age_s: How long the longest inference under way has been running.
        inference_timeout_s: How long one may take.
    """
    if inference_age_s > inference_timeout_s:
        return Health(
            DaemonState.UNAVAILABLE,
            f"inference has not answered for {inference_age_s:.0f} s",
            Condition.NOT_RESPONDING,
        )
    if store_fault:
        return Health(DaemonState.UNAVAILABLE, store_fault, Condition.VOICEPRINTS_UNUSABLE)
    if not is_armed:
        return Health(DaemonState.DISARMED, condition=Condition.DISARMED)
    states = {status.state for status in streams.values()}
    if SourceState.LISTENING in states or states <= {SourceState.ENDED}:
        condition = Condition.LISTENING if states != {SourceState.ENDED} else Condition.ENDED
        if num_speakers == 0:
            condition = Condition.NOBODY_ENROLLED
        elif not is_calibrated:
            condition = Condition.NOT_CALIBRATED
        return Health(DaemonState.LISTENING, _troubles(streams), condition)
    if SourceState.STARTING in states:
        return Health(DaemonState.STARTING)
    is_muted = SourceState.MUTED in states and states <= {SourceState.MUTED, SourceState.ENDED}
    condition = Condition.MUTED if is_muted else Condition.NO_MICROPHONE
    return Health(DaemonState.UNAVAILABLE, _troubles(streams), condition)


def _troubles(streams: Mapping[str, SourceStatus]) -> str:
    return "; ".join(
        f"{name}: {status.detail or status.state}"
        for name, status in streams.items()
        if status.state in {SourceState.LOST, SourceState.STALLED, SourceState.MUTED}
    )
