"""The three clocks of the outside world, behind one object so that tests can turn them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


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
