"""Hours and days of a rule: as they are written, and whether a moment lies in them. Pure.

By the wall clock, as people read it. Where it is set forward or back for summer, hours go by what
it shows: 02:00-03:00 does not happen in one night of the year, and lasts two hours in another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60
_WEEK = 7 * _DAY
_STRETCH = re.compile(r"([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})")
_DAY_RANGE = re.compile(rf"({'|'.join(DAYS)})(?:-({'|'.join(DAYS)}))?")


@dataclass(frozen=True, slots=True)
class Times:
    """Stretches of a week, in minutes since Monday 00:00 by the wall clock."""

    stretches: tuple[tuple[int, int], ...]
    """First minute, and the one after the last."""

    @property
    def is_always(self) -> bool:
        """Whether no clock is needed to know."""
        return sum(end - start for start, end in self.stretches) == _WEEK

    def hold_at(self, local: datetime) -> bool:
        """Whether a moment lies in them.

        Args:
            local: The wall clock there.
        """
        minute = local.weekday() * _DAY + local.hour * 60 + local.minute
        return any(start <= minute < end for start, end in self.stretches)

    def overlap(self, other: Times) -> bool:
        """Whether any moment lies in both."""
        return any(
            start < other_end and other_start < end
            for start, end in self.stretches
            for other_start, other_end in other.stretches
        )


def parse_times(hours: str, days: str) -> Times:
    """Reads ``22:00-06:00, 12:00-13:00`` and ``mon-fri, sun``; empty: all of them.

    A stretch over midnight belongs to the day on which it begins.

    Raises:
        ValueError: It is written otherwise, is empty, or names a time twice.
    """
    on = _parse_days(days)
    found: list[tuple[int, int]] = []
    for start, end in _parse_hours(hours):
        for day in sorted(on):
            new = list(_within_week(day * _DAY + start, day * _DAY + end))
            if Times(tuple(new)).overlap(Times(tuple(found))):
                raise ValueError(f"hours = {hours!r} names a time twice")
            found += new
    return Times(tuple(sorted(found)))


def _within_week(start: int, end: int) -> Iterator[tuple[int, int]]:
    """What goes beyond Sunday night is Monday's."""
    yield start, min(end, _WEEK)
    if end > _WEEK:
        yield 0, end - _WEEK


def _parse_hours(text: str) -> list[tuple[int, int]]:
    """Minutes of the day; an end in the next day is beyond 24:00."""
    if not text:
        return [(0, _DAY)]
    found = []
    for each in text.split(","):
        match = _STRETCH.fullmatch(each.strip())
        if match is None:
            raise ValueError(f'hours must be like "22:00-06:00", not {each.strip()!r}')
        from_h, from_min, to_h, to_min = map(int, match.groups())
        start, end = from_h * 60 + from_min, to_h * 60 + to_min
        if max(from_min, to_min) > 59 or start >= _DAY or end > _DAY:
            raise ValueError(f"hours: {each.strip()!r} is no time of a day (00:00 to 24:00)")
        if start == end:
            raise ValueError(
                f"hours: {each.strip()!r} lasts no time; the whole day is 00:00-24:00, or no hours"
            )
        found.append((start, end if end > start else end + _DAY))
    return found


def _parse_days(text: str) -> frozenset[int]:
    """Numbers of weekdays, Monday is 0."""
    if not text:
        return frozenset(range(7))
    found: set[int] = set()
    for each in text.split(","):
        match = _DAY_RANGE.fullmatch(each.strip())
        if match is None:
            raise ValueError(
                f'days must be like "mon-fri, sun", of {" ".join(DAYS)}, not {each.strip()!r}'
            )
        first = DAYS.index(match[1])
        last = DAYS.index(match[2] or match[1])
        new = {(first + step) % 7 for step in range((last - first) % 7 + 1)}
        if new & found:
            raise ValueError(f"days = {text!r} names a day twice")
        found |= new
    return frozenset(found)
