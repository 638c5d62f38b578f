"""A lock's conversation with the daemon over a broker: one request, its notices, its envelope.

Event loop. The verifier alone says what opens; notices only tell people what is going on. Nothing
of a request outlives its connection: when the broker goes, the request is given up.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets as random_names
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import aiomqtt

from voiceguard.errors import BrokerError, EnvelopeError
from voiceguard.mqtt.connection import Connection, connect
from voiceguard.mqtt.failures import explain
from voiceguard.mqtt.guards.credentials import load_secrets
from voiceguard.mqtt.guards.refusals import NO_SUBSCRIBER, REFUSED, detail_of, hint_of
from voiceguard.unlock.requests import read_notice, request_payload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voiceguard.mqtt.config import MqttConfig
    from voiceguard.unlock.envelope import Envelope
    from voiceguard.unlock.verifier import Verifier

_ANSWERED_WITHIN_S = 14.0
"""The first notice; the daemon gives its disk 5 s, and may have another lock's digits read first,
which it gives 8 s."""
_AFTER_ITS_END_S = 6.0
"""Speech that ended in time is judged, and noted, so much later at most."""
_REQUEST_EXPIRY_S = 5.0
LAST_STATES = frozenset({"failed", "expired", "refused"})


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ended."""

    envelope: Envelope | None
    notice: dict[str, Any]
    """The last one; empty where none came."""


class LockConnection:
    """One lock at one broker.

    Args:
        connection: Of MQTT 5.
        config: The [mqtt] table: which daemon.
        action: What the lock does.
        triggers: Topics that it listens to besides.
    """

    def __init__(
        self, connection: Connection, config: MqttConfig, action: str, triggers: tuple[str, ...]
    ) -> None:
        self._connection = connection
        self._messages = connection.messages
        self._request_topic = config.topics.unlock_request(action)
        self._notice_topic = config.topics.unlock_notice(action)
        self._envelope_topic = config.topics.unlock_envelope(action)
        self._triggers = triggers

    async def subscribe(self) -> None:
        """To all that it listens to.

        Raises:
            BrokerError: The broker does not let us.
        """
        for topic in (self._notice_topic, self._envelope_topic, *self._triggers):
            code = await self._connection.subscribe(topic)
            if code >= REFUSED:
                raise BrokerError(
                    f"the broker refuses to let us subscribe to {topic}: {detail_of(code)}",
                    hint=hint_of(code, "subscribe", topic),
                )

    async def wait_for_trigger(self) -> tuple[str, bytes]:
        """The next message on a topic of ``triggers``; retained ones are of the past."""
        while True:
            message = await anext(self._messages)
            if message.topic.value in self._triggers and not message.retain:
                return message.topic.value, _bytes_of(message)

    async def ask(self, verifier: Verifier, on_notice: Callable[[dict[str, Any]], None]) -> Answer:
        """Opens a request and waits for its end.

        Args:
            verifier: The lock's memory.
            on_notice: Told what the daemon says meanwhile.

        Raises:
            BrokerError: The broker does not let us ask, or no daemon listens.
        """
        nonce = verifier.begin()
        try:
            await self._send(request_payload(nonce))
            return await self._hear(verifier, nonce, on_notice)
        finally:
            verifier.cancel()

    async def _send(self, payload: bytes) -> None:
        topic = self._request_topic
        code = await self._connection.publish_event(topic, payload, expires_in_s=_REQUEST_EXPIRY_S)
        if code >= REFUSED:
            raise BrokerError(
                f"the broker refuses to let us publish {topic}: {detail_of(code)}",
                hint=hint_of(code, "publish", topic),
            )
        if code == NO_SUBSCRIBER:
            raise BrokerError(
                f"no daemon takes requests on {topic}",
                hint="is `voiceguard run` running there, with [unlock.actions] in its settings, "
                "and mqtt.node_id the same?",
            )

    async def _hear(
        self, verifier: Verifier, nonce: str, on_notice: Callable[[dict[str, Any]], None]
    ) -> Answer:
        notice: dict[str, Any] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ANSWERED_WITHIN_S) as scope:
                async for message in self._messages:
                    if message.retain:
                        continue
                    if message.topic.value == self._envelope_topic:
                        with contextlib.suppress(EnvelopeError):  # somebody else's, or rubbish
                            return Answer(verifier.check(_bytes_of(message)), notice)
                    elif message.topic.value == self._notice_topic:
                        told = read_notice(_bytes_of(message))
                        if told is None or told["nonce"] != nonce:
                            continue
                        notice = told
                        on_notice(notice)
                        if notice["state"] in LAST_STATES:
                            return Answer(None, notice)
                        if notice["state"] == "opened":
                            left_s = float(notice["seconds"]) + _AFTER_ITS_END_S
                            scope.reschedule(asyncio.get_running_loop().time() + left_s)
        return Answer(None, notice)


@contextlib.asynccontextmanager
async def lock_connection(
    config: MqttConfig, action: str, triggers: tuple[str, ...] = ()
) -> AsyncIterator[LockConnection]:
    """A lock that is connected and subscribed.

    Args:
        config: The [mqtt] table: the broker, and which daemon is meant.
        action: What the lock does.
        triggers: Topics that it listens to besides.

    Raises:
        BrokerError: It cannot be reached, or refuses us; also later, when the connection breaks.
        ConfigError: A password or certificate file is unusable.
    """
    address = config.address
    if address is None:
        raise BrokerError(
            f"broker is {config.place}: a lock needs one of MQTT 5", hint="--broker mqtt://..."
        )
    # Not the daemon's client id: the broker would throw the daemon out.
    own = replace(config, client_id=f"voiceguard-lock-{random_names.token_hex(6)}", protocol="5")
    secrets = await asyncio.to_thread(load_secrets, own, address)
    try:
        async with connect(own, address, secrets, has_will=False) as connection:
            lock = LockConnection(connection, own, action, triggers)
            await lock.subscribe()
            yield lock
    except aiomqtt.MqttError as error:
        failure = explain(error)
        raise BrokerError(f"{address}: {failure.detail}", hint=failure.hint) from error


def _bytes_of(message: aiomqtt.Message) -> bytes:
    return message.payload if isinstance(message.payload, bytes) else b""
