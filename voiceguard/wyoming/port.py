"""A room's port: lets clients in, for as long as the daemon runs.

Event loop; ``serve_port`` is a long-lived task of the daemon, and each client's task lives in it.
While a port can't be listened on, its stream is *lost* and says why, and it is tried again.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import structlog

from voiceguard.types import SourceState
from voiceguard.validation.boundary import in_words
from voiceguard.wyoming.conversation import ClientConversation
from voiceguard.wyoming.events import MAX_HEADER_BYTES

if TYPE_CHECKING:
    from voiceguard.wyoming.room import Proxy

log = structlog.get_logger(__name__)

MAX_CLIENTS = 16
TRY_AGAIN_S = 5.0
LEAVE_TIMEOUT_S = 1.0
VANISHED_S = (30, 10, 3)
"""A client that was unplugged says no goodbye, and would keep its place for ever: after so long
without a word it is probed, in this interval, so many times."""


async def serve_port(room: Proxy) -> None:
    """Serves a room's clients until it is cancelled."""
    address = room.config.address
    async with asyncio.TaskGroup() as clients:

        def let_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            clients.create_task(_serve(room, reader, writer), name=f"client of {room.name}")

        while True:
            try:
                server = await asyncio.start_server(
                    let_in, address.host, address.port, limit=MAX_HEADER_BYTES
                )
            except OSError as error:
                room.note(SourceState.LOST, f"can't listen on {address}: {error.strerror}")
                await asyncio.sleep(TRY_AGAIN_S)
                continue
            room.note(SourceState.LISTENING)
            try:
                await asyncio.get_running_loop().create_future()  # until it is cancelled
            finally:
                server.close()


async def _serve(room: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if room.num_clients >= MAX_CLIENTS:
        room.count.clients_refused += 1
        writer.close()
        return
    room.num_clients += 1
    _probe(writer)
    try:
        await ClientConversation(room, reader, writer).hold()
    except Exception as error:  # the boundary: one client ends nothing but itself
        log.exception("wyoming_client_failed", stream=room.name, error=in_words(error))
    finally:
        room.num_clients -= 1
        await _leave(writer)


def _probe(writer: asyncio.StreamWriter) -> None:
    """Has the kernel look whether the other side is still there."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    for option, value in zip(options, VANISHED_S, strict=True):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


async def _leave(writer: asyncio.StreamWriter) -> None:
    """Sends what is left, and waits for nobody who takes nothing."""
    try:
        writer.close()
        async with asyncio.timeout(LEAVE_TIMEOUT_S):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        pass  # it has left before
    finally:
        writer.transport.abort()
