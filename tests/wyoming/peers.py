"""Real peers of the protocol: a speech-to-text that streams, stalls or dies, and clients."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from wyoming.asr import (
    Transcribe,
    Transcript,
    TranscriptChunk,
    TranscriptStart,
    TranscriptStop,
)
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.info import AsrModel, AsrProgram, Attribution, Info
from wyoming.server import AsyncEventHandler, AsyncTcpServer

from tests.services import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from wyoming.event import Event

    from voiceguard.types import Samples

WORDS = "turn on the kitchen light"
CHUNK_S = 0.064
"""Home Assistant's: 1024 samples."""


def info() -> Info:
    """What a speech-to-text says of itself."""
    attribution = Attribution(name="x", url="https://example.invalid")
    model = AsrModel(
        name="tiny", attribution=attribution, installed=True, description=None, version=None,
        languages=["en", "de"],
    )  # fmt: skip
    program = AsrProgram(
        name="whisper", attribution=attribution, installed=True, description=None, version="1",
        models=[model],
    )  # fmt: skip
    return Info(asr=[program])


@dataclass
class SpeechToText:
    """A server of the package ``wyoming``.

    Attributes:
        streams: The transcript comes in parts before it comes as a whole.
        fault: ``stalls`` never answers, ``dies`` leaves at the audio's end, ``dies-early`` in it.
        garbage: Said instead of a transcript.
        answers_after_bytes: Of audio, though more may come.
        thinks_s: How long it takes for a transcript.
    """

    port: int = field(default_factory=free_port)
    streams: bool = False
    fault: str = ""
    garbage: bytes = b""
    answers_after_bytes: int = 0
    thinks_s: float = 0.0
    text: str = WORDS
    heard: list[Event] = field(default_factory=list)
    heard_at_s: list[float] = field(default_factory=list)
    num_bytes: int = 0

    @property
    def uri(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"


class _Handler(AsyncEventHandler):
    def __init__(
        self, of: SpeechToText, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        super().__init__(reader, writer)
        self._of = of

    async def handle_event(self, event: Event) -> bool:
        of = self._of
        of.heard.append(event)
        of.heard_at_s.append(asyncio.get_running_loop().time())
        of.num_bytes += len(event.payload or b"")
        if event.type == "describe":
            await self.write_event(info().event())
        elif event.type == "audio-chunk" and of.fault == "dies-early":
            return False
        elif of.answers_after_bytes and of.num_bytes >= of.answers_after_bytes:
            of.answers_after_bytes = 0
            return await self._answer()
        elif event.type == "audio-stop":
            return await self._answer()
        return True

    async def _answer(self) -> bool:
        of = self._of
        if of.fault == "dies":
            return False
        if of.fault == "stalls":
            return True
        if of.garbage:
            self.writer.write(of.garbage)
            await self.writer.drain()
            return True
        await asyncio.sleep(of.thinks_s)
        if of.streams:
            await self.write_event(TranscriptStart(language="en").event())
            for word in of.text.split():
                await self.write_event(TranscriptChunk(text=f"{word} ").event())
        await self.write_event(Transcript(text=of.text, language="en").event())
        if of.streams:
            await self.write_event(TranscriptStop().event())
        return True


@asynccontextmanager
async def serving(of: SpeechToText) -> AsyncIterator[SpeechToText]:
    """The server, for as long as the block."""
    server = AsyncTcpServer("127.0.0.1", of.port)
    await server.start(lambda reader, writer: _Handler(of, reader, writer))
    try:
        yield of
    finally:
        await server.stop()
        await asyncio.sleep(0.05)  # its tasks end


@dataclass
class Heard:
    """What a client got in a turn."""

    events: list[Event]
    took_s: float
    """From the last chunk to the transcript, or to the end of the connection."""

    @property
    def types(self) -> list[str]:
        return [each.type for each in self.events]

    @property
    def transcript(self) -> dict[str, Any]:
        return next(each.data for each in self.events if each.type == "transcript")

    @property
    def error(self) -> dict[str, Any]:
        return next(each.data for each in self.events if each.type == "error")


async def speak(
    port: int,
    samples: Samples,
    *,
    pace: float = 0.0,
    rate_hz: int = 16_000,
    patience_s: float = 20.0,
    sent: Callable[[int], Awaitable[None]] | None = None,
) -> Heard:
    """One turn, as Home Assistant's client has one.

    Args:
        port: Of a proxy, or of a speech-to-text.
        samples: Mono.
        pace: Seconds of waiting per second of audio; 0: as fast as it goes.
        rate_hz: Theirs.
        patience_s: For the transcript.
        sent: Waited for after each chunk; told how many bytes of audio are out.
    """
    form = {"rate": rate_hz, "width": 2, "channels": 1}
    async with AsyncTcpClient("127.0.0.1", port) as client:
        await client.write_event(Transcribe(language="en").event())
        await client.write_event(AudioStart(**form).event())
        with contextlib.suppress(ConnectionError):  # it may be left before it has said all
            num_bytes = 0
            for payload in pcm_chunks(samples, rate_hz):
                await client.write_event(AudioChunk(audio=payload, **form).event())
                await asyncio.sleep(pace * CHUNK_S)
                num_bytes += len(payload)
                if sent is not None:
                    await sent(num_bytes)
        last_s = asyncio.get_running_loop().time()
        with contextlib.suppress(ConnectionError):
            await client.write_event(AudioStop().event())
        events = await answers(client, patience_s)
        return Heard(events, asyncio.get_running_loop().time() - last_s)


async def answers(client: AsyncTcpClient, patience_s: float = 20.0) -> list[Event]:
    """What comes, up to the transcript (and its stop, where it was streamed) or the end."""
    events: list[Event] = []
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(patience_s):
            while (event := await client.read_event()) is not None:
                events.append(event)
                is_streamed = any(each.type == "transcript-start" for each in events)
                if event.type == ("transcript-stop" if is_streamed else "transcript"):
                    break
    return events


def pcm_chunks(samples: Samples, rate_hz: int = 16_000) -> list[bytes]:
    """16-bit PCM, a chunk each."""
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2")
    step = round(CHUNK_S * rate_hz)
    return [pcm[i : i + step].tobytes() for i in range(0, len(pcm), step)]
