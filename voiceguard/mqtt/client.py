"""Hop 6 of 6: the daemon's link to the broker, which outlives every connection.

Event loop only; ``run`` is one of the daemon's long-lived tasks, and its two children (send,
receive) live exactly as long as one connection. In: decisions, status, speakers; commands from the
broker. Out: the topics of topics.py. Decisions wait in the outbox and are never sent late; of a
state only the latest value is kept, and all of them are sent again on every connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiomqtt
import structlog

from voiceguard.decisions.wire import decision_payload, to_json
from voiceguard.errors import ConfigError
from voiceguard.mqtt.connection import Connection, Protocol, connect, load_secrets
from voiceguard.mqtt.discovery import announced_speakers, device_config
from voiceguard.mqtt.embedded import embedded_broker
from voiceguard.mqtt.failures import Failure, explain
from voiceguard.mqtt.outbox import Outbox
from voiceguard.mqtt.states import States
from voiceguard.mqtt.topics import ONLINE, Command
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from voiceguard.mqtt.config import BrokerAddress, MqttConfig
    from voiceguard.types import Decision

log = structlog.get_logger()

_RETRY_LIMITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 10.0)
"""Each wait is a random half to whole of its limit, so that a home's clients don't come at once."""
_STEADY_S = 10.0
"""A connection that lasted this long was a good one: the next retry is quick again."""
_OFFLINE_WITHIN_S = 0.6
_CANCEL_AGAIN_S = 0.1
_MAX_LOGGED_BYTES = 32


def utc_now() -> datetime:
    """The clock that expiry is judged by."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStatistics:
    """Counters since the link was made; queued = delivered + dropped + expired + pending."""

    is_connected: bool
    protocol: Protocol | None
    """What the broker speaks, once known."""
    num_connections: int
    decisions_queued: int
    decisions_delivered: int
    decisions_dropped: int
    decisions_expired: int
    decisions_pending: int


