"""How often somebody may try: the lockout of one action, as a value. Pure.

An attempt is charged before it is made: ``opened`` marks it, and only a clean end takes the mark
away. Whoever kills the process between a wrong voice and its note finds the mark still there, and
the next request counts it. Time is CLOCK_BOOTTIME with the boot that it belongs to, which nobody
sets; after a reboot a lockout begins anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

from voiceguard.validation.ranges import Between, check_ranges

FREE_FAILURES = 3
"""So many failures in a row, and the first lockout begins."""
FIRST_LOCKOUT_S = 30.0
"""Doubles with each failure after it."""
OFF_AT = 10
"""So many failures in a row, and only a local reset helps."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time that no clock step moves."""

    boot_id: str
    boottime_s: float
    """Since the machine was booted, suspends counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """What is remembered of one action, on disk as well."""

    num_failures: Annotated[int, Between(0, OFF_AT)] = 0
    """In a row."""
    is_open: bool = False
    """A request is open, or was when the process died."""
    locked_boot_id: str = ""
    locked_at_s: Annotated[float, Between(0)] = 0.0
    """When the last failure was, in that boot."""

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def is_off(self) -> bool:
        """Whether only a local reset helps."""
        return self.num_failures >= OFF_AT

    @property
    def lockout_s(self) -> float:
        """How long the last failure locks the action for; 0: not at all."""
        if self.num_failures < FREE_FAILURES:
            return 0.0
        return (
            math.inf
            if self.is_off
            else FIRST_LOCKOUT_S * 2.0 ** (self.num_failures - FREE_FAILURES)
        )

    def wait_s(self, now: Moment) -> float:
        """How long until the next request is taken; 0: now, infinite: after a reset."""
        passed_s = now.boottime_s - self.locked_at_s
        if now.boot_id != self.locked_boot_id or passed_s < 0:
            passed_s = 0.0
        return max(0.0, self.lockout_s - passed_s)

    def opened(self, now: Moment) -> Attempts:
        """A request is taken; one that was never closed counts as a failure first.

        The caller looks at ``wait_s`` of the result: locked out, it is not open.
        """
        settled = self.failed(now) if self.is_open else self.started_anew(now)
        return replace(settled, is_open=settled.wait_s(now) == 0)

    def closed(self) -> Attempts:
        """The request has ended without an attempt."""
        return replace(self, is_open=False)

    def failed(self, now: Moment) -> Attempts:
        """An attempt that did not succeed."""
        return Attempts(
            num_failures=min(self.num_failures + 1, OFF_AT),
            locked_boot_id=now.boot_id,
            locked_at_s=now.boottime_s,
        )

    def started_anew(self, now: Moment) -> Attempts:
        """In another boot nobody knows how much of a lockout has passed: it begins again."""
        if self.lockout_s == 0 or self.locked_boot_id == now.boot_id:
            return self
        return replace(self, locked_boot_id=now.boot_id, locked_at_s=now.boottime_s)


def succeeded() -> Attempts:
    """After an envelope, and after a reset."""
    return Attempts()
