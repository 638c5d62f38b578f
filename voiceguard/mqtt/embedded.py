"""A broker inside this process for first runs, the demo and tests: amqtt on 127.0.0.1.

Event loop only; its tasks live and end inside the context manager. MQTT 3.1.1, no passwords,
nothing is stored: never for a home that relies on it. Needs amqtt, the extra ``broker``.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import structlog

from voiceguard.errors import BrokerError, install_command
from voiceguard.mqtt.config import BrokerAddress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = structlog.get_logger()

_HOST = "127.0.0.1"
DEFAULT_PORT = 1883
_STOP_WITHIN_S = 1.0
_CONNECT_WITHIN_S = 5.0
_MAX_UNFINISHED = 64
"""Connections that have not said who they are: each holds a descriptor."""
_CONNECT = 0x10
_MAX_CONNECT_BYTES = 1 << 16
# amqtt reports every connection at INFO and every rude client at WARNING; its own failures that
# matter reach us as exceptions.
_CHATTY = ("amqtt", "transitions")


def is_installed() -> bool:
    """Whether the package that this needs is there; imports nothing."""
    return importlib.util.find_spec("amqtt") is not None


@asynccontextmanager
async def embedded_broker(port: int = DEFAULT_PORT) -> AsyncIterator[BrokerAddress]:
    """Runs a broker for as long as the block lasts.

    Args:
        port: Where it listens; if that is taken, or 0, on any free port.

    Yields:
        Its address.

    Raises:
        BrokerError: amqtt is not installed, or cannot listen.
    """
    try:
        from amqtt.broker import Broker  # noqa: PLC0415  # an extra
        from amqtt.errors import BrokerError as AmqttError  # noqa: PLC0415
    except ImportError as error:
        raise BrokerError(
            "the embedded broker needs amqtt, which is not installed",
            hint=f"run: {install_command('amqtt')}",
        ) from error
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    chosen = _free_port(port)
    broker = _patient(Broker)(_configuration(chosen))
    try:
        await broker.start()
    except AmqttError as error:
        raise BrokerError(
            f"the embedded broker cannot listen on {_HOST}:{chosen}: {error}",
            hint="try again, or name a broker of your own with --broker mqtt://HOST",
        ) from error
    address = BrokerAddress(_HOST, chosen)
    log.warning(
        "embedded_broker_started", address=str(address), protocol="3.1.1", use="first runs only"
    )
    try:
        yield address
    finally:
        try:
            async with asyncio.timeout(_STOP_WITHIN_S):
                await broker.shutdown()
        except TimeoutError:
            log.warning("embedded_broker_abandoned", address=str(address))


class _Replayed:
    """What amqtt uses of a StreamReader, with what was read already before the rest."""

    def __init__(self, first: bytes, reader: asyncio.StreamReader) -> None:
        self._first = first
        self._reader = reader
        self.feed_eof = reader.feed_eof

    async def readexactly(self, num_bytes: int) -> bytes:
        now, self._first = self._first[:num_bytes], self._first[num_bytes:]
        missing = num_bytes - len(now)
        return now + (await self._reader.readexactly(missing) if missing else b"")

    async def read(self, num_bytes: int = -1) -> bytes:
        now, self._first = self._first, b""
        return now or await self._reader.read(num_bytes)


def _patient(kind: Any) -> Any:  # noqa: ANN401 - amqtt has no types, and may be missing
    """The broker that hangs up on whoever does not say who they are."""

    class _PatientBroker(kind):  # type: ignore[misc] # as above
        """Waits for a CONNECT only so long, and for so many at a time."""

        num_unfinished = 0

        async def stream_connected(
            self,
            reader: asyncio.StreamReader,
            writer: asyncio.StreamWriter,
            listener_name: str,
        ) -> None:
            if self.num_unfinished >= _MAX_UNFINISHED:
                writer.close()
                return
            self.num_unfinished += 1
            try:
                first = await _first_packet(reader)
            except (TimeoutError, asyncio.IncompleteReadError, ConnectionError, ValueError):
                writer.close()
                return
            finally:
                self.num_unfinished -= 1
            replayed = cast("asyncio.StreamReader", _Replayed(first, reader))
            try:
                await super().stream_connected(replayed, writer, listener_name)
            finally:
                writer.close()

    return _PatientBroker


async def _first_packet(reader: asyncio.StreamReader) -> bytes:
    """A whole CONNECT, in time."""
    async with asyncio.timeout(_CONNECT_WITHIN_S):
        head = await reader.readexactly(2)
        if head[0] != _CONNECT:
            raise ValueError("not MQTT")
        while head[-1] & 0x80:
            head += await reader.readexactly(1)
            if len(head) > 5:  # a length has at most four bytes
                raise ValueError("not MQTT")
        size = sum((byte & 0x7F) << (7 * index) for index, byte in enumerate(head[1:]))
        if size > _MAX_CONNECT_BYTES:
            raise ValueError("no CONNECT is so long")
        return head + await reader.readexactly(size)


def _configuration(port: int) -> dict[str, Any]:
    return {
        "listeners": {"default": {"type": "tcp", "bind": f"{_HOST}:{port}"}},
        # Named, because the default set adds a $SYS publisher and loggers of every packet.
        "plugins": {
            "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True},
        },
    }


def _free_port(preferred: int) -> int:
    for wanted in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, wanted))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
            return port
    raise BrokerError("no free port on 127.0.0.1", hint="close something that listens")
