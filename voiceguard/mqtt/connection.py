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
import os
import socket
import ssl
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from voiceguard.errors import BrokerError, ConfigError
from voiceguard.mqtt.failures import explain
from voiceguard.mqtt.topics import OFFLINE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from voiceguard.mqtt.config import BrokerAddress, MqttConfig

Protocol: TypeAlias = Literal["5", "3.1.1"]

_SILENT = logging.getLogger("voiceguard.aiomqtt")
"""aiomqtt logs a traceback for every acknowledgement that nobody waits for any more; whatever
matters of its news reaches us as an exception."""
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False

_VERSIONS = {"5": aiomqtt.ProtocolVersion.V5, "3.1.1": aiomqtt.ProtocolVersion.V311}
_GOODBYE_S = 0.5
_MAX_INCOMING = 64
_MAX_PACKET_BYTES = 1 << 18
"""Commands are short; the largest message we ask for is our own discovery."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is read from files for each connection, so that a renewed one is used."""

    password: str | None = None
    tls: ssl.SSLContext | None = None


def load_secrets(config: MqttConfig, address: BrokerAddress) -> Secrets:
    """Reads the password and the certificates. Blocking.

    Raises:
        ConfigError: A file is missing, malformed, or readable by others.
    """
    password = None if config.password_file is None else _read_password(config.password_file)
    if not address.tls:
        return Secrets(password)
    files = [config.ca_file, config.client_cert_file, config.client_key_file]
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
        if config.client_cert_file is not None:
            context.load_cert_chain(config.client_cert_file, config.client_key_file)
    except (OSError, ssl.SSLError) as error:
        names = ", ".join(str(path) for path in files if path is not None)
        raise ConfigError(
            f"TLS for {address}: cannot use {names}: {error}",
            hint="each must be a readable PEM file, the key that of the certificate",
        ) from error
    context.sslsocket_class = _TidySocket
    return Secrets(password, context)


class _TidySocket(ssl.SSLSocket):
    """Closes itself when the handshake fails; paho forgets it open."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  # inherited
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _read_password(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"password_file {path} cannot be read: {getattr(error, 'strerror', error)}",
            hint=f"put the broker's password into it, then: chmod 600 {path}",
        ) from error
    # systemd shows its credentials as 0440 because of the access list that lets the service in.
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    is_credential = credentials is not None and path.is_relative_to(credentials)
    if mode & 0o077 and not is_credential:
        raise ConfigError(
            f"password_file {path} is open to other users (mode {mode & 0o777:04o})",
            hint=f"run: chmod 600 {path}",
        )
    if not text:
        raise ConfigError(f"password_file {path} is empty", hint="write the password into it")
    return text


class Connection:
    """A live connection. Every method raises aiomqtt.MqttError when the broker is gone."""

    def __init__(self, client: aiomqtt.Client, protocol: Protocol) -> None:
        self._client = client
        self.protocol: Protocol = protocol

    @property
    def messages(self) -> AsyncIterator[aiomqtt.Message]:
        """What arrives on the subscribed topics; ends with MqttError."""
        return aiter(self._client.messages)

    async def subscribe(self, topic: str) -> None:
        """At QoS 1."""
        await self._client.subscribe(topic, qos=1)

    async def publish_state(self, topic: str, payload: str) -> None:
        """Retained, QoS 1, acknowledged on return. An empty payload removes the topic."""
        await self._client.publish(topic, payload, qos=1, retain=True)

    async def publish_event(self, topic: str, payload: str, *, expires_in_s: float) -> None:
        """Not retained. MQTT 5: QoS 1 with expiry, acknowledged; 3.1.1: QoS 0, handed over."""
        if self.protocol == "3.1.1":
            await self._client.publish(topic, payload, qos=0)
            return
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.MessageExpiryInterval = max(1, int(expires_in_s))
        await self._client.publish(topic, payload, qos=1, properties=properties)


@asynccontextmanager
async def connect(
    config: MqttConfig,
    address: BrokerAddress,
    secrets: Secrets,
    known: Protocol | None = None,
    *,
    has_will: bool = True,
) -> AsyncIterator[Connection]:
    """Connects by MQTT 5, or by 3.1.1 where the broker knows no better; disconnects at the end.

    A broker without MQTT 5 says so, hangs up, or does not answer at all; any other refusal would
    be the same in 3.1.1 and is not tried twice.

    Args:
        config: The [mqtt] table.
        address: The broker's.
        secrets: As ``load_secrets`` has read them.
        known: The protocol that this broker has spoken before.
        has_will: Whether ``offline`` is published for us if we vanish.

    Raises:
        aiomqtt.MqttError: Refused, unreachable, or no answer within ``timeout_s``.
    """
    wanted: Protocol | None = known if config.protocol == "auto" else config.protocol
    will = aiomqtt.Will(config.topics.availability, OFFLINE, qos=1, retain=True)
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
) -> aiomqtt.Client:
    is_v5 = protocol == "5"
    properties = None
    if is_v5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = _MAX_PACKET_BYTES
    client = aiomqtt.Client(
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
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
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


async def check_broker(config: MqttConfig) -> str:
    """Connects once, as ``voiceguard doctor`` does, beside a running daemon and publishing nothing.

    Returns:
        Address and protocol, for people.

    Raises:
        BrokerError: It cannot be reached or refuses us; the hint says what to mend.
        ConfigError: A password or certificate file is unusable.
    """
    address = config.address
    if address is None:
        raise BrokerError(f"broker is {config.broker!r}: there is nothing to connect to")
    secrets = await asyncio.to_thread(load_secrets, config, address)
    # Not the daemon's client id: the broker would throw the daemon out.
    visitor = replace(config, client_id=f"voiceguard-check-{os.getpid()}")
    try:
        async with connect(visitor, address, secrets, has_will=False) as connection:
            return f"{address}, MQTT {connection.protocol}"
    except aiomqtt.MqttError as error:
        failure = explain(error)
        raise BrokerError(f"{address}: {failure.detail}", hint=failure.hint) from error
