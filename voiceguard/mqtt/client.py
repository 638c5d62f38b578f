"""Hop 6 of 6: the daemon's link to the broker, which outlives every connection.

Event loop only; ``run`` is one of the daemon's long-lived tasks. In: decisions, status, speakers,
which wait in the backlog; commands from the broker. Out: one conversation after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import aiomqtt
import structlog

from voiceguard.errors import ConfigError
from voiceguard.mqtt.backlog import Backlog
from voiceguard.mqtt.connection import Connection, Protocol, connect
from voiceguard.mqtt.conversation import Conversation
from voiceguard.mqtt.embedded import embedded_broker
from voiceguard.mqtt.failures import Failure, explain
from voiceguard.mqtt.guards.backoff import Backoff
from voiceguard.mqtt.guards.credentials import Secrets, load_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from voiceguard.clock import Clock
    from voiceguard.decisions.result import Decision
    from voiceguard.mqtt.config import BrokerAddress, MqttConfig
    from voiceguard.mqtt.listening import Media
    from voiceguard.mqtt.topics import Command

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStatistics:
    """Counters since the link was made; queued is the sum of the others."""

    is_connected: bool
    protocol: Protocol | None
    """What the broker speaks, once known."""
    num_connections: int
    decisions_queued: int
    decisions_delivered: int
    decisions_dropped: int
    decisions_expired: int
    decisions_refused: int
    """The broker does not take them."""
    decisions_unheard: int
    """Taken by the broker, while nobody subscribed until they expired."""
    decisions_pending: int


class MqttLink:
    """Publishes decisions and states, passes commands on. Only ``run`` touches the network."""

    def __init__(
        self,
        config: MqttConfig,
        *,
        on_command: Callable[[Command], None],
        on_p_fa: Callable[[float], None] = lambda _: None,
        clock: Clock,
        on_request: Callable[[str, bytes], None] | None = None,
        media: Media | None = None,
    ) -> None:
        """Makes a link that is neither available nor connected yet.

        Args:
            config: The [mqtt] table; its broker is not ``none``.
            on_command: Called on the event loop; must not wait. Never with ``p_fa``.
            on_p_fa: Called with the rate that somebody wants.
            clock: Time; how long anything lasts is never judged by its UTC.
            on_request: Called likewise with a lock's request, its action and payload; None: there
                are no locks.
            media: Told of what plays in the home.
        """
        assert config.is_enabled
        self._config = config
        self._on_command = on_command
        self._on_request = on_request
        self._on_p_fa = on_p_fa
        self._media = media
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

    async def published(self, decision_id: str) -> None:
        """Returns when the broker has a decision of a turn, which waits for as long as it lives."""
        await self._backlog.taken(decision_id)

    def set_status(self, status: Mapping[str, Any]) -> None:
        """Replaces the status JSON; ``state`` and the rest as topics.py has them."""
        self._backlog.set_status(status)

    def set_available(self, is_available: bool, reason: str = "") -> None:  # noqa: FBT001
        """Says whether decisions can be expected; while not, nobody counts as present."""
        self._backlog.states.set_available(is_available=is_available, reason=reason)
        self._backlog.refresh()

    def set_speakers(self, speakers: Iterable[tuple[str, str]]) -> None:
        """Takes the enrolled speakers, ``(name, display name)``; topics and discovery follow."""
        self._backlog.set_speakers(speakers)

    def reply(self, topic: str, payload: bytes, lifetime_s: float) -> None:
        """Sends an answer: once, not retained, within its lifetime or not at all; MQTT 5 only."""
        self._backlog.reply(topic, payload, lifetime_s)

    def set_household(
        self, *, streams: Mapping[str, str], p_fa_choices: tuple[float, ...], can_restart: bool
    ) -> None:
        """Takes what else is announced.

        Args:
            streams: Name to the area that is suggested for it; empty: none.
            p_fa_choices: What the command ``p_fa`` may choose.
            can_restart: Whether the command ``restart`` is obeyed.
        """
        household = replace(
            self._backlog.household,
            streams=streams,
            p_fa_choices=p_fa_choices,
            can_restart=can_restart,
            configuration_url=self._config.configuration_url,
        )
        self._backlog.announce(household)

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
            decisions_refused=self._backlog.outbox.refused,
            decisions_unheard=self._backlog.outbox.unheard,
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
        backoff = Backoff()
        while True:
            failure = await self._connect_once(address, secrets)
            self._report(failure, address)
            began_s, self._connected_at_s = self._connected_at_s, None
            now_s = self._backlog.now_s()
            backoff.ended(None if began_s is None else now_s - began_s)
            await self._pause(backoff, now_s)
            try:
                secrets = await asyncio.to_thread(load_secrets, self._config, address)
            except ConfigError as error:  # being replaced at this moment: the old one may do
                self._report(Failure("secrets", str(error), error.hint), address)

    async def _connect_once(self, address: BrokerAddress, secrets: Secrets) -> Failure:
        """Serves one connection until it breaks; says why it did."""
        try:
            async with connect(self._config, address, secrets, self._protocol) as connection:
                self._connected_at_s = self._backlog.now_s()
                await self._use(connection, address)
        except aiomqtt.MqttError as error:
            failure = explain(error)
        except Exception as error:  # noqa: BLE001  # what a hostile broker says must end no more
            failure = Failure("unexpected", f"{type(error).__name__} in the MQTT library")
        self._backlog.note_broken()
        self._backlog.outbox.give_back(is_suspect=True)
        self._backlog.suspects.connection_broke(
            self._backlog.now_s(), is_too_large=failure.cause == "too_large"
        )
        return failure

    async def _pause(self, backoff: Backoff, began_s: float) -> None:
        """Until the next attempt; shorter as soon as something waits."""
        while True:
            self._backlog.refresh()
            is_urgent = self._backlog.outbox.pending > 0
            until_s = began_s + backoff.wait_s(is_urgent=is_urgent)
            if self._backlog.now_s() >= until_s:
                return
            self._backlog.arrived.clear()
            await self._backlog.wait_for(self._backlog.arrived, until_s=until_s)

    async def _use(self, connection: Connection, address: BrokerAddress) -> None:
        """Serves one connection until it breaks (MqttError) or the link is ended."""
        self._num_connections += 1
        self._protocol = connection.protocol
        self._last_cause = ""
        log.info("broker_connected", address=str(address), protocol=connection.protocol)
        conversation = Conversation(
            connection,
            self._config,
            self._backlog,
            on_command=self._on_command,
            on_request=self._on_request,
            on_p_fa=self._on_p_fa,
            media=self._media,
        )
        try:
            await conversation.hold()
        except asyncio.CancelledError:
            self._backlog.suspects.connection_ended()
            self._backlog.outbox.give_back()
            await conversation.say_offline()
            raise

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
