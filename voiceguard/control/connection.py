"""One client of the control socket: its requests in, answers and events out.

Event loop. Bounded on both sides: a request is a line of at most ``MAX_REQUEST_BYTES``, and of the
events that wait for a slow reader the oldest go (``events_dropped``; the client is told how many in
an event ``dropped``). Answers are never dropped: no request is read before the answer to the last
one is on its way. Nobody who publishes an event waits for a client.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any

import structlog

from voiceguard.control.protocol import (
    MAX_REQUEST_BYTES,
    RequestError,
    event_line,
    failed,
    granted,
    parse_request,
    refused,
)
from voiceguard.errors import VoiceguardError
from voiceguard.validation.boundary import in_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from voiceguard.control.protocol import Request

log = structlog.get_logger(__name__)

MAX_EVENTS = 512
"""That wait for a client: about ten seconds of everything that one stream tells."""
MAX_EVENT_BYTES = 8 << 20
"""Likewise; a turn's audio has up to 1.3 MB."""
SEND_TIMEOUT_S = 30.0
"""A client that takes nothing for so long is gone, whatever its socket says."""
COMMAND_TIMEOUT_S = 10.0
LAST_ANSWER_S = 1.0
"""For a client that has asked and left off writing."""


class Connection:
    """Serves one client, from ``serve`` until it leaves.

    Args:
        reader: What it sends, with a limit of ``MAX_REQUEST_BYTES``.
        writer: To it.
        obey: Carries a request out; raises VoiceguardError.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        obey: Callable[[Request, Connection], Awaitable[Mapping[str, Any]]],
    ) -> None:
        self.wanted: frozenset[str] = frozenset()
        """The events that it watches."""
        self.events_dropped = 0
        self.on_end: dict[str, Callable[[], None]] = {}
        """Called when it has left; by what it has asked for, which it gets once."""
        self._reader = reader
        self._writer = writer
        self._obey = obey
        self._answer: bytes | None = None
        """Not on its way yet."""
        self._has_room = asyncio.Event()
        """For the next answer."""
        self._events: deque[bytes] = deque()
        self._num_bytes = 0
        self._num_untold = 0
        self._has_left_off = False
        self._wake = asyncio.Event()

    def send_event(self, name: str, payload: Mapping[str, Any]) -> None:
        """Queues an event; never waits."""
        self.send_line(event_line(name, payload))

    def send_line(self, line: bytes) -> None:
        """Queues an event that is written out already."""
        self._events.append(line)
        self._num_bytes += len(line)
        while len(self._events) > MAX_EVENTS or self._num_bytes > MAX_EVENT_BYTES:
            self._num_bytes -= len(self._events.popleft())
            self.events_dropped += 1
            self._num_untold += 1
        self._wake.set()

    async def serve(self) -> None:
        """Until the client leaves, or takes nothing any more."""
        sending = asyncio.create_task(self._send(), name="control send")
        hearing = asyncio.create_task(self._hear(), name="control hear")
        try:
            await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
            self._has_left_off = True  # asking; it may still read the answer
            self._wake.set()
            await asyncio.wait({sending}, timeout=LAST_ANSWER_S)
        finally:
            sending.cancel()
            hearing.cancel()
            for each in self.on_end.values():
                each()
            self._writer.close()
            if self._writer.transport.get_write_buffer_size():  # nobody takes it
                self._writer.transport.abort()
            await asyncio.wait({sending, hearing})  # last: the daemon's end may cut it short

    # --- in ---------------------------------------------------------------------------------

    async def _hear(self) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await self._next_line():
                if line.strip():
                    await self._obey_line(line)
                    await self._has_room.wait()

    async def _next_line(self) -> bytes:
        """Empty at the end, which a line too long is as well."""
        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            return error.partial
        except asyncio.LimitOverrunError:
            message = f"a request has at most {MAX_REQUEST_BYTES} bytes"
            self._put_answer(refused(RequestError("line_too_long", message)))
            return b""

    async def _obey_line(self, line: bytes) -> None:
        request_id = None
        try:
            request = parse_request(line)
            request_id = request.request_id
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                answer = granted(request_id, await self._obey(request, self))
        except RequestError as error:
            error.answer_to = error.answer_to if request_id is None else request_id
            answer = refused(error)
        except VoiceguardError as error:
            refusal = failed(error)
            refusal.answer_to = request_id
            answer = refused(refusal)
        except TimeoutError:
            message = f"no answer within {COMMAND_TIMEOUT_S:g} s"
            answer = refused(RequestError("failed", message, answer_to=request_id))
        except Exception as error:  # the boundary: one client's request ends nothing else
            log.exception("control_request_failed", error=in_words(error))
            answer = refused(RequestError("internal", in_words(error), answer_to=request_id))
        self._put_answer(answer)

    def _put_answer(self, answer: bytes) -> None:
        self._answer = answer
        self._has_room.clear()
        self._wake.set()

    # --- out --------------------------------------------------------------------------------

    async def _send(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            while not (self._has_left_off and self._answer is None):
                await self._wake.wait()
                self._wake.clear()
                while (line := self._next_out()) is not None:
                    self._writer.write(line)
                    async with asyncio.timeout(SEND_TIMEOUT_S):
                        await self._writer.drain()

    def _next_out(self) -> bytes | None:
        if self._answer is not None:
            answer, self._answer = self._answer, None
            self._has_room.set()
            return answer
        if self._num_untold:
            num, self._num_untold = self._num_untold, 0
            return event_line("dropped", {"num_events": num})
        if not self._events:
            return None
        line = self._events.popleft()
        self._num_bytes -= len(line)
        return line
