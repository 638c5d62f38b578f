"""Hop 6 of 6: one conversation with a broker, from the first subscription to ``offline``.

Event loop; its two children (send, receive) live exactly as long as the connection. Out: the
backlog, one message at a time: decisions before anything else, all states again on every
connection, and those that would expire now and then. What the broker refuses is named and left
away, and nothing else waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import aiomqtt

from voiceguard.decisions.wire import decision_payload, to_json
from voiceguard.mqtt.guards.refusals import (
    NO_EXPIRY,
    NO_EXPIRY_HINT,
    NO_SUBSCRIBER,
    REFUSED,
    is_passing,
)
from voiceguard.mqtt.home.discovery import device_config, stream_configs
from voiceguard.mqtt.listening import Listener
from voiceguard.mqtt.states import BEAT_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from voiceguard.mqtt.backlog import Backlog
    from voiceguard.mqtt.config import MqttConfig
    from voiceguard.mqtt.connection import Connection
    from voiceguard.mqtt.listening import Media
    from voiceguard.mqtt.outbox import Queued, Reply
    from voiceguard.mqtt.topics import Command

_OFFLINE_WITHIN_S = 0.6
_CANCEL_AGAIN_S = 0.1
_ASK_AGAIN_S = 0.25
"""A decision that nobody subscribes to is tried again: a consumer may be coming back."""
_NO_EXPIRY_3 = "it speaks MQTT 3.1.1, in which answers to locks do not expire"
_REPLY_HINT = "locks need a broker of MQTT 5, such as mosquitto"


class Conversation:
    """What is said and heard over one connection."""

    def __init__(
        self,
        connection: Connection,
        config: MqttConfig,
        backlog: Backlog,
        *,
        on_command: Callable[[Command], None],
        on_request: Callable[[str, bytes], None] | None = None,
        on_p_fa: Callable[[float], None] = lambda _: None,
        media: Media | None = None,
    ) -> None:
        self._connection = connection
        self._config = config
        self._topics = config.topics
        self._backlog = backlog
        self._listener = Listener(
            config,
            backlog,
            on_command=on_command,
            on_p_fa=on_p_fa,
            on_request=on_request,
            media=media,
            subscribe_later=self._subscribe_later,
            leave=connection.leave,
        )
        connection.admit_by(self._listener.admits)
        self._chores: deque[Callable[[], Awaitable[None]]] = deque()
        """Done when no decision waits, before states."""
        self._beat_at_s = backlog.now_s() + BEAT_S

    def _subscribe_later(self, topic: str) -> None:
        """When no decision waits."""
        self._chores.append(partial(self._subscribe, topic))
        self._backlog.wake.set()

    async def hold(self) -> None:
        """Sends and receives until the connection breaks (MqttError)."""
        # No TaskGroup: before Python 3.13 a child's failure leaves its parent marked as being
        # cancelled, and the next close() would look like a cancellation.
        children = [
            asyncio.create_task(self._send(), name="mqtt send"),
            asyncio.create_task(self._listener.hear(self._connection.messages), name="mqtt hear"),
        ]
        try:
            done, _ = await asyncio.wait(children, return_when=asyncio.FIRST_COMPLETED)
            for child in done:
                child.result()
        finally:
            await _end(children)

    # --- what is sent, in the order of its urgency --------------------------------------------

    async def _send(self) -> None:
        self._announce()
        backlog = self._backlog
        while True:
            backlog.refresh()  # occupancy ends with time alone
            now_s = backlog.now_s()
            queued = backlog.outbox.take(now_s)
            backlog.settled.set()  # some may have expired
            self._listener.look(now_s)
            if queued is not None:
                await self._send_decision(queued)
            elif (reply := backlog.replies.take(now_s)) is not None:
                await self._send_reply(reply, now_s)
            elif self._chores:
                await self._chores.popleft()()
            elif backlog.is_discovery_due:
                await self._send_discovery()
            elif (state := backlog.states.retained.next()) is not None:
                await self._send_state(*state)
            elif now_s >= self._beat_at_s:
                self._beat(now_s)
            else:
                await self._rest(now_s)

    async def _rest(self, now_s: float) -> None:
        """Until somebody has something to say, or time alone has changed something."""
        self._backlog.wake.clear()
        moments = (
            self._beat_at_s,
            self._backlog.states.next_expiry_s(),
            self._backlog.outbox.next_attempt_s(now_s),
            self._listener.next_look_s(),
        )
        until_s = min(moment for moment in moments if moment is not None)
        await self._backlog.wait_for(self._backlog.wake, until_s=until_s)

    def _announce(self) -> None:
        """Tells a broker that may know nothing all there is, `online` last."""
        for topic in self._listener.topics:
            self._subscribe_later(topic)
        # Who has our name as well; whom and what an earlier life knew, and is there no more.
        topics = self._topics
        for topic in (topics.status, *map(topics.of_all, ("occupancy", "heard", "stream"))):
            self._chores.append(partial(self._look_at, topic))
        self._backlog.states.send_all_again()
        self._backlog.is_discovery_due = self._config.discovery and self._backlog.has_speakers

    def _beat(self, now_s: float) -> None:
        """What would expire is said again, and what was refused is tried again."""
        self._beat_at_s = now_s + BEAT_S
        self._backlog.states.beat()
        for topic in self._listener.topics:
            if f"subscribe {topic}" in self._backlog.refusals.standing:
                self._subscribe_later(topic)

    async def _send_decision(self, queued: Queued) -> None:
        backlog = self._backlog
        decision = queued.decision
        topic = self._topics.decision if decision.is_final else self._topics.provisional
        if self._connection.protocol == "3.1.1" and not self._config.may_decide_without_expiry:
            backlog.outbox.refuse()
            backlog.refusals.note_in_words("publish", topic, NO_EXPIRY, NO_EXPIRY_HINT)
            backlog.settled.set()
            return
        left_s, expires_at = backlog.expiry_of(queued)
        payload = to_json(decision_payload(replace(decision, expires_at=expires_at)))
        code = await self._connection.publish_event(topic, payload, expires_in_s=left_s)
        if code < REFUSED:  # it has it, whether or not anybody subscribes
            backlog.note_taken(decision, is_heard=code != NO_SUBSCRIBER)
        if code < REFUSED and code != NO_SUBSCRIBER:
            backlog.outbox.settle()
            backlog.refusals.clear("publish", topic)
        elif is_passing(code):
            backlog.outbox.hold(backlog.now_s() + _ASK_AGAIN_S, is_unheard=code == NO_SUBSCRIBER)
        else:
            backlog.outbox.refuse()
        # That nobody cares for provisional ones is as it should be.
        if code >= REFUSED or (code == NO_SUBSCRIBER and decision.is_final):
            backlog.refusals.note("publish", topic, code)
        backlog.settled.set()

    async def _send_reply(self, reply: Reply, now_s: float) -> None:
        backlog = self._backlog
        if self._connection.protocol == "3.1.1":
            backlog.replies.lost += 1
            backlog.refusals.note_in_words("publish", reply.topic, _NO_EXPIRY_3, _REPLY_HINT)
            return
        left_s = reply.expires_at_s - now_s
        code = await self._connection.publish_event(reply.topic, reply.payload, expires_in_s=left_s)
        if code >= REFUSED:
            backlog.replies.lost += 1
            backlog.refusals.note("publish", reply.topic, code)
        else:
            backlog.refusals.clear("publish", reply.topic)

    async def _send_state(self, topic: str, payload: str) -> None:
        retained = self._backlog.states.retained
        lifetime_s = self._backlog.states.lifetime_s(topic, self._backlog.now_s())
        if await self._publish_state(topic, payload, lifetime_s):
            retained.sent(topic, payload)
            self._backlog.has_told_status |= topic == self._topics.status
        else:
            retained.skip(topic)

    async def _publish_state(self, topic: str, payload: str, lifetime_s: float | None) -> bool:
        """Whether the broker has it; what it refuses is named, and no more."""
        backlog = self._backlog
        if backlog.suspects.skips(topic, backlog.now_s()):
            return False
        backlog.suspects.sending(topic, len(payload.encode()))
        code = await self._connection.publish_state(topic, payload, lifetime_s=lifetime_s)
        backlog.suspects.sent()
        if code >= REFUSED:
            backlog.refusals.note("publish", topic, code)
            return False
        backlog.refusals.clear("publish", topic)
        return True

    async def _send_discovery(self) -> None:
        self._backlog.is_discovery_due = False
        speakers = dict(self._backlog.states.speakers)
        gone = self._backlog.announced - speakers.keys()
        for name in gone:
            self._backlog.states.forget(name)
        for removed in [gone, ()] if gone else [()]:
            config = device_config(
                self._topics,
                self._backlog.household,
                occupancy_hold_s=self._config.occupancy_hold_s,
                removed=removed,
            )
            if not await self._publish_state(self._topics.discovery, to_json(config), None):
                break
        self._backlog.announced = set(speakers)
        for topic, config in stream_configs(self._topics, self._backlog.household):
            await self._publish_state(topic, to_json(config), None)

    # --- what is asked for ------------------------------------------------------------------

    async def _subscribe(self, topic: str) -> None:
        code = await self._connection.subscribe(topic)
        if code >= REFUSED:
            self._backlog.refusals.note("subscribe", topic, code)
        else:
            self._backlog.refusals.clear("subscribe", topic)

    async def _look_at(self, topic: str) -> None:
        """Has the listener see what is retained there; our own is said anyway."""
        if await self._connection.subscribe(topic, qos=0) < REFUSED:
            self._chores.append(partial(self._connection.unsubscribe, topic))

    async def say_offline(self) -> None:
        """Before a graceful end, which no last will follows."""
        states = self._backlog.states
        states.end()
        self._backlog.refresh()
        with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
            async with asyncio.timeout(_OFFLINE_WITHIN_S):
                while (state := states.retained.next()) is not None:
                    await self._send_state(*state)


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancels until it has worked: Python 3.11's wait_for, inside aiomqtt, can swallow one."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        done, running = await asyncio.wait(running, timeout=_CANCEL_AGAIN_S)
        for task in done:
            if not task.cancelled():
                task.exception()  # seen; the first failure is what counts
