"""A satellite as ``wyoming-satellite`` 1.4 is one: whom it serves, and when it streams.

Its rules are those of its ``event_handler.py`` and ``satellite.py``: everybody gets its
description, the first who says anything else is served, every other one is left.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wyoming.audio import AudioChunk
from wyoming.event import Event
from wyoming.info import Attribution, Info
from wyoming.info import Satellite as SatelliteInfo
from wyoming.ping import Pong
from wyoming.server import AsyncEventHandler, AsyncTcpServer

from tests.services import free_port
from tests.wyoming.peers import pcm_chunks
from voiceguard.wyoming.config import Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voiceguard.types import Samples


@dataclass
class FakeSatellite:
    """One, and what it was told.

    Attributes:
        is_mute: It takes connections, and answers nothing.
        garbage: Said instead of a description.
    """

    place: Address = field(default_factory=lambda: Address("127.0.0.1", free_port()))
    is_mute: bool = False
    garbage: bytes = b""
    told: list[Event] = field(default_factory=list)
    server: AsyncEventHandler | None = None
    """Whom it serves."""
    runs: bool = False

    @property
    def types(self) -> list[str]:
        """What it was told, pings left out."""
        return [each.type for each in self.told if each.type != "ping"]

    async def say(self, event: Event) -> None:
        """To whom it serves."""
        assert self.server is not None
        await self.server.write_event(event)

    async def stream(self, samples: Samples, rate_hz: int = 16_000) -> None:
        """What its microphone hears."""
        form = {"rate": rate_hz, "width": 2, "channels": 1}
        for payload in pcm_chunks(samples, rate_hz):
            await self.say(AudioChunk(audio=payload, **form).event())

    async def wake(self) -> None:
        """Its wake word was said."""
        await self.say(Event("detection", {"name": "ok_nabu", "timestamp": 0}))
        await self.say(Event("run-pipeline", {"start_stage": "asr", "end_stage": "handle"}))

    async def hang_up(self) -> None:
        """It restarts, say."""
        assert self.server is not None
        self.server.writer.transport.abort()
        self.server, self.runs = None, False


class _Handler(AsyncEventHandler):
    def __init__(
        self, of: FakeSatellite, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        super().__init__(reader, writer)
        self._of = of

    async def handle_event(self, event: Event) -> bool:
        of = self._of
        if of.is_mute:
            return True
        if event.type == "describe":
            if of.garbage:
                self.writer.write(of.garbage)
                await self.writer.drain()
            else:
                await self.write_event(_info())
            return True
        if of.server is None:
            of.server = self
        elif of.server is not self:
            return False
        of.told.append(event)
        if event.type == "ping":
            await self.write_event(Pong().event())
        elif event.type in {"run-satellite", "pause-satellite"}:
            of.runs = event.type == "run-satellite"
        return True

    async def disconnect(self) -> None:
        if self._of.server is self:
            self._of.server = None


def _info() -> Event:
    attribution = Attribution(name="", url="")
    satellite = SatelliteInfo(
        name="hall", attribution=attribution, installed=True, description="hall", version="1.4.1"
    )
    return Info(satellite=satellite).event()


@asynccontextmanager
async def satellite(of: FakeSatellite) -> AsyncIterator[FakeSatellite]:
    """It listens, for as long as the block."""
    server = AsyncTcpServer(of.place.host, of.place.port)
    await server.start(lambda reader, writer: _Handler(of, reader, writer))
    try:
        yield of
    finally:
        await server.stop()
        await asyncio.sleep(0.05)  # its tasks end
