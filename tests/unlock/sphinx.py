"""A speech-to-text for six digits: pocketsphinx and its English model behind a Wyoming server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import numpy as np
import pocketsphinx
from wyoming.asr import Transcript
from wyoming.server import AsyncEventHandler, AsyncTcpServer

from tests.services import free_port
from voiceguard.wyoming.config import Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from wyoming.event import Event

GRAMMAR = """#JSGF V1.0;
grammar digits;
public <digits> = {digits};
<digit> = zero | one | two | three | four | five | six | seven | eight | nine;
"""
NUM_DIGITS = 6
"""As many as are asked for; else it hears short ones where there are none, and passes over some."""
NOISE = 30.0
"""Of 32768: its model has never heard digital silence, and takes it for short words."""


class Sphinx:
    """Hears six digits and nothing else: none more, none less."""

    def __init__(self, folder: Path) -> None:
        grammar = folder / "digits.gram"
        grammar.write_text(GRAMMAR.replace("{digits}", " ".join(["<digit>"] * NUM_DIGITS)))
        self._decoder = pocketsphinx.Decoder(
            jsgf=str(grammar), loglevel="FATAL", cmn="batch", wip=1e-3
        )

    def transcribe(self, pcm: bytes) -> str:
        samples = np.frombuffer(pcm, dtype="<i2")
        noise = np.random.default_rng(0).normal(0, NOISE, len(samples))
        heard = np.clip(samples * 0.7 + noise, -32768, 32767).astype("<i2").tobytes()
        self._decoder.start_utt()
        self._decoder.process_raw(heard, full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return "" if found is None else str(found.hypstr)


class _Handler(AsyncEventHandler):
    def __init__(
        self, sphinx: Sphinx, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        super().__init__(reader, writer)
        self._sphinx = sphinx
        self._pcm = b""

    async def handle_event(self, event: Event) -> bool:
        self._pcm += event.payload or b""
        if event.type == "audio-stop":
            text = await asyncio.to_thread(self._sphinx.transcribe, self._pcm)
            await self.write_event(Transcript(text=text).event())
        return True


@asynccontextmanager
async def sphinx_server(folder: Path) -> AsyncIterator[Address]:
    """For as long as the block."""
    address, sphinx = Address("127.0.0.1", free_port()), Sphinx(folder)
    server = AsyncTcpServer(address.host, address.port)
    await server.start(lambda reader, writer: _Handler(sphinx, reader, writer))
    try:
        yield address
    finally:
        await server.stop()
        await asyncio.sleep(0.05)
