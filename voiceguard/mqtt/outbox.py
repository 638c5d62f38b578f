"""Hop 6 of 6: the decisions that wait for the broker, bounded, the oldest dropped first.

Event loop only, pure: time comes in as an argument, in seconds that nobody sets
(``clock.elapsed_s``). In: decisions. Out: one at a time, never one that has expired, and those of
one topic in their order. ``queued == delivered + dropped + expired + refused + unheard +
pending`` holds at every moment.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from voiceguard.decisions.result import Decision

MAX_BREAKS = 3
"""A decision that was in flight at so many breaks is what breaks the connection."""


@dataclass(slots=True)
class Queued:
    """A decision on its way."""

    decision: Decision
    expires_at_s: float
    """On the clock that nobody sets."""
    is_unheard: bool = False
    """The broker took it, and nobody subscribed to it."""
    num_breaks: int = 0
    """Connections that broke while it was in flight."""


MAX_REPLIES = 32


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to somebody who waits for it; never sent twice, never late."""

    topic: str
    payload: bytes
    expires_at_s: float


@dataclass(slots=True)
class Replies:
    """Answers that wait for the broker; the oldest go first where there are too many."""

    lost: int = 0
    """Dropped, expired, or refused by the broker."""
    _waiting: deque[Reply] = field(default_factory=deque)

    def put(self, reply: Reply) -> None:
        """Queues one."""
        self._waiting.append(reply)
        if len(self._waiting) > MAX_REPLIES:
            self._waiting.popleft()
            self.lost += 1

    def take(self, now_s: float) -> Reply | None:
        """The oldest that has not expired; it is not given back."""
        while self._waiting:
            reply = self._waiting.popleft()
            if reply.expires_at_s > now_s:
                return reply
            self.lost += 1
        return None


class Outbox:
    """A queue of decisions, one of which may be in flight."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: deque[Queued] = deque()
        self._in_flight: Queued | None = None
        self._held_until_s = {True: -math.inf, False: -math.inf}
        """By ``is_final``, which has a topic of its own."""
        self.queued = 0
        self.delivered = 0
        """Acknowledged by the broker (QoS 1), or handed to the socket (QoS 0)."""
        self.dropped = 0
        """The oldest, because the outbox was full."""
        self.expired = 0
        self.refused = 0
        """The broker does not take them, whatever we do."""
        self.unheard = 0
        """The broker took them, but until they expired nobody subscribed to them."""

    @property
    def pending(self) -> int:
        """Waiting or in flight."""
        return len(self._waiting) + (self._in_flight is not None)

    def put(self, decision: Decision, expires_at_s: float) -> None:
        """Queues a decision; a full outbox loses its oldest."""
        self.queued += 1
        self._waiting.append(Queued(decision, expires_at_s))
        self._shrink()

    def take(self, now_s: float) -> Queued | None:
        """The oldest decision that may be sent and has not expired, in flight from now on."""
        assert self._in_flight is None, "the decision before it was neither settled nor given back"
        self.expire(now_s)
        for index, queued in enumerate(self._waiting):
            if self._held_until_s[queued.decision.is_final] <= now_s:
                del self._waiting[index]
                self._in_flight = queued
                return queued
        return None

    def settle(self) -> None:
        """The decision in flight has arrived; what came before the final one is no news now."""
        queued = self._landed()
        self.delivered += 1
        if queued.decision.is_final:
            self._drop_provisional(queued.decision)

    def refuse(self) -> None:
        """The broker does not take the decision in flight."""
        self._landed()
        self.refused += 1

    def hold(self, until_s: float, *, is_unheard: bool) -> None:
        """Not now: the decision in flight waits, and those after it on its topic.

        Args:
            until_s: When it may be tried again.
            is_unheard: Because nobody subscribes to its topic.
        """
        queued = self._landed()
        queued.is_unheard = is_unheard
        self._waiting.appendleft(queued)
        self._held_until_s[queued.decision.is_final] = until_s
        self._shrink()

    def give_back(self, *, is_suspect: bool = False) -> None:
        """The decision in flight, if any, may not have arrived: it is the next one again.

        Args:
            is_suspect: The connection broke; a decision that breaks one after the other is refused.
        """
        queued, self._in_flight = self._in_flight, None
        if queued is None:
            return
        queued.num_breaks += is_suspect
        if queued.num_breaks >= MAX_BREAKS:
            self.refused += 1
            return
        self._waiting.appendleft(queued)
        self._shrink()

    def expire(self, now_s: float) -> None:
        """Throws out whatever may no longer be acted on, wherever it stands in the queue."""
        self._keep(lambda queued: queued.expires_at_s > now_s)

    def next_expiry_s(self) -> float | None:
        """When the first of the waiting decisions expires."""
        return min((queued.expires_at_s for queued in self._waiting), default=None)

    def next_attempt_s(self, now_s: float) -> float | None:
        """When a decision that is held may be tried again; None if none is."""
        held = {self._held_until_s[queued.decision.is_final] for queued in self._waiting}
        return min((until_s for until_s in held if until_s > now_s), default=None)

    def _landed(self) -> Queued:
        assert self._in_flight is not None
        queued, self._in_flight = self._in_flight, None
        return queued

    def _drop_provisional(self, final: Decision) -> None:
        """An accept must not arrive after the final decision, which may have taken it back."""
        place = (final.stream, final.segment)
        self._keep(
            lambda queued: (
                queued.decision.is_final
                or (queued.decision.stream, queued.decision.segment) != place
            )
        )

    def _keep(self, is_fresh: Callable[[Queued], bool]) -> None:
        stale = [queued for queued in self._waiting if not is_fresh(queued)]
        if stale:
            unheard = sum(queued.is_unheard for queued in stale)
            self.unheard += unheard
            self.expired += len(stale) - unheard
            self._waiting = deque(queued for queued in self._waiting if is_fresh(queued))

    def _shrink(self) -> None:
        while len(self._waiting) > self._size:
            self._waiting.popleft()
            self.dropped += 1
