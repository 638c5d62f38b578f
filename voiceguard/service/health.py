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


@dataclass(frozen=True, slots=True)
class Health:
    """A state, and for people the reason behind it."""

    state: DaemonState
    reason: str = ""

    @property
    def is_available(self) -> bool:
        """Disarmed is a wish that was granted, not a fault."""
        return self.state in {DaemonState.LISTENING, DaemonState.DISARMED}


def assess_health(
    *,
    is_armed: bool,
    streams: Mapping[str, SourceStatus],
    store_fault: str,
    inference_age_s: float,
    inference_timeout_s: float,
) -> Health:
    """One state for the whole daemon; the first fault found names the reason.

    Args:
        is_armed: Whether it is meant to listen.
        streams: The last status of every stream.
        store_fault: Why the voiceprints cannot be read (a missing key, say), else empty.
        inference_age_s: How long the longest inference under way has been running.
        inference_timeout_s: How long one may take.
    """
    if inference_age_s > inference_timeout_s:
        return Health(
            DaemonState.UNAVAILABLE, f"inference has not answered for {inference_age_s:.0f} s"
        )
    if store_fault:
        return Health(DaemonState.UNAVAILABLE, store_fault)
    if not is_armed:
        return Health(DaemonState.DISARMED)
    states = {status.state for status in streams.values()}
    if SourceState.LISTENING in states or states <= {SourceState.ENDED}:
        return Health(DaemonState.LISTENING, _troubles(streams))
    if SourceState.STARTING in states:
        return Health(DaemonState.STARTING)
    return Health(DaemonState.UNAVAILABLE, _troubles(streams))


def _troubles(streams: Mapping[str, SourceStatus]) -> str:
    return "; ".join(
        f"{name}: {status.detail or status.state}"
        for name, status in streams.items()
        if status.state in {SourceState.LOST, SourceState.STALLED, SourceState.MUTED}
    )
