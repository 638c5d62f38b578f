"""One client of a port: its events go to the upstream and to the stream, answers come back.

Event loop; two tasks that live as long as the connection. Everything is passed on at once, before
it is judged. Whatever a client or an upstream sends ends no more than this conversation, with the
protocol's ``error`` to the client.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog
from wyoming.error import Error
from wyoming.info import Info
from wyoming.ping import Ping, Pong

from voiceguard.wyoming.answers import Answers
from voiceguard.wyoming.events import MAX_HEADER_BYTES, WyomingError, encoded, receive
from voiceguard.wyoming.sound import sound_format, to_samples
from voiceguard.wyoming.upstream import ANSWER_TIMEOUT_S, Upstream, UpstreamError

if TYPE_CHECKING:
    from voiceguard.wyoming.events import Received
    from voiceguard.wyoming.room import Proxy
    from voiceguard.wyoming.sound import SoundFormat

log = structlog.get_logger(__name__)

CLIENT_TIMEOUT_S = 10.0
"""A client that takes nothing for so long is gone."""
LINGER_S = 0.5
EVENTS_AT_ONCE = 16
"""After so many the others have their turn: a client may send a million at once."""


class ClientConversation:
    """Serves one client.

    Args:
        room: Whose port it has come to.
        reader: From it, with a limit of ``events.MAX_HEADER_BYTES``.
        writer: To it.
    """

    def __init__(
        self, room: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._room = room
        self._reader = reader
        self._writer = writer
        self._answers = Answers(room)
        self._format: SoundFormat | None = None
        """Of the turn that is under way."""
        self._is_answered = True
        """The latest turn; before the first nothing is due."""
        self._is_mixed_up = False
        """A turn began before the last one was answered: whose words come, nobody can tell."""
        self._asked_at_s = 0.0
        self._has_asked = asyncio.Event()
        """An answer is due."""

    async def hold(self) -> None:
        """Until one of the sides leaves."""
        try:
            await self._serve()
        except UpstreamError as error:
            self._room.count.upstream_failures += 1
            self._room.upstream_fault = str(error)
            log.warning("upstream_failed", stream=self._room.name, error=str(error))
            await self._complain(error)
        except WyomingError as error:
            self._room.count.events_refused += 1
            log.warning("wyoming_event_refused", stream=self._room.name, error=str(error))
            await self._complain(error)
        except (ConnectionError, TimeoutError):
            log.info("wyoming_client_lost", stream=self._room.name)
        finally:
            self._end_turn()

    async def _serve(self) -> None:
        first = await receive(self._reader)
        if first is None:
            return
        self._refuse_ourselves()
        address = self._room.config.upstream_address
        if address is None:
            await self._hear(first, None)
            return
        upstream = await Upstream.connect(address, self._room.around.own_ports)
        hearing = asyncio.create_task(self._hear(first, upstream), name="wyoming hear")
        relaying = asyncio.create_task(self._relay(upstream), name="wyoming relay")
        waiting = asyncio.create_task(self._lose_patience(upstream), name="wyoming patience")
        tasks = (relaying, waiting, hearing)  # why the upstream left tells more
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            upstream.close()
            await _end(*tasks)

    def _refuse_ourselves(self) -> None:
        """An upstream that leads back to us would go round for ever."""
        peer = self._writer.get_extra_info("peername")
        if peer is not None and tuple(peer[:2]) in self._room.around.own_ports:
            raise WyomingError(
                "circle",
                f"the upstream of a proxy is voiceguard itself: its port for {self._room.name!r}",
            )

    async def _complain(self, error: WyomingError) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            await self._send(encoded(Error(text=str(error), code=error.code).event()))
            # Leaving while it still sends would reset the connection, and the error be lost.
            self._writer.write_eof()
            async with asyncio.timeout(LINGER_S):
                while await self._reader.read(MAX_HEADER_BYTES):
                    pass

    async def _send(self, raw: bytes) -> None:
        self._writer.write(raw)
        async with asyncio.timeout(CLIENT_TIMEOUT_S):
            await self._writer.drain()

    # --- from the client -----------------------------------------------------------------------

    async def _hear(self, first: Received, upstream: Upstream | None) -> None:
        received: Received | None = first
        num_events = 0
        while received is not None:
            if Ping.is_type(received.event.type):
                await self._send(encoded(Pong().event()))
            elif upstream is not None:
                self._check(received)
                await upstream.send(received.raw)
                self._take(received)
            else:
                await self._take_alone(received)
            num_events += 1
            if num_events % EVENTS_AT_ONCE == 0:
                await asyncio.sleep(0)
            received = await receive(self._reader)

    def _check(self, received: Received) -> None:
        """Refuses audio that is none before anybody else gets it."""
        event = received.event
        if event.type == "audio-start":
            sound_format(event.type, event.data)
        elif event.type == "audio-chunk":
            form = sound_format(event.type, event.data)
            if self._format is None:
                raise WyomingError("no-audio-start", "audio-chunk without an audio-start before it")
            if form != self._format:
                raise WyomingError("bad-audio", "audio-chunk: another format than at audio-start")

    def _take(self, received: Received) -> None:
        event = received.event
        if event.type == "audio-start":
            self._begin_turn(sound_format(event.type, event.data))
        elif event.type == "audio-chunk" and self._format is not None:
            samples = to_samples(event.payload or b"", self._format)
            if self._answers.turn is not None:
                self._room.hear(self._answers.turn, samples, self._format.rate_hz)
        elif event.type == "audio-stop":
            self._end_turn()
            if not self._is_answered:
                self._expect_answer()

    async def _take_alone(self, received: Received) -> None:
        """Without an upstream: whoever streams audio is listened to, with or without a start."""
        event = received.event
        if event.type == "describe":
            await self._send(encoded(Info().event()))
        elif event.type == "audio-chunk" and (self._format is None or self._is_due_a_turn()):
            self._begin_turn(sound_format(event.type, event.data))
        self._check(received)
        self._take(received)

    def _is_due_a_turn(self) -> bool:
        """Streams on, is not heard, and could be: the room was armed, or another has stopped."""
        return self._room.is_free and not self._room.is_judging(self._answers.turn)

    def _begin_turn(self, form: SoundFormat) -> None:
        self._end_turn()
        self._format = form
        if self._room.config.upstream:
            self._is_mixed_up |= not self._is_answered
            self._is_answered = False
        turn = self._room.begin_turn(form.rate_hz, is_mixed_up=self._is_mixed_up)
        self._answers.begin(turn)

    def _end_turn(self) -> None:
        self._format = None
        if self._answers.turn is not None:
            self._room.end_turn(self._answers.turn)

    # --- from the upstream ---------------------------------------------------------------------

    def _expect_answer(self) -> None:
        self._asked_at_s = asyncio.get_running_loop().time()
        self._has_asked.set()

    async def _lose_patience(self, upstream: Upstream) -> None:
        """Until an answer is too long due.

        Raises:
            UpstreamError: It is.
        """
        loop = asyncio.get_running_loop()
        while True:
            await self._has_asked.wait()
            left_s = self._asked_at_s + ANSWER_TIMEOUT_S - loop.time()
            if left_s <= 0:
                raise upstream.silent()
            await asyncio.sleep(left_s)

    async def _relay(self, upstream: Upstream) -> None:
        while (received := await upstream.receive()) is not None:
            self._room.upstream_fault = ""
            if received.event.type in {"transcript", "error"}:
                self._is_answered = True
                self._has_asked.clear()
            for raw in await self._answers.pass_on(received):
                await self._send(raw)
        if self._has_asked.is_set() or self._format is not None:
            raise upstream.gone()


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen; what came first counts
