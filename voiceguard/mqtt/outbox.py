"""Hop 6 of 6: the decisions that wait for the broker, bounded, the oldest dropped first.

Event loop only, pure: time comes in as an argument. In: decisions. Out: one at a time, never one
that has expired. ``queued == delivered + dropped + expired + pending`` holds at every moment.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from voiceguard.decisions.result import Decision


class Outbox:
    """A queue of decisions, one of which may be in flight."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: deque[Decision] = deque()
        self._in_flight: Decision | None = None
        self.queued = 0
        self.delivered = 0
        """Acknowledged by the broker (QoS 1), or handed to the socket (QoS 0)."""
        self.dropped = 0
        """The oldest, because the outbox was full."""
        self.expired = 0

    @property
    def pending(self) -> int:
        """Waiting or in flight."""
        return len(self._waiting) + (self._in_flight is not None)

    def put(self, decision: Decision) -> None:
        """Queues a decision; a full outbox loses its oldest."""
        self.queued += 1
        self._waiting.append(decision)
        self._shrink()

    def take(self, now: datetime) -> Decision | None:
        """The oldest decision that has not expired, in flight from now on; else None."""
        assert self._in_flight is None, "the decision before it was neither settled nor given back"
        self.expire(now)
        if not self._waiting:
            return None
        self._in_flight = self._waiting.popleft()
        return self._in_flight

    def settle(self) -> None:
        """The decision in flight has arrived."""
        assert self._in_flight is not None
        self._in_flight = None
        self.delivered += 1

    def give_back(self) -> None:
        """The decision in flight, if any, may not have arrived: it is the next one again."""
        if self._in_flight is not None:
            self._waiting.appendleft(self._in_flight)
            self._in_flight = None
            self._shrink()

    def expire(self, now: datetime) -> None:
        """Throws out whatever may no longer be acted on, wherever it stands in the queue."""
        fresh = [decision for decision in self._waiting if decision.expires_at > now]
        self.expired += len(self._waiting) - len(fresh)
        self._waiting = deque(fresh)

    def next_expiry(self) -> datetime | None:
        """When the first of the waiting decisions expires."""
        return min((decision.expires_at for decision in self._waiting), default=None)

    def _shrink(self) -> None:
        while len(self._waiting) > self._size:
            self._waiting.popleft()
            self.dropped += 1
