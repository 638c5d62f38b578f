"""Hop 6 of 6: the daemon's link to the broker, which outlives every connection.

Event loop only; ``run`` is one of the daemon's long-lived tasks. In: decisions, status, speakers,
which wait in the backlog; commands from the broker. Out: one conversation after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiomqtt
import structlog

from voiceguard.errors import ConfigError
from voiceguard.mqtt.backlog import Backlog
from voiceguard.mqtt.connection import Connection, Protocol, connect, load_secrets
from voiceguard.mqtt.conversation import Conversation
from voiceguard.mqtt.embedded import embedded_broker
from voiceguard.mqtt.failures import Failure, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from voiceguard.clock import Clock
    from voiceguard.decisions.result import Decision
    from voiceguard.mqtt.config import BrokerAddress, MqttConfig
    from voiceguard.mqtt.topics import Command

log = structlog.get_logger()

_RETRY_LIMITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 10.0)
"""Each wait is a random half to whole of its limit, so that a home's clients don't come at once."""
_STEADY_S = 10.0
"""A connection that lasted this long was a good one: the next retry is quick again."""


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
        clock: Clock,
    ) -> None:
        """Makes a link that is neither available nor connected yet.

        Args:
            config: The [mqtt] table; its broker is not ``none``.
            on_command: Called on the event loop; must not wait.
            clock: Time; expiry is judged by its UTC.
        """
        assert config.is_enabled
        self._config = config
        self._on_command = on_command
        self._clock = clock
        self._backlog = Backlog(config, clock)
        self._scope: asyncio.Timeout | None = None
        self._is_closing = False
        self._ended = asyncio.Event()
        self._protocol: Protocol | None = "3.1.1" if config.broker == "embedded" else None
        self._connected_at_s: float | None = None
        self._num_connections = 0
        self._last_cause = ""

    # --- from the daemon: nothing here waits -----------------------------------------------

    def publish(self, decision: Decision) -> None:
        """Queues a final decision or a provisional accept; other provisional ones are no news."""
        self._backlog.put(decision)

    def set_status(self, status: Mapping[str, Any]) -> None:
        """Replaces the status JSON; ``state`` and the rest as topics.py has them."""
        self._backlog.states.set_status(status)
        self._backlog.refresh()

    def set_available(self, is_available: bool, reason: str = "") -> None:  # noqa: FBT001
        """Says whether decisions can be expected; while not, nobody counts as present."""
        self._backlog.states.set_available(is_available=is_available, reason=reason)
        self._backlog.refresh()

    def set_speakers(self, speakers: Iterable[tuple[str, str]]) -> None:
        """Takes the enrolled speakers, ``(name, display name)``; topics and discovery follow."""
        self._backlog.set_speakers(speakers)

    def statistics(self) -> LinkStatistics:
        """Counters since the link was made."""
        return LinkStatistics(
            is_connected=self._connected_at_s is not None,
            protocol=self._protocol,
            num_connections=self._num_connections,
            decisions_queued=self._backlog.outbox.queued,
            decisions_delivered=self._backlog.outbox.delivered,
            decisions_dropped=self._backlog.outbox.dropped,
            decisions_expired=self._backlog.outbox.expired,
            decisions_pending=self._backlog.outbox.pending,
        )

    async def drain(self, timeout_s: float) -> bool:
        """Waits until every queued decision is acknowledged or expired; False if some are not."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._backlog.drained()
        except TimeoutError:
            return False
        return True

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
        attempt = 0
        while True:
            try:
                async with connect(self._config, address, secrets, self._protocol) as connection:
                    self._connected_at_s = self._clock.monotonic_s()
                    await self._use(connection, address)
            except aiomqtt.MqttError as error:
                self._report(explain(error), address)
            since_s = self._connected_at_s
            if since_s is not None and self._clock.monotonic_s() - since_s > _STEADY_S:
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
        conversation = Conversation(
            connection, self._config, self._backlog, on_command=self._on_command, clock=self._clock
        )
        try:
            await conversation.hold()
        except asyncio.CancelledError:
            await conversation.say_offline()
            raise
        finally:
            self._backlog.outbox.give_back()

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
