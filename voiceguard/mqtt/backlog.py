"""Hop 6 of 6: what waits to be said to a broker, whether or not there is a connection.

Event loop only; nothing here touches the network. Decisions wait in the outbox and are never sent
late; of a state only the latest value is kept. The link fills it, a conversation empties it. How
long anything waits or lasts is measured by a clock that nobody sets.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from voiceguard.clock import elapsed_s
from voiceguard.mqtt.guards.refusals import Refusals
from voiceguard.mqtt.guards.suspects import Suspects
from voiceguard.mqtt.home.household import Household
from voiceguard.mqtt.outbox import Outbox, Replies, Reply
from voiceguard.mqtt.states import States
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from voiceguard.clock import Clock
    from voiceguard.decisions.result import Decision
    from voiceguard.mqtt.config import MqttConfig
    from voiceguard.mqtt.outbox import Queued

log = structlog.get_logger()

_LOOK_AGAIN_S = 1.0
"""Event loops stand still while the machine sleeps: after it, time is looked at so soon."""
_TELL_LOSSES_S = 60.0
"""Lost decisions are logged at once, then no more often than this."""
_MAX_EXPECTED = 64
"""Decisions that somebody waits for, or has waited for; those before them are forgotten."""
_SAME_TIME = timedelta(seconds=0.05)
"""What NTP does to a clock in a decision's life is not worth another text of it."""