class MqttLink:
    """Publishes decisions and states, passes commands on. Only ``run`` touches the network."""

    def __init__(
        self,
        config: MqttConfig,
        *,
        on_command: Callable[[Command], None],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Makes a link that is neither available nor connected yet.

        Args:
            config: The [mqtt] table; its broker is not ``none``.
            on_command: Called on the event loop; must not wait.
            clock: UTC now.
        """
        assert config.is_enabled
        self._config = config
        self._topics = config.topics
        self._on_command = on_command
        self._clock = clock
        self._outbox = Outbox(config.outbox_size)
        self._states = States(config.topics, config.occupancy_hold_s)
        self._announced: set[str] = set()
        self._has_speakers = False
        self._is_discovery_due = False
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._scope: asyncio.Timeout | None = None
        self._is_closing = False
        self._ended = asyncio.Event()
        self._protocol: Protocol | None = "3.1.1" if config.broker == "embedded" else None
        self._connected_at_s: float | None = None
        self._num_connections = 0
        self._last_cause = ""
        self._refresh()

    # --- from the daemon: nothing here waits -----------------------------------------------

    def publish(self, decision: Decision) -> None:
        """Queues a final decision or a provisional accept; other provisional ones are no news."""
        if decision.is_final or decision.outcome is Outcome.ACCEPTED:
            self._outbox.put(decision)
            self._states.apply(decision, self._clock())
            self._refresh()

    def set_status(self, status: Mapping[str, Any]) -> None:
        """Replaces the status JSON; ``state`` and the rest as topics.py has them."""
        self._states.set_status(status)
        self._refresh()

    def set_available(self, is_available: bool, reason: str = "") -> None:  # noqa: FBT001
        """Says whether decisions can be expected; while not, nobody counts as present."""
        self._states.set_available(is_available=is_available, reason=reason)
        self._refresh()

    def set_speakers(self, speakers: Iterable[tuple[str, str]]) -> None:
        """Takes the enrolled speakers, ``(name, display name)``; topics and discovery follow."""
        wanted = dict(speakers)
        if self._has_speakers and wanted == self._states.speakers:
            return
        self._states.set_speakers(wanted)
        self._has_speakers = True
        self._is_discovery_due = self._config.discovery
        self._refresh()

    def statistics(self) -> LinkStatistics:
        """Counters since the link was made."""
        return LinkStatistics(
            is_connected=self._connected_at_s is not None,
            protocol=self._protocol,
            num_connections=self._num_connections,
            decisions_queued=self._outbox.queued,
            decisions_delivered=self._outbox.delivered,
            decisions_dropped=self._outbox.dropped,
            decisions_expired=self._outbox.expired,
            decisions_pending=self._outbox.pending,
        )

    async def drain(self, timeout_s: float) -> bool:
        """Waits until every queued decision is acknowledged or expired; False if some are not."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    self._outbox.expire(self._clock())
                    if self._outbox.pending == 0:
                        return True
                    self._settled.clear()
                    await self._wait_for(self._settled, until=self._outbox.next_expiry())
        return False

    async def close(self) -> None:
        """Ends ``run``, which says ``offline`` first; returns within about a second."""
        self._is_closing = True
        if self._scope is not None and not self._ended.is_set():
            self._scope.reschedule(asyncio.get_running_loop().time())
            await self._ended.wait()

    # --- the long-lived task ---------------------------------------------------------------

    async def run(self) -> None:
        """Keeps a connection until ``close`` or cancellation; on both says ``offline`` first.

        Raises:
            ConfigError: At the start, a password or certificate file is unusable.
            BrokerError: The embedded broker cannot start.
        """
        if self._is_closing:
            return
        scope = asyncio.timeout(None)  # close() ends it
        try:
            async with contextlib.AsyncExitStack() as stack, scope:
                self._scope = scope
                address = self._config.address
                if address is None:
                    address = await stack.enter_async_context(embedded_broker())
                await self._reconnect_forever(address)
        except TimeoutError:
            if not scope.expired():
                raise
        finally:
            self._connected_at_s = None
            self._ended.set()

    async def _reconnect_forever(self, address: BrokerAddress) -> None:
        secrets = await asyncio.to_thread(load_secrets, self._config, address)
        clock = asyncio.get_running_loop().time
        attempt = 0
        while True:
            try:
                async with connect(self._config, address, secrets, self._protocol) as connection:
                    self._connected_at_s = clock()
                    await self._use(connection, address)
            except aiomqtt.MqttError as error:
                self._report(explain(error), address)
            if self._connected_at_s is not None and clock() - self._connected_at_s > _STEADY_S:
                attempt = 0
            self._connected_at_s = None
            limit_s = _RETRY_LIMITS_S[min(attempt, len(_RETRY_LIMITS_S) - 1)]
            attempt += 1
            await asyncio.sleep(random.uniform(limit_s / 2, limit_s))  # noqa: S311  # jitter
            try:
                secrets = await asyncio.to_thread(load_secrets, self._config, address)
            except ConfigError as error:  # being replaced at this moment: the old one may do
                self._report(Failure("secrets", str(error), error.hint), address)

    async def _use(self, connection: Connection, address: BrokerAddress) -> None:
        """Serves one connection until it breaks (MqttError) or the link is ended."""
        self._num_connections += 1
        self._protocol = connection.protocol
        self._last_cause = ""
        log.info("broker_connected", address=str(address), protocol=connection.protocol)
        try:
            await self._converse(connection)
        except asyncio.CancelledError:
            await self._say_offline(connection)
            raise
        finally:
            self._outbox.give_back()

    # --- one connection --------------------------------------------------------------------

    async def _converse(self, connection: Connection) -> None:
        # No TaskGroup: before Python 3.13 a child's failure leaves its parent marked as being
        # cancelled, and the next close() would look like a cancellation.
        children = [
            asyncio.create_task(self._send(connection), name="mqtt send"),
            asyncio.create_task(self._receive(connection), name="mqtt receive"),
        ]
        try:
            done, _ = await asyncio.wait(children, return_when=asyncio.FIRST_COMPLETED)
            for child in done:
                child.result()
        finally:
            await _end(children)

    async def _send(self, connection: Connection) -> None:
        await self._announce(connection)
        while True:
            self._refresh()  # occupancy ends with time alone
            decision = self._outbox.take(self._clock())
            self._settled.set()  # some may have expired
            if decision is not None:
                await self._send_decision(connection, decision)
            elif self._is_discovery_due:
                await self._send_discovery(connection)
            elif self._states.retained.next() is not None:
                await self._send_states(connection)
            else:
                self._wake.clear()
                await self._wait_for(self._wake, until=self._states.next_expiry())

    async def _announce(self, connection: Connection) -> None:
        """Tells a broker that may know nothing all there is, `online` last."""
        await connection.subscribe(self._topics.command)
        if self._config.discovery:
            # The retained one first: it may name speakers who were removed while we were away.
            await connection.subscribe(self._topics.discovery)
            await connection.subscribe(self._topics.birth)
        self._states.send_all_again()
        if self._config.discovery and self._has_speakers:
            await self._send_discovery(connection)
        await self._send_states(connection)

    async def _send_decision(self, connection: Connection, decision: Decision) -> None:
        topic = self._topics.decision if decision.is_final else self._topics.provisional
        await connection.publish_event(
            topic,
            to_json(decision_payload(decision)),
            expires_in_s=(decision.expires_at - self._clock()).total_seconds(),
        )
        self._outbox.settle()
        self._settled.set()

    async def _send_states(self, connection: Connection) -> None:
        while (state := self._states.retained.next()) is not None:
            topic, payload = state
            await connection.publish_state(topic, payload)
            self._states.retained.sent(topic, payload)

    async def _send_discovery(self, connection: Connection) -> None:
        self._is_discovery_due = False
        speakers = dict(self._states.speakers)
        gone = self._announced - speakers.keys()
        for name in gone:
            self._states.forget(name)
        for removed in [gone, ()] if gone else [()]:
            config = device_config(
                self._topics,
                speakers,
                occupancy_hold_s=self._config.occupancy_hold_s,
                removed=removed,
            )
            await connection.publish_state(self._topics.discovery, to_json(config))
        self._announced = set(speakers)

    async def _receive(self, connection: Connection) -> None:
        async for message in connection.messages:
            payload = message.payload if isinstance(message.payload, bytes) else b""
            topic, is_retained = message.topic.value, message.retain
            if topic == self._topics.command:
                self._handle_command(payload, is_retained=is_retained)
            elif topic == self._topics.birth and payload == ONLINE.encode() and not is_retained:
                log.info("home_assistant_started")
                self._is_discovery_due = self._has_speakers
                self._states.send_all_again()
            elif topic == self._topics.discovery and is_retained:
                self._announced |= announced_speakers(payload)
                self._is_discovery_due = self._has_speakers
            self._wake.set()

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

    async def _say_offline(self, connection: Connection) -> None:
        """Before a graceful end, which no last will follows."""
        self._states.set_available(is_available=False, reason="stopped")
        self._refresh()
        with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
            async with asyncio.timeout(_OFFLINE_WITHIN_S):
                await self._send_states(connection)

    # --- small things ----------------------------------------------------------------------

    def _refresh(self) -> None:
        self._states.refresh(self._clock())
        self._wake.set()

    async def _wait_for(self, event: asyncio.Event, *, until: datetime | None) -> None:
        timeout_s = None if until is None else max(0.0, (until - self._clock()).total_seconds())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await event.wait()

    def _report(self, failure: Failure, address: BrokerAddress) -> None:
        """Logs a failure once per cause in a row."""
        if failure.cause == "protocol" and self._config.address is not None:
            self._protocol = None  # the broker was replaced by an older one
        if failure.cause != self._last_cause:
            log.warning(
                "broker_connection_failed",
                address=str(address),
                cause=failure.cause,
                detail=failure.detail,
                hint=failure.hint,
            )
        self._last_cause = failure.cause


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
