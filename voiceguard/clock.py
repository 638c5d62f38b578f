"""The three clocks of the outside world, behind one object so that tests can turn them.

Moments of speech are told in UTC, which people and NTP set at will; how long anything lasts never
depends on it. Inside a stream, durations are monotonic. Whatever outlives a suspend (the age of a
decision, its expiry, how long somebody counts as present, when to try again) is measured by
``elapsed_s``.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

from voiceguard.types import RELEASED_AT


class Clock(Protocol):
    """Monotonic time inside, UTC outside, and how long the machine has slept."""

    def monotonic_s(self) -> float:
        """Seconds that never jump; stands still while the machine is suspended."""
        ...

    def utc(self) -> datetime:
        """The wall clock, in UTC."""
        ...

    def suspended_s(self) -> float:
        """Seconds that the machine has spent suspended since it booted."""
        ...


def elapsed_s(clock: Clock) -> float:
    """Seconds that nobody sets and that a suspended machine counts too, as CLOCK_BOOTTIME does."""
    return clock.monotonic_s() + clock.suspended_s()


_RELEASED_AT = datetime.fromisoformat(RELEASED_AT)


def is_plausible(moment: datetime) -> bool:
    """Whether a wall clock can be right: not one that began anew where a battery was empty."""
    return moment >= _RELEASED_AT


class SystemClock:
    """The operating system's clocks."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def utc(self) -> datetime:
        return datetime.now(UTC)

    def suspended_s(self) -> float:
        boot = getattr(time, "CLOCK_BOOTTIME", None)  # Linux only
        if boot is None:
            return 0.0
        return time.clock_gettime(boot) - time.clock_gettime(time.CLOCK_MONOTONIC)
