"""A satellite that serves nobody else: connected to, told to run, and listened to.

Event loop; ``listen_to`` is a long-lived task of the daemon. In: what a ``wyoming-satellite``
sends, which streams always, from a voice on, or from a wake word on. Out: each stretch of it as a
turn of the stream. One that was woken goes back to its wake word when speech has been decided. A
satellite that is away, busy or silent makes its stream *lost*, with the reason, and is tried again
after a while that grows.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from wyoming.asr import Transcript
from wyoming.info import Describe
from wyoming.ping import Ping, Pong
from wyoming.satellite import PauseSatellite, RunSatellite

from voiceguard.types import SourceState
from voiceguard.validation.boundary import in_words
from voiceguard.wyoming.events import MAX_HEADER_BYTES, WyomingError, encoded, receive
from voiceguard.wyoming.room import SILENT_S, Room, TurnCounters
from voiceguard.wyoming.sound import sound_format, to_samples

if TYPE_CHECKING:
    from wyoming.event import Event

    from voiceguard.decisions.result import Decision
    from voiceguard.wyoming.config import SatelliteConfig
    from voiceguard.wyoming.room import Surroundings
    from voiceguard.wyoming.sound import SoundFormat
    from voiceguard.wyoming.turns import Turn

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 8.0
"""For its description (it may ask its wake word's service before) and the first pong."""
TAKE_TIMEOUT_S = 5.0
"""One that takes nothing for so long is gone."""
PING_S = 2.0
"""As it does itself, once it was pinged."""
GONE_S = 10.0
"""Without a word, though it was pinged: the connection is dead."""
TRY_AGAIN_S = (1.0, 60.0)
"""After the first failure, and at most: doubling."""
WOKEN_S = 15.0
"""After its wake word: then it waits for the next, though nothing was decided."""


class SatelliteError(WyomingError):
    """The satellite is away, serves somebody else, or is none."""


@dataclass(slots=True, kw_only=True)
class SatelliteCounters(TurnCounters):
    """Since the start."""

    connections: int = 0
    """That led to a satellite that runs for us."""
    failures: int = 0


class Satellite(Room):
    """The room of a satellite.

    Args:
        config: Its table.
        around: What it asks of the daemon.
    """

    def __init__(self, config: SatelliteConfig, around: Surroundings) -> None:
        super().__init__(config.name, around)
        self.place = config.place
        self.count: SatelliteCounters = SatelliteCounters()
        self.has_decided = asyncio.Event()
        """Something of the turn that is under way."""

    def publish(self, decision: Decision) -> None:
        """Somebody has spoken in this turn: one that was woken has heard enough."""
        if decision.is_final and self.turn_id is not None and self.turn_id == decision.turn_id:
            self.has_decided.set()


async def listen_to(satellite: Satellite) -> None:
    """Listens until it is cancelled."""
    first_s, most_s = TRY_AGAIN_S
    wait_s, clock = first_s, satellite.around.clock
    while True:
        began_s = clock.monotonic_s()
        try:
            await _Conversation(satellite).hold()
        except (WyomingError, OSError) as error:
            why = str(error)
        except Exception as error:  # the boundary: one satellite ends nothing but itself
            log.exception("wyoming_satellite_failed", stream=satellite.name, error=in_words(error))
            why = f"the satellite at {satellite.place} failed: {in_words(error)}"
        satellite.count.failures += 1
        satellite.note(SourceState.LOST, f"{why}; trying again")
        if clock.monotonic_s() - began_s > most_s:  # it ran, and may do so again at once
            wait_s = first_s
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, most_s)


