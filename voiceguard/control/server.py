"""The daemon's side of the control socket: lets clients in, obeys commands, tells events.

Event loop; ``run`` is one of the daemon's long-lived tasks, and each client's task lives in it. At
most ``MAX_CLIENTS`` at a time (``clients_refused``). A socket that can't be made costs the control
socket and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog

from voiceguard.control.connection import Connection
from voiceguard.control.place import control_socket, listen
from voiceguard.control.protocol import (
    MAX_REQUEST_BYTES,
    RequestError,
    event_line,
    refused,
)
from voiceguard.validation.reading import read

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from voiceguard.control.protocol import Request

log = structlog.get_logger(__name__)

MAX_CLIENTS = 16
_P = TypeVar("_P")


@dataclass(frozen=True, slots=True)
class NoParameters:
    """Of a command that has none."""


@dataclass(frozen=True, slots=True)
class StreamParameters:
    """Of a command about one stream."""

    stream: str


@dataclass(frozen=True, slots=True)
class WatchParameters:
    """Of ``watch``."""

    events: tuple[str, ...] | None = None
    """Their names; None: all of them."""


@dataclass(frozen=True, slots=True)
class ControlCommand(Generic[_P]):
    """A command that clients may give."""

    parameters: type[_P]
    """A dataclass: what the request holds besides id and command, read strictly."""
    run: Callable[[_P, Connection], Awaitable[Mapping[str, Any]]]
    """Gives the result; on the event loop, for at most ``COMMAND_TIMEOUT_S``. What goes on for
    longer is told in events to the connection that asked."""


class ControlServer:
    """Serves the control socket of one state directory.

    Args:
        state: The state directory, whose lock is held.
        events: The names of the events that there may be.
    """

    def __init__(self, state: Path, events: frozenset[str]) -> None:
        self.clients_refused = 0
        self._state = state
        self._events = events
        self._clients: set[Connection] = set()
        self._num_let_in = 0
        """Those whose task has yet to begin included."""
        self._num_dropped_before = 0
        self._commands: dict[str, ControlCommand[Any]] = {}
        self.add("watch", ControlCommand(WatchParameters, self._watch))

    def add(self, name: str, command: ControlCommand[Any]) -> None:
        """Takes a command in; its name is free."""
        assert name not in self._commands
        self._commands[name] = command

    def is_watched(self, event: str) -> bool:
        """Whether anybody wants such events: what nobody sees need not be computed."""
        return any(event in client.wanted for client in self._clients)

    def publish(self, event: str, payload: Mapping[str, Any]) -> None:
        """Tells an event to whoever watches; never waits."""
        assert event in self._events
        watchers = [client for client in self._clients if event in client.wanted]
        if watchers:
            line = event_line(event, payload)
            for client in watchers:
                client.send_line(line)

    def statistics(self) -> dict[str, int]:
        """Counters since the start, as the status has them."""
        return {
            "num_clients": len(self._clients),
            "clients_refused": self.clients_refused,
            "events_dropped": self._num_dropped_before
            + sum(client.events_dropped for client in self._clients),
        }

    # --- the long-lived task ------------------------------------------------------------------

    async def run(self) -> None:
        """Serves until it is cancelled; returns at once where there can be no socket."""
        path = control_socket(self._state)
        try:
            server = listen(self._state)
        except OSError as error:
            hint = f"remove {path}, or mend the permissions of its directory"
            log.warning("control_unavailable", path=str(path), error=error.strerror, hint=hint)
            return
        loop = asyncio.get_running_loop()
        with contextlib.closing(server):
            try:
                async with asyncio.TaskGroup() as clients:
                    while True:
                        client = await self._accepted(loop, server)
                        if client is not None:
                            self._num_let_in += 1
                            clients.create_task(self._serve(client), name="control client")
            finally:
                with contextlib.suppress(OSError):  # the next daemon replaces it
                    path.unlink()

    async def _accepted(
        self, loop: asyncio.AbstractEventLoop, server: socket.socket
    ) -> socket.socket | None:
        try:
            client, _ = await loop.sock_accept(server)
        except OSError as error:  # no descriptor is left: others may be given back
            log.warning("control_client_lost", error=error.strerror)
            await asyncio.sleep(1.0)
            return None
        if self._num_let_in < MAX_CLIENTS:
            return client
        self.clients_refused += 1
        with client, contextlib.suppress(OSError):
            message = f"{MAX_CLIENTS} clients are connected"
            hint = "close one of them: `voiceguard status` and `voiceguard monitor` are such"
            client.send(refused(RequestError("too_many_clients", message, hint=hint)))
        return None

    async def _serve(self, client: socket.socket) -> None:
        try:
            reader, writer = await asyncio.open_unix_connection(
                sock=client, limit=MAX_REQUEST_BYTES
            )
            connection = Connection(reader, writer, self._obey)
            self._clients.add(connection)
            try:
                await connection.serve()
            finally:
                self._clients.discard(connection)
                self._num_dropped_before += connection.events_dropped
        finally:
            self._num_let_in -= 1

    # --- commands -----------------------------------------------------------------------------

    async def _obey(self, request: Request, client: Connection) -> Mapping[str, Any]:
        command = self._commands.get(request.command)
        if command is None:
            known = ", ".join(sorted(self._commands))
            raise RequestError(
                "unknown_command",
                f"there is no command {request.command[:40]!r}",
                hint=f"there are: {known}; is the daemon older than this voiceguard?",
            )
        try:
            parameters = read(command.parameters, request.parameters)
        except ValueError as error:
            raise RequestError("bad_parameters", f"{request.command}: {error}") from error
        return await command.run(parameters, client)

    async def _watch(self, asked: WatchParameters, client: Connection) -> Mapping[str, Any]:
        wanted = self._events if asked.events is None else frozenset(asked.events)
        if unknown := wanted - self._events:
            known = ", ".join(sorted(self._events))
            raise RequestError(
                "bad_parameters",
                f"there are no events {', '.join(sorted(unknown))[:80]}",
                hint=f"there are: {known}",
            )
        client.wanted = wanted
        return {"events": sorted(wanted)}
