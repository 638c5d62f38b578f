"""Hop 1 of 6: a file as a stream, as a recording, or as a whole.

Comes in: a path; decoding runs on the I/O executor, half a second of audio at a time. Goes out,
on the event loop: chunks at the file's own rate and channels, as fast as they are consumed or
paced in real time. The file waits for its reader, so nothing is ever lost but what is damaged.

``SoundFile`` is the same without an event loop: mono 16 kHz blocks, for whoever asks.
"""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

from voiceguard.errors import AudioError
from voiceguard.speech.levels import sanitise
from voiceguard.speech.mixing import MonoMixer
from voiceguard.speech.recorded import joined
from voiceguard.speech.resampling import StreamResampler
from voiceguard.types import (
    SAMPLE_RATE_HZ,
    AudioChunk,
    MonoBlock,
    SourceState,
    SourceStatistics,
    SourceStatus,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator
    from concurrent.futures import Executor
    from pathlib import Path

    from voiceguard.audio.container import Readable
    from voiceguard.audio.decode import AudioDecoder, DecodeReport
    from voiceguard.clock import Clock
    from voiceguard.types import Channel, Samples

BLOCK_S = 0.5
"""What one trip to the executor decodes, and a chunk when the file is not paced."""
MAX_BLOCK_VALUES = 2_000_000
"""Of all channels together, however many a file has."""
PACED_CHUNK_S = 0.04
MAX_RECORDING_S = 24 * 3600.0
"""Of what is read as a whole. A stream may go on for ever."""


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
        self._num_missed = 0

    async def events(self) -> AsyncIterator[AudioChunk | SourceStatus]:
        """Yields LISTENING, the chunks, and ENDED.

        Raises:
            AudioError: Not readable as audio.
        """
        loop = asyncio.get_running_loop()
        decoder: AudioDecoder | None = None
        try:
            decoder = await opened(self._io_executor, self._path)
            yield SourceStatus(state=SourceState.LISTENING)
            started_s = self._clock.monotonic_s()
            at_once = block_samples(decoder)
            chunk_samples = round(PACED_CHUNK_S * decoder.rate_hz) if self._paced else at_once
            while not self._closed.is_set():
                block = await loop.run_in_executor(self._io_executor, decoder.read, at_once)
                if block is None:
                    detail = "" if decoder.report is None else decoder.report.shortfall
                    yield SourceStatus(state=SourceState.ENDED, detail=detail)
                    return
                self._num_decoded += len(block.samples)
                self._num_missed += block.num_missing or 0
                after_gap = block.num_missing is not None
                for first in range(0, len(block.samples), chunk_samples):
                    samples = block.samples[first : first + chunk_samples]
                    if self._paced:
                        end_s = (self._num_delivered + len(samples)) / decoder.rate_hz
                        await self._sleep_until(started_s + end_s)
                    if self._closed.is_set():
                        return
                    chunk = AudioChunk(
                        samples=samples,
                        rate_hz=decoder.rate_hz,
                        first_sample=self._num_delivered + self._num_missed,
                        delivered_at_s=self._clock.monotonic_s(),
                        after_gap=after_gap and first == 0,
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
            samples_missed=self._num_missed,
        )

    async def _sleep_until(self, at_s: float) -> None:
        """A schedule, not pauses: what comes late does not make the rest late."""
        delay_s = at_s - self._clock.monotonic_s()
        if delay_s > 0:
            await asyncio.sleep(delay_s)


def open_decoder(source: Path | Readable, name: str = "") -> AudioDecoder:
    """An ``AudioDecoder``. FFmpeg is loaded now, 10 MB that a microphone does without."""
    from voiceguard.audio.decode import AudioDecoder  # noqa: PLC0415 - as it says

    return AudioDecoder(source, name)


async def opened(executor: Executor, source: Path | Readable, name: str = "") -> AudioDecoder:
    """An ``AudioDecoder``, opened on the executor.

    Where nobody waits for it any more it is closed there: the event loop may have ended by then.
    """
    opening = executor.submit(open_decoder, source, name)
    try:
        return await asyncio.wrap_future(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(
            lambda done: None if done.cancelled() or done.exception() else done.result().close()
        )
        raise


def block_samples(decoder: AudioDecoder) -> int:
    """How much of a file is decoded at once."""
    return max(1, min(round(BLOCK_S * decoder.rate_hz), MAX_BLOCK_VALUES // decoder.num_channels))


class SoundFile:
    """A file as a recording: blocks of it, from its start whenever it is iterated. Blocking.

    Args:
        path: Of any container and codec that is read.
        channel: Which to listen to, or their mean.
        longest_s: A longer one is an error, before it is decoded where its header says so.
    """

    def __init__(
        self, path: Path, channel: Channel = "downmix", longest_s: float = MAX_RECORDING_S
    ) -> None:
        self.path = path
        self.report: DecodeReport | None = None
        """What was missing in it, since it was last read to its end."""
        self.channels_cancel = False
        """Whether the mean of its channels is next to nothing (``MonoMixer``)."""
        self._channel = channel
        self._longest_s = longest_s

    def faults(self) -> dict[str, int | float | bool]:
        """For machines: what was wrong with it when it was last read; empty: nothing."""
        report = self.report
        if report is None or not (report.shortfall or self.channels_cancel):
            return {}
        return {
            "damaged_packets": report.num_damaged,
            "lost_s": round(report.lost_s, 3),
            "truncated": report.truncated,
            "channels_cancel": self.channels_cancel,
        }

    def check(self) -> None:
        """Opens it and decodes its beginning.

        Raises:
            AudioError: Not readable as audio, without that channel, or too long by its header.
        """
        with closing(iter(self)) as blocks:
            next(blocks)

    def __iter__(self) -> Generator[MonoBlock]:
        """Yields mono 16 kHz, resampled exactly as a stream of the file would be.

        Raises:
            AudioError: Not readable as audio, without that channel, or too long.
        """
        mixer = MonoMixer(self._channel, str(self.path))
        after_gap, num_decoded = False, 0
        with open_decoder(self.path) as decoder:
            self._check_length(decoder.stated_s or 0.0, "says that it is {:.0f} hours long")
            resampler = StreamResampler(decoder.rate_hz)
            while (block := decoder.read(block_samples(decoder))) is not None:
                num_decoded += len(block.samples)
                self._check_length(num_decoded / decoder.rate_hz, "goes on after {:.0f} hours")
                if block.num_missing is not None:
                    yield MonoBlock(resampler.flush(), after_gap)
                    after_gap = True
                # Floats may be so large that their sums are no numbers.
                mono, _ = sanitise(mixer.push(block.samples))
                samples = resampler.push(mono)
                if len(samples):
                    yield MonoBlock(samples, after_gap)
                    after_gap = False
            yield MonoBlock(resampler.flush(), after_gap)
            self.report, self.channels_cancel = decoder.report, mixer.channels_cancel

    def _check_length(self, length_s: float, fault: str) -> None:
        if length_s > self._longest_s:
            raise AudioError(
                f"{self.path} {fault.format(length_s / 3600)}, where recordings of up to "
                f"{self._longest_s / 3600:g} are read",
                hint="cut it: `ffmpeg -i FILE -t 3600 PART.wav`; or listen to it as a stream: "
                "`voiceguard run --source file:FILE`",
            )


def load_audio(path: Path, channel: Channel = "downmix", max_s: float | None = None) -> Samples:
    """A file as mono 16 kHz, resampled exactly as a stream of it would be. Blocking.

    Args:
        path: Of any container and codec that is read.
        channel: Which to listen to, or their mean.
        max_s: No more than its beginning is wanted; None: all of it.

    Returns:
        ``(num_samples,)`` float32.

    Raises:
        AudioError: Not readable as audio, or without that channel.
    """
    max_samples = None if max_s is None else round(max_s * SAMPLE_RATE_HZ)
    return joined(SoundFile(path, channel), max_samples)