class _Conversation:
    """One connection to a satellite."""

    def __init__(self, satellite: Satellite) -> None:
        self._satellite = satellite
        self._place = satellite.place
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._format: SoundFormat | None = None
        self._turn: Turn | None = None
        self._chunk_at_s = self._alive_at_s = self._woken_at_s = 0.0
        self._is_woken = self._runs = False

    async def hold(self) -> None:
        """Until it ends.

        Raises:
            WyomingError: Why it did.
            OSError: Likewise.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self._reader, self._writer = await asyncio.open_connection(
                    self._place.host, self._place.port, limit=MAX_HEADER_BYTES
                )
        except TimeoutError:
            message = f"the satellite at {self._place} does not answer"
            raise SatelliteError("satellite-unreachable", message) from None
        except OSError as error:
            why = (
                os.strerror(number) if (number := error.errno or 0) > 0 else error.strerror or error
            )
            message = f"the satellite at {self._place} can't be reached: {why}"
            raise SatelliteError("satellite-unreachable", message) from error
        try:
            await self._begin()
            await self._listen()
        finally:
            self._end_turn()
            self._writer.transport.abort()

    async def _begin(self) -> None:
        """It says what it is, and answers the ping of whom it serves alone."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._send(Describe().event())
                info = await self._until("info", self._gone())
                if not info.data.get("satellite"):
                    message = f"at {self._place} there is Wyoming, but no satellite"
                    raise SatelliteError("no-satellite", message)
                await self._send(Ping().event())
                await self._until("pong", self._taken())
        except TimeoutError:
            message = f"the satellite at {self._place} is connected and does not answer"
            raise SatelliteError("satellite-silent", message) from None
        self._satellite.count.connections += 1
        self._satellite.note(SourceState.LISTENING)
        log.info("wyoming_satellite_connected", stream=self._satellite.name)

    async def _until(self, event_type: str, end: SatelliteError) -> Event:
        while (event := await self._receive()) is not None:
            if event.type == event_type:
                return event
        raise end

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._alive_at_s = loop.time()
        watching = asyncio.create_task(self._watch(), name=f"watch {self._satellite.name}")
        why: Exception = self._gone()
        try:
            while (event := await self._receive()) is not None:
                self._alive_at_s = loop.time()
                await self._take(event)
        except WyomingError as error:
            why = error
        finally:
            watching.cancel()
            await asyncio.wait({watching})
        is_ours = not watching.cancelled() and watching.exception()  # that we left tells more
        raise is_ours or why

    async def _watch(self) -> None:
        """Keeps it running and awake; whatever ends this, ends the connection."""
        try:
            while True:
                await self._look()
                self._satellite.has_decided.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PING_S):
                        await self._satellite.has_decided.wait()
        finally:
            self._writer.transport.abort()

    async def _look(self) -> None:
        """Tells it to run or pause; ends what has fallen silent; pings."""
        satellite, now_s = self._satellite, asyncio.get_running_loop().time()
        if now_s - self._alive_at_s > GONE_S:
            message = f"the satellite at {self._place} has said nothing for {GONE_S:g} s"
            raise SatelliteError("satellite-silent", message)
        if satellite.is_open != self._runs:
            self._runs = satellite.is_open
            await self._send(RunSatellite().event() if self._runs else PauseSatellite().event())
        if self._turn is not None and now_s - self._chunk_at_s > SILENT_S:
            self._end_turn()
        has_heard = satellite.has_decided.is_set() or now_s - self._woken_at_s > WOKEN_S
        if self._is_woken and has_heard:
            self._is_woken = False
            self._end_turn()
            await self._send(Transcript(text="").event())
        await self._send(Ping().event())

    # --- from the satellite --------------------------------------------------------------------

    async def _take(self, event: Event) -> None:
        now_s = asyncio.get_running_loop().time()
        if event.type == "audio-chunk":
            self._chunk_at_s = now_s
            self._hear(event)
        elif event.type == "audio-stop":
            self._end_turn()
        elif event.type == "run-pipeline":
            self._end_turn()
            self._is_woken = event.data.get("start_stage") == "asr"
            self._woken_at_s = now_s
        elif event.type == "ping":
            await self._send(Pong().event())

    def _hear(self, event: Event) -> None:
        form = sound_format(event.type, event.data)
        samples = to_samples(event.payload or b"", form)
        if form != self._format or not self._satellite.is_judging(self._turn):
            self._end_turn()
            if self._satellite.is_open:  # it may send on for a moment when it was told to pause
                self._turn = self._satellite.begin_turn(form.rate_hz)
                self._format = form
        if self._turn is not None:
            self._satellite.hear(self._turn, samples, form.rate_hz)

    def _end_turn(self) -> None:
        if self._turn is not None:
            self._satellite.end_turn(self._turn)
        self._turn = self._format = None

    # --- the wire ------------------------------------------------------------------------------

    async def _send(self, event: Event) -> None:
        self._writer.write(encoded(event))
        try:
            async with asyncio.timeout(TAKE_TIMEOUT_S):
                await self._writer.drain()
        except TimeoutError:
            message = f"the satellite at {self._place} takes nothing any more"
            raise SatelliteError("satellite-silent", message) from None
        except ConnectionError:
            raise self._gone() from None

    async def _receive(self) -> Event | None:
        """The next; None at the end."""
        try:
            received = await receive(self._reader)
        except ConnectionError:
            return None
        return None if received is None else received.event

    def _gone(self) -> SatelliteError:
        message = f"the satellite at {self._place} has closed the connection"
        return SatelliteError("satellite-gone", message)

    def _taken(self) -> SatelliteError:
        return SatelliteError(
            "satellite-taken",
            f"the satellite at {self._place} serves another client, and it serves one: where Home "
            "Assistant has it, use a [[wyoming.proxy]] instead",
        )
