"""Hop 1 of 6: a file as a stream, or as a whole.

Comes in: a path; decoding runs on the I/O executor, half a second of audio at a time. Goes out,
on the event loop: chunks at the file's own rate and channels, as fast as they are consumed or
paced in real time. The file waits for its reader, so nothing is ever lost.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.audio.decode import AudioDecoder
from voiceguard.speech.resampling import StreamResampler, to_mono
from voiceguard.types import AudioChunk, SourceState, SourceStatistics, SourceStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from concurrent.futures import Executor
    from pathlib import Path

    from voiceguard.clock import Clock
    from voiceguard.types import Channel, Samples

BLOCK_S = 0.5
"""What one trip to the executor decodes, and a chunk when the file is not paced."""
PACED_CHUNK_S = 0.04


class AudioFile:
    """A file that ends when it is read, and waits for its reader.

    Args:
        name: The stream's name.
        path: Of any container and codec that FFmpeg knows.
        io_executor: Where decoding runs.
        paced: In real time; else as fast as the chunks are consumed.
        clock: Time, for the stamps and the pace.
    """

    is_live = False

    def __init__(
        self, name: str, path: Path, io_executor: Executor, *, paced: bool, clock: Clock
    ) -> None:
        self.name = name
        self._path = path
        self._io_executor = io_executor
        self._paced = paced
        self._clock = clock
        self._closed = asyncio.Event()
        self._num_decoded = 0
        self._num_delivered = 0

    async def events(self) -> AsyncIterator[AudioChunk | SourceStatus]:
        """Yields LISTENING, the chunks, and ENDED.

        Raises:
            AudioError: Not readable as audio.
        """
        loop = asyncio.get_running_loop()
        decoder: AudioDecoder | None = None
        try:
            decoder = await loop.run_in_executor(self._io_executor, AudioDecoder, self._path)
            yield SourceStatus(state=SourceState.LISTENING)
            started_s = self._clock.monotonic_s()
            block_samples = round(BLOCK_S * decoder.rate_hz)
            chunk_samples = round(PACED_CHUNK_S * decoder.rate_hz) if self._paced else block_samples
            while not self._closed.is_set():
                block = await loop.run_in_executor(self._io_executor, decoder.read, block_samples)
                if block is None:
                    detail = "the file broke off early" if decoder.truncated else ""
                    yield SourceStatus(state=SourceState.ENDED, detail=detail)
                    return
                self._num_decoded += len(block)
                for first in range(0, len(block), chunk_samples):
                    samples = block[first : first + chunk_samples]
                    if self._paced:
                        end_s = (self._num_delivered + len(samples)) / decoder.rate_hz
                        await self._sleep_until(started_s + end_s)
                    if self._closed.is_set():
                        return
                    chunk = AudioChunk(
                        samples=samples,
                        rate_hz=decoder.rate_hz,
                        first_sample=self._num_delivered,
                        delivered_at_s=self._clock.monotonic_s(),
                    )
                    self._num_delivered += len(samples)
                    yield chunk
        finally:
            if decoder is not None:
                decoder.close()

    async def close(self) -> None:
        self._closed.set()

    def statistics(self) -> SourceStatistics:
        return SourceStatistics(
            samples_captured=self._num_decoded,
            samples_delivered=self._num_delivered,
            samples_buffered=self._num_decoded - self._num_delivered,
        )

    async def _sleep_until(self, at_s: float) -> None:
        """A schedule, not pauses: what comes late does not make the rest late."""
        delay_s = at_s - self._clock.monotonic_s()
        if delay_s > 0:
            await asyncio.sleep(delay_s)


def load_audio(path: Path, channel: Channel = "downmix") -> Samples:
    """A whole file as mono 16 kHz, resampled exactly as a stream of it would be. Blocking.

    Returns:
        ``(num_samples,)`` float32.

    Raises:
        AudioError: Not readable as audio, or without that channel.
    """
    with AudioDecoder(path) as decoder:
        resampler = StreamResampler(decoder.rate_hz)
        parts: list[Samples] = []
        while (block := decoder.read(round(BLOCK_S * decoder.rate_hz))) is not None:
            parts.append(resampler.push(to_mono(block, channel)))
        parts.append(resampler.flush())
    return np.concatenate(parts)
