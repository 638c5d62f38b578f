"""Hop 6 of 6: what waits to be said to a broker, whether or not there is a connection.

Event loop only; nothing here touches the network. Decisions wait in the outbox and are never sent
late; of a state only the latest value is kept. The link fills it, a conversation empties it.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from voiceguard.mqtt.outbox import Outbox
from voiceguard.mqtt.states import States
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from voiceguard.clock import Clock
    from voiceguard.decisions.result import Decision
    from voiceguard.mqtt.config import MqttConfig


class Backlog:
    """Decisions, states and the announcement of speakers, until they are delivered."""

    def __init__(self, config: MqttConfig, clock: Clock) -> None:
        self.outbox = Outbox(config.outbox_size)
        self.states = States(config.topics, config.occupancy_hold_s)
        self.announced: set[str] = set()
        """Speakers that a discovery message named, so that those who are gone can be removed."""
        self.has_speakers = False
        self.is_discovery_due = False
        self.wake = asyncio.Event()
        """Something is to be said."""
        self.settled = asyncio.Event()
        """A decision was delivered, or some may have expired."""
        self._announces = config.discovery
        self._clock = clock
        self.refresh()

    def put(self, decision: Decision) -> None:
        """Queues a final decision or a provisional accept; other provisional ones are no news."""
        if decision.is_final or decision.outcome is Outcome.ACCEPTED:
            self.outbox.put(decision)
            self.states.apply(decision, self._clock.utc())
            self.refresh()

    def set_speakers(self, speakers: Iterable[tuple[str, str]]) -> None:
        """Takes the enrolled speakers, ``(name, display name)``; topics and discovery follow."""
        wanted = dict(speakers)
        if self.has_speakers and wanted == self.states.speakers:
            return
        self.states.set_speakers(wanted)
        self.has_speakers = True
        self.is_discovery_due = self._announces
        self.refresh()

    def refresh(self) -> None:
        """Brings the states up to now, and wakes whoever sends."""
        self.states.refresh(self._clock.utc())
        self.wake.set()

    async def wait_for(self, event: asyncio.Event, *, until: datetime | None) -> None:
        """Waits for ``wake`` or ``settled``, at most until then."""
        timeout_s = None if until is None else max(0.0, (until - self._clock.utc()).total_seconds())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await event.wait()

    async def drained(self) -> None:
        """Returns when every queued decision is acknowledged or expired."""
        while True:
            self.outbox.expire(self._clock.utc())
            if self.outbox.pending == 0:
                return
            self.settled.clear()
            await self.wait_for(self.settled, until=self.outbox.next_expiry())
