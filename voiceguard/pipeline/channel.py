"""Between hops 2 and 3 of 6: the one queue inside a stream, bounded, with two policies.

Event loop only. In: what the ear heard, with its arrival. Out: the same, in order. A live stream
never waits: a newer window of the same segment replaces the one that is still pending
(``windows_superseded``), and when segments pile up behind a slow encoder the oldest loses its
windows (``segments_dropped``) and is decided as overloaded. Any other stream waits until its item
has been dealt with, so that its decisions do not depend on load.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from voiceguard.types import TurnEnd, Window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voiceguard.speech.ear import Heard

Item: TypeAlias = "Heard | TurnEnd"
"""What is carried; a turn's end comes after all that was heard of it."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """When audio reached this process, on the monotonic clock."""

    delivered_at_s: float
    """Its last sample, or the news that there is none."""
    opened_at_s: float
    """The stream's sample 0, as reckoned back from there."""
    suspended_s: float = 0.0
    """What the machine had slept by then: what it sleeps later makes the audio older."""
    turn_id: str | None = None
    """The turn with an assistant that it is a part of."""


@dataclass(frozen=True, slots=True)
class Pending:
    """One item on its way, and when the last sample that it needed arrived."""

    item: Item
    arrival: Arrival


class WindowChannel:
    """Carries windows and segment ends, in order, from one reader to one decider."""

    def __init__(self, *, is_live: bool, max_pending: int = 16) -> None:
        self.windows_superseded = 0
        self.segments_dropped = 0
        self._is_live = is_live
        self._max_pending = max_pending
        self._pending: deque[Pending] = deque()
        self._unfinished = 0
        self._closed = False
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._pending)

    async def put(self, item: Item, arrival: Arrival) -> None:
        """Hands an item over; returns at once for a live stream, else when it was dealt with."""
        async with self._changed:
            self.put_nowait(item, arrival)
            self._changed.notify_all()
            if not self._is_live:
                await self._changed.wait_for(lambda: self._unfinished == 0)

    def put_nowait(self, item: Item, arrival: Arrival) -> None:
        """Adds an item by the live policy; the decider itself uses it to split a segment."""
        if self._is_live:
            self._supersede(item)
            if len(self._pending) >= self._max_pending:
                self._drop_oldest()
        self._pending.append(Pending(item, arrival))
        self._unfinished += 1

    def withdraw(self, segment: int, after_sample: int) -> None:
        """Takes back what is pending of a segment beyond a sample: it belongs to the next one."""
        keep = [
            pending
            for pending in self._pending
            if isinstance(pending.item, TurnEnd)
            or pending.item.segment != segment
            or pending.item.end_sample <= after_sample
        ]
        self._unfinished -= len(self._pending) - len(keep)
        self._pending = deque(keep)

    def clear(self) -> None:
        """Forgets everything pending (the machine slept: nothing of it is true any more)."""
        self._unfinished -= len(self._pending)
        self._pending.clear()

    async def close(self) -> None:
        """No more items will come; the iterator ends after the pending ones."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def items(self) -> AsyncIterator[Pending]:
        """Yields items in order; asking for the next one marks the last as dealt with."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._pending or self._closed)
                if not self._pending:
                    return
                pending = self._pending.popleft()
            yield pending
            async with self._changed:
                self._unfinished -= 1
                self._changed.notify_all()

    def _supersede(self, item: Item) -> None:
        if not (self._pending and isinstance(item, Window)):
            return
        last = self._pending[-1].item
        if (
            isinstance(last, Window)
            and last.segment == item.segment
            and last.is_probe == item.is_probe
        ):
            self._pending.pop()
            self._unfinished -= 1
            self.windows_superseded += 1

    def _drop_oldest(self) -> None:
        """Makes room: windows go first, their segment's end stays and is decided as overloaded."""
        with_windows = (p.item.segment for p in self._pending if isinstance(p.item, Window))
        oldest = next(with_windows, None)
        if oldest is None:  # nothing but ends: the encoder has long stalled
            self._pending.popleft()
            self._unfinished -= 1
        else:
            keep = deque(
                pending
                for pending in self._pending
                if not (isinstance(pending.item, Window) and pending.item.segment == oldest)
            )
            self._unfinished -= len(self._pending) - len(keep)
            self._pending = keep
        self.segments_dropped += 1