class Backlog:
    """Decisions, states and the announcement of speakers, until they are delivered."""

    def __init__(self, config: MqttConfig, clock: Clock) -> None:
        self.outbox = Outbox(config.outbox_size)
        self.replies = Replies()
        self.states = States(config.topics, config.occupancy_hold_s)
        self.refusals = Refusals()
        self._taken: dict[str, asyncio.Event] = {}
        """By decision_id: somebody waits until a broker has it."""
        self._is_unheard = False
        self.suspects = Suspects(self.refusals)
        self.announced: set[str] = set()
        """Speakers that a discovery message named, so that those who are gone can be removed."""
        self.household = Household()
        """What there is to announce."""
        self.instance = secrets.token_hex(4)
        """In our status: whose it is, where two daemons have the same name."""
        self.has_told_status = False
        self.has_speakers = False
        self.is_discovery_due = False
        self.wake = asyncio.Event()
        """Something is to be said."""
        self.arrived = asyncio.Event()
        """A decision has come."""
        self.settled = asyncio.Event()
        """A decision was delivered, or some may have expired."""
        self._host = socket.gethostname()
        self._announces = config.discovery
        self._named: dict[str, str] = {}
        self._clock = clock
        self._told: dict[str, Any] = {}
        self._losses_told_at_s = -_TELL_LOSSES_S
        self._num_losses_told = 0
        self.refresh()

    def now_s(self) -> float:
        """The clock of every duration here."""
        return elapsed_s(self._clock)

    def put(self, decision: Decision) -> None:
        """Queues a final decision or a provisional accept; other provisional ones are no news.

        It was made just now, so that its times and the wall clock still agree; from here on nobody
        asks the wall clock how old it is.
        """
        if not (decision.is_final or decision.outcome is Outcome.ACCEPTED):
            return
        if decision.turn_id is not None:
            self._expect(decision.decision_id)
        now_s = self.now_s()
        life = min(
            decision.expires_at - self._clock.utc(), decision.expires_at - decision.delivered_at
        )
        self.outbox.put(decision, now_s + life.total_seconds())
        if life > timedelta() or decision.outcome is not Outcome.ACCEPTED:
            self.states.apply(decision, now_s)
        self.arrived.set()
        self.refresh()

    def _expect(self, decision_id: str) -> None:
        """Somebody may wait until a broker has it."""
        while len(self._taken) >= _MAX_EXPECTED:
            del self._taken[next(iter(self._taken))]
        self._taken[decision_id] = asyncio.Event()
        if self._is_unheard:
            self._taken[decision_id].set()

    def note_taken(self, decision: Decision, *, is_heard: bool) -> None:
        """A broker has it; while nobody subscribes, those behind it need not be waited for."""
        if decision.is_final:
            self._is_unheard = not is_heard
        for decision_id, event in self._taken.items():
            if self._is_unheard or decision_id == decision.decision_id:
                event.set()

    def note_broken(self) -> None:
        """There is no connection: who subscribes is not known any more."""
        self._is_unheard = False

    async def taken(self, decision_id: str) -> None:
        """Returns when a broker has that decision; at once where it is none of a turn."""
        if (event := self._taken.get(decision_id)) is not None:
            await event.wait()

    def reply(self, topic: str, payload: bytes, lifetime_s: float) -> None:
        """Queues an answer; it is sent within its lifetime or not at all."""
        self.replies.put(Reply(topic, payload, self.now_s() + lifetime_s))
        self.wake.set()

    def expiry_of(self, queued: Queued) -> tuple[float, datetime]:
        """How many seconds a decision has left, and when it expires by the wall clock of now."""
        left_s = queued.expires_at_s - self.now_s()
        true = self._clock.utc() + timedelta(seconds=left_s)
        stated = queued.decision.expires_at
        return left_s, stated if abs(true - stated) < _SAME_TIME else true

    def set_speakers(self, speakers: Iterable[tuple[str, str]]) -> None:
        """Takes the enrolled speakers, ``(name, display name)``; topics and discovery follow."""
        wanted = dict(speakers)
        if self.has_speakers and wanted == self._named:
            return
        self._named = wanted
        self.states.set_speakers(wanted)
        self.has_speakers = True
        self.announce(replace(self.household, speakers=self.states.speakers))

    def announce(self, household: Household) -> None:
        """Takes what there is to announce; what is gone leaves no topic behind."""
        self.states.set_streams(household.streams)
        self.household = household
        self.is_discovery_due = self._announces and self.has_speakers
        self.refresh()

    def set_status(self, status: Mapping[str, Any]) -> None:
        """Replaces the status JSON, and brings what is told about publishing up to now."""
        self.states.set_status(status)
        self.states.set_publishing(self.publishing())
        self.refresh()

    def publishing(self) -> dict[str, Any]:
        """What became of decisions since the start, and what the broker refuses."""
        outbox = self.outbox
        return {
            "host": self._host,
            "instance": self.instance,
            "decisions_delivered": outbox.delivered,
            "decisions_dropped": outbox.dropped,
            "decisions_expired": outbox.expired,
            "decisions_refused": outbox.refused,
            "decisions_unheard": outbox.unheard,
            "refused": dict(self.refusals.standing),
        }

    def refresh(self) -> None:
        """Brings the states up to now, and wakes whoever sends."""
        now_s = self.now_s()
        self.outbox.expire(now_s)
        self._tell_losses(now_s)
        self.states.refresh(now_s)
        self.wake.set()

    def _tell_losses(self, now_s: float) -> None:
        """To the status at once, to the log now and then."""
        publishing = self.publishing()
        news = {name: value for name, value in publishing.items() if name != "decisions_delivered"}
        if news != self._told:
            self._told = news
            self.states.set_publishing(publishing)
        counts = {name: value for name, value in news.items() if isinstance(value, int)}
        num_losses = sum(counts.values())
        if num_losses > self._num_losses_told and now_s - self._losses_told_at_s >= _TELL_LOSSES_S:
            self._num_losses_told, self._losses_told_at_s = num_losses, now_s
            log.warning("decisions_lost", **counts)

    async def wait_for(self, event: asyncio.Event, *, until_s: float | None) -> None:
        """Waits for an event, at most until then."""
        while not event.is_set():
            left_s = None if until_s is None else until_s - self.now_s()
            if left_s is not None and left_s <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if left_s is None else min(left_s, _LOOK_AGAIN_S)):
                    await event.wait()

    async def drained(self) -> None:
        """Returns when every queued decision is acknowledged or expired."""
        while True:
            self.refresh()
            if self.outbox.pending == 0:
                return
            self.settled.clear()
            await self.wait_for(self.settled, until_s=self.outbox.next_expiry_s())
