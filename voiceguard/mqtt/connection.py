"""Hop 6 of 6: one connection to the broker, from a fresh aiomqtt client to a closed socket.

Event loop; aiomqtt resolves and connects on asyncio's default executor. A client object is never
used twice, because paho sends again what its last connection left unacknowledged. Every wait is
bounded, and every way out of a connection closes its socket: aiomqtt leaves it open after a CONNECT
that nobody answered, and such a connection could come alive later under our client id.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from voiceguard.mqtt.failures import explain
from voiceguard.mqtt.guards.answers import AnsweringClient
from voiceguard.mqtt.guards.refusals import RETAIN_UNAVAILABLE, TOO_LARGE
from voiceguard.mqtt.topics import OFFLINE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voiceguard.mqtt.config import BrokerAddress, MqttConfig
    from voiceguard.mqtt.guards.credentials import Secrets

Protocol: TypeAlias = Literal["5", "3.1.1"]

_SILENT = logging.getLogger("voiceguard.aiomqtt")
"""aiomqtt logs a traceback for every acknowledgement that nobody waits for any more; whatever
matters of its news reaches us as an exception."""
_SILENT.setLevel(logging.CRITICAL + 1)  # nothing is even put together

_VERSIONS = {"5": aiomqtt.ProtocolVersion.V5, "3.1.1": aiomqtt.ProtocolVersion.V311}
_GOODBYE_S = 0.5
_MAX_INCOMING = 64
_RECEIVE_BUFFER_BYTES = 1 << 16
"""What stands before an acknowledgement when somebody floods a topic of ours."""
_PACKET_OVERHEAD_BYTES = 16
"""Of a PUBLISH: header, lengths, packet id, expiry."""
_MAX_PACKET_BYTES = 1 << 20
"""Commands are short; the largest message we ask for is our own discovery."""


class Connection:
    """A live connection, one message on its way at a time.

    Every method raises aiomqtt.MqttError when the broker is gone. What the broker answers comes
    back as MQTT 5's reason code: 0 is well, and ``guards.refusals`` knows the others. Brokers of
    MQTT 3.1.1 have no words for a refused message.
    """

    def __init__(self, client: AnsweringClient, protocol: Protocol) -> None:
        self._client = client
        self.protocol: Protocol = protocol
        limits = vars(client.limits) if client.limits is not None else {}
        self._max_packet_bytes: int | None = limits.get("MaximumPacketSize")
        self._max_qos: int = limits.get("MaximumQoS", 1)
        self._can_retain: bool = limits.get("RetainAvailable", 1) != 0

    @property
    def messages(self) -> AsyncIterator[aiomqtt.Message]:
        """What arrives on the subscribed topics; ends with MqttError."""
        return aiter(self._client.messages)

    async def subscribe(self, topic: str, *, qos: int = 1) -> int:
        """Asks for a topic.

        Returns:
            The reason code: the granted QoS, or a refusal.
        """
        codes = await self._client.subscribe(topic, qos=qos)
        return max((code if isinstance(code, int) else code.value for code in codes), default=0)

    async def unsubscribe(self, topic: str) -> None:
        """Asks for a topic no more."""
        await self._client.unsubscribe(topic)

    def admit_by(self, admits: Callable[[str], bool]) -> None:
        """From now on a message whose topic is not admitted is passed over, as cheaply as can be.

        Args:
            admits: Called with every topic, before the message is parsed; must not wait.
        """
        self._client.admits = admits

    def leave(self, topic: str) -> None:
        """Ends a topic that floods, at once.

        What floods stands before every answer, that of this one too: nobody waits for it.
        """
        self._client.unsubscribe_at_once(topic)

    async def publish_state(
        self, topic: str, payload: str, *, lifetime_s: float | None = None
    ) -> int:
        """Retained, QoS 1, acknowledged on return. An empty payload removes the topic.

        Args:
            topic: Where.
            payload: What.
            lifetime_s: MQTT 5: after this the broker forgets it; None: never.
        """
        if not self._can_retain:
            await self._publish(topic, payload, retain=False)
            return RETAIN_UNAVAILABLE
        return await self._publish(topic, payload, retain=True, lifetime_s=lifetime_s)

    async def publish_event(self, topic: str, payload: str | bytes, *, expires_in_s: float) -> int:
        """Not retained. MQTT 5: QoS 1 with expiry, acknowledged; 3.1.1: QoS 0, handed over.

        The expiry counts whole seconds and at least one; it is cut, never rounded up.
        """
        if self.protocol == "3.1.1":
            await self._client.publish(topic, payload, qos=0)
            return 0
        return await self._publish(topic, payload, retain=False, lifetime_s=expires_in_s)

    async def _publish(
        self, topic: str, payload: str | bytes, *, retain: bool, lifetime_s: float | None = None
    ) -> int:
        properties = None
        if self.protocol == "5" and lifetime_s is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = max(1, int(lifetime_s))
        content = payload.encode() if isinstance(payload, str) else payload
        num_bytes = len(topic.encode()) + len(content) + _PACKET_OVERHEAD_BYTES
        if self._max_packet_bytes is not None and num_bytes > self._max_packet_bytes:
            return TOO_LARGE  # the broker would end the connection
        self._client.publish_code = 0
        await self._client.publish(
            topic, payload, qos=min(1, self._max_qos), retain=retain, properties=properties
        )
        return self._client.publish_code


@asynccontextmanager
async def connect(
    config: MqttConfig,
    address: BrokerAddress,
    secrets: Secrets,
    known: Protocol | None = None,
    *,
    has_will: bool = True,
    will: aiomqtt.Will | None = None,
) -> AsyncIterator[Connection]:
    """Connects by MQTT 5, or by 3.1.1 where the broker knows no better; disconnects at the end.

    A broker without MQTT 5 says so, hangs up, or does not answer at all; any other refusal would
    be the same in 3.1.1 and is not tried twice.

    Args:
        config: The [mqtt] table.
        address: The broker's.
        secrets: As ``load_secrets`` has read them.
        known: The protocol that this broker has spoken before.
        has_will: Whether something is published for us if we vanish.
        will: What; by default ``offline``.

    Raises:
        aiomqtt.MqttError: Refused, unreachable, or no answer within ``timeout_s``.
    """
    wanted: Protocol | None = known if config.protocol == "auto" else config.protocol
    will = will or aiomqtt.Will(config.topics.availability, OFFLINE, qos=1, retain=True)
    async with AsyncExitStack() as stack:

        async def enter(protocol: Protocol) -> Connection:
            client = _new_client(config, address, secrets, protocol, will if has_will else None)
            timeout_s = config.timeout_s
            await stack.enter_async_context(_opened(client, timeout_s))
            return Connection(client, protocol)

        try:
            connection = await enter(wanted or "5")
        except aiomqtt.MqttError as error:
            if wanted is not None or not explain(error).may_be_version:
                raise
            connection = await enter("3.1.1")
        yield connection


@asynccontextmanager
async def _opened(client: aiomqtt.Client, timeout_s: float) -> AsyncIterator[None]:
    """Opens a client; says goodbye unless the connection broke, and closes the socket anyway."""
    opening = asyncio.ensure_future(client.__aenter__())
    try:
        # The thread that connects cannot be cancelled: whoever gives up leaves it to _dispose.
        await asyncio.wait({opening}, timeout=3 * timeout_s)
        if not opening.done():
            raise aiomqtt.MqttError("Operation timed out") from TimeoutError("resolving the name")
        opening.result()
        try:
            yield
        except aiomqtt.MqttError:
            raise
        except BaseException:
            await _say_goodbye(client)
            raise
        await _say_goodbye(client)
    finally:
        if opening.done():
            _dispose(client)
        else:
            opening.add_done_callback(lambda task: _dispose_late(task, client))


async def _say_goodbye(client: aiomqtt.Client) -> None:
    with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
        async with asyncio.timeout(_GOODBYE_S):
            await client.__aexit__(None, None, None)


def _new_client(
    config: MqttConfig,
    address: BrokerAddress,
    secrets: Secrets,
    protocol: Protocol,
    will: aiomqtt.Will | None,
) -> AnsweringClient:
    is_v5 = protocol == "5"
    properties = None
    if is_v5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = _MAX_PACKET_BYTES
    client = AnsweringClient(
        address.host,
        address.port,
        username=config.login,
        password=secrets.password,
        identifier=config.client_id or f"voiceguard-{config.node_id}",
        protocol=_VERSIONS[protocol],
        # A clean session either way: nothing that was meant for an earlier life may arrive.
        clean_session=None if is_v5 else True,
        clean_start=True if is_v5 else MQTT_CLEAN_START_FIRST_ONLY,
        will=will,
        keepalive=config.keepalive_s,
        timeout=config.timeout_s,
        max_queued_incoming_messages=_MAX_INCOMING,
        properties=properties,
        tls_context=secrets.tls,
        logger=_SILENT,
        # A decision must not wait for the acknowledgement of what was sent before it.
        socket_options=[
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            (socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES),
        ],
    )
    client._client.connect_timeout = config.timeout_s  # noqa: SLF001  # also bounds TLS's handshake
    return client


def _dispose(client: aiomqtt.Client) -> None:
    """Closes the socket whatever the state; without a DISCONNECT the broker fires the will."""
    # aiomqtt has no way to do this (see the module docstring); pinned below 3, and tested.
    client._client._sock_close()  # noqa: SLF001
    for future in (client._connected, client._disconnected):  # noqa: SLF001
        if future.done() and not future.cancelled():
            future.exception()  # seen: asyncio need not report it


def _dispose_late(opening: asyncio.Future[aiomqtt.Client], client: aiomqtt.Client) -> None:
    if not opening.cancelled():
        opening.exception()
    _dispose(client)
