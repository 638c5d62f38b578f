"""Hop 6 of 6: one conversation with a broker, from the first subscription to ``offline``.

Event loop; its two children (send, receive) live exactly as long as the connection. Out: the
backlog, decisions first, all states again on every connection. In: commands, and what a broker or
Home Assistant says that makes our announcement due.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import aiomqtt
import structlog

from voiceguard.decisions.wire import decision_payload, to_json
from voiceguard.mqtt.discovery import announced_speakers, device_config
from voiceguard.mqtt.topics import ONLINE, Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from voiceguard.clock import Clock
    from voiceguard.decisions.result import Decision
    from voiceguard.mqtt.backlog import Backlog
    from voiceguard.mqtt.config import MqttConfig
    from voiceguard.mqtt.connection import Connection

log = structlog.get_logger()

_OFFLINE_WITHIN_S = 0.6
_CANCEL_AGAIN_S = 0.1
_MAX_LOGGED_BYTES = 32


class Conversation:
    """What is said and heard over one connection."""

    def __init__(
        self,
        connection: Connection,
        config: MqttConfig,
        backlog: Backlog,
        *,
        on_command: Callable[[Command], None],
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._config = config
        self._topics = config.topics
        self._backlog = backlog
        self._on_command = on_command
        self._clock = clock

    async def hold(self) -> None:
        """Sends and receives until the connection breaks (MqttError)."""
        # No TaskGroup: before Python 3.13 a child's failure leaves its parent marked as being
        # cancelled, and the next close() would look like a cancellation.
        children = [
            asyncio.create_task(self._send(), name="mqtt send"),
            asyncio.create_task(self._receive(), name="mqtt receive"),
        ]
        try:
            done, _ = await asyncio.wait(children, return_when=asyncio.FIRST_COMPLETED)
            for child in done:
                child.result()
        finally:
            await _end(children)

    async def _send(self) -> None:
        await self._announce()
        while True:
            self._backlog.refresh()  # occupancy ends with time alone
            decision = self._backlog.outbox.take(self._clock.utc())
            self._backlog.settled.set()  # some may have expired
            if decision is not None:
                await self._send_decision(decision)
            elif self._backlog.is_discovery_due:
                await self._send_discovery()
            elif self._backlog.states.retained.next() is not None:
                await self._send_states()
            else:
                self._backlog.wake.clear()
                await self._backlog.wait_for(
                    self._backlog.wake, until=self._backlog.states.next_expiry()
                )

    async def _announce(self) -> None:
        """Tells a broker that may know nothing all there is, `online` last."""
        await self._connection.subscribe(self._topics.command)
        if self._config.discovery:
            # The retained one first: it may name speakers who were removed while we were away.
            await self._connection.subscribe(self._topics.discovery)
            await self._connection.subscribe(self._topics.birth)
        self._backlog.states.send_all_again()
        if self._config.discovery and self._backlog.has_speakers:
            await self._send_discovery()
        await self._send_states()

    async def _send_decision(self, decision: Decision) -> None:
        topic = self._topics.decision if decision.is_final else self._topics.provisional
        await self._connection.publish_event(
            topic,
            to_json(decision_payload(decision)),
            expires_in_s=(decision.expires_at - self._clock.utc()).total_seconds(),
        )
        self._backlog.outbox.settle()
        self._backlog.settled.set()

    async def _send_states(self) -> None:
        while (state := self._backlog.states.retained.next()) is not None:
            topic, payload = state
            await self._connection.publish_state(topic, payload)
            self._backlog.states.retained.sent(topic, payload)

    async def _send_discovery(self) -> None:
        self._backlog.is_discovery_due = False
        speakers = dict(self._backlog.states.speakers)
        gone = self._backlog.announced - speakers.keys()
        for name in gone:
            self._backlog.states.forget(name)
        for removed in [gone, ()] if gone else [()]:
            config = device_config(
                self._topics,
                speakers,
                occupancy_hold_s=self._config.occupancy_hold_s,
                removed=removed,
            )
            await self._connection.publish_state(self._topics.discovery, to_json(config))
        self._backlog.announced = set(speakers)

    async def _receive(self) -> None:
        async for message in self._connection.messages:
            payload = message.payload if isinstance(message.payload, bytes) else b""
            topic, is_retained = message.topic.value, message.retain
            if topic == self._topics.command:
                self._handle_command(payload, is_retained=is_retained)
            elif topic == self._topics.birth and payload == ONLINE.encode() and not is_retained:
                log.info("home_assistant_started")
                self._backlog.is_discovery_due = self._backlog.has_speakers
                self._backlog.states.send_all_again()
            elif topic == self._topics.discovery and is_retained:
                self._backlog.announced |= announced_speakers(payload)
                self._backlog.is_discovery_due = self._backlog.has_speakers
            self._backlog.wake.set()

    def _handle_command(self, payload: bytes, *, is_retained: bool) -> None:
        if is_retained:
            log.warning("command_ignored", cause="retained")
            return
        try:
            command = Command(payload.decode())
        except ValueError:
            shown = payload[:_MAX_LOGGED_BYTES].decode(errors="replace")
            log.warning("command_ignored", cause="unknown", payload=shown)
            return
        self._on_command(command)

    async def say_offline(self) -> None:
        """Before a graceful end, which no last will follows."""
        self._backlog.states.set_available(is_available=False, reason="stopped")
        self._backlog.refresh()
        with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
            async with asyncio.timeout(_OFFLINE_WITHIN_S):
                await self._send_states()


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
