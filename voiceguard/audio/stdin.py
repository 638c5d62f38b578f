"""Hop 1 of 6: standard input, ``arecord -t raw ... | voiceguard run --source stdin``.

Comes in: interleaved little-endian samples without a header; or a file in a container, which is
known by its first bytes and decoded. Goes out: chunks as they arrive, on the event loop; a writer
that is faster than the reader waits, so nothing is lost. A pipe is read when the loop says that it
holds something, so nothing ever hangs in a read; a redirected file, which cannot be waited for, and
containers are read on the I/O executor. What piled up while nobody read it is passed over.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import select
import stat
import sys
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import structlog

from voiceguard.audio.files import opened
from voiceguard.audio.sniffing import NEEDED_BYTES, NEEDED_MPEG_BYTES, kind_of, may_be_mpeg
from voiceguard.errors import AudioError
from voiceguard.types import AudioChunk, SourceState, SourceStatistics, SourceStatus

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from concurrent.futures import Executor

    from voiceguard.audio.config import AudioConfig
    from voiceguard.audio.decode import AudioDecoder
    from voiceguard.clock import Clock
    from voiceguard.types import Samples

MAX_CHUNK_S = 0.5
CONTAINED_CHUNK_S = 0.1
"""What is decoded at once of a container, which may be written as somebody speaks."""
_PACED_S, _PACE = 0.5, 1.5
"""What comes for so long at less than so many times its own pace is being said now."""
_MAX_PIPE_BYTES = 1 << 20
_PIPE_HINT = (
    "pipe raw PCM into it: `arecord -t raw -f S16_LE -r 16000 -c 1 | voiceguard run --source stdin`"
)
_POLL_S = 0.1
"""How soon a wait for a container's next bytes notices that the source was closed."""

_log = structlog.get_logger()


@dataclass(slots=True)
class Taken:
    """What was taken from a descriptor, over all the times that it is opened and closed."""

    num_bytes: int = 0
    kind: str | None = None
    """The container that it holds, once that was opened."""
    left_at_s: float | None = None
    """Since when nobody reads it: what has piled up by now is of the past. None: it is read."""

    def leave(self, now_s: float) -> None:
        """Nobody reads it from now on, on the monotonic clock. Safe to say again."""
        if self.left_at_s is None:
            self.left_at_s = now_s


_CARRIED = "VOICEGUARD_STDIN_BYTES"
"""In the environment of a process that begins anew: what it has taken of standard input before."""

OF_PROCESS = Taken(num_bytes=int(os.environ.pop(_CARRIED, "0")))
"""A process has one standard input. Whoever leaves it unread (a daemon, disarmed) says so here."""


def carry_over() -> None:
    """Before this process begins anew: raw samples go on in the middle, whole ones."""
    os.environ[_CARRIED] = str(OF_PROCESS.num_bytes)


class StandardInput:
    """Raw PCM or a container from a file descriptor; ends when its writer closes it.

    Args:
        name: The stream's name.
        config: The [audio] table: ``stdin_format``, ``stdin_rate_hz``, ``stdin_channels``.
        io_executor: Where a redirected file is read.
        clock: Time, for the stamps.
        descriptor: Standard input, or another one.
        taken: From that descriptor before; None: nothing.
    """

    is_live = False

    def __init__(
        self,
        name: str,
        config: AudioConfig,
        io_executor: Executor,
        *,
        clock: Clock,
        descriptor: int | None = None,
        taken: Taken | None = None,
    ) -> None:
        self.name = name
        self._rate_hz = config.stdin_rate_hz
        self._channels = config.stdin_channels
        self._type = np.dtype("<i2" if config.stdin_format == "s16le" else "<f4")
        self._io_executor = io_executor
        self._clock = clock
        # Without a standard input its number is soon that of some file of ours.
        self._is_there = descriptor is not None or sys.__stdin__ is not None
        self._descriptor = 0 if descriptor is None else descriptor
        self._taken = taken or Taken()
        self._is_resumed = self._taken.num_bytes > 0
        self._wake = asyncio.Event()
        self._closed = False
        self._num_samples = 0
        self._num_missed = 0

    async def events(self) -> AsyncIterator[AudioChunk | SourceStatus]:
        """Yields LISTENING, the chunks, and ENDED at the end of the input.

        Raises:
            AudioError: Standard input is closed, a terminal or not for reading, ends without a
                single sample, or holds a container that can't be decoded, or that nobody has read
                for a while.
        """
        if not self._is_there:
            raise AudioError("standard input is closed", hint=_PIPE_HINT)
        if os.isatty(self._descriptor):
            raise AudioError("standard input is a terminal, not audio", hint=_PIPE_HINT)
        mode = os.fstat(self._descriptor).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            self._taken.left_at_s = None  # what stands in a file stays as old as it is
        yield SourceStatus(state=SourceState.LISTENING)
        start = b"" if self._is_resumed else await self._first_bytes()
        if (kind := self._taken.kind or kind_of(start)) is not None:
            self._refuse_old(kind)
            self._taken.kind = kind
            events = self._contained(_Rest(self, start), kind)
        else:
            await self._pass_over_old()
            events = self._raw(start if self._taken.left_at_s is None else b"")
            self._taken.left_at_s = None
        async with aclosing(events):
            async for event in events:
                yield event

    async def _pass_over_old(self) -> None:
        """Reads on until it comes no faster than it is spoken; at most what nobody has read.

        A pipe holds some seconds, and a program before it may hold minutes.
        """
        left_at_s = self._taken.left_at_s
        if left_at_s is None:
            return
        bytes_per_s = self._rate_hz * self._type.itemsize * self._channels
        left = int((self._clock.monotonic_s() - left_at_s) * bytes_per_s) + _MAX_PIPE_BYTES
        num_bytes = math.inf
        while num_bytes > _PACE * _PACED_S * bytes_per_s and left > 0:
            num_bytes = await self._thrown_away(_PACED_S, left)
            left -= num_bytes

    async def _thrown_away(self, seconds: float, most: int) -> int:
        """How many bytes came in that time."""
        num_bytes = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while num_bytes < most and (data := await self._read(most - num_bytes)):
                    num_bytes += len(data)
        return num_bytes

    def _refuse_old(self, kind: str) -> None:
        if self._is_resumed or self._taken.left_at_s is not None:
            raise AudioError(
                f"standard input holds a container ({kind}), which can't be taken up in the middle",
                hint="it was left unread while disarmed: start the program before the pipe and "
                "voiceguard anew, or have it write raw PCM, which can be taken up",
            )

    async def _first_bytes(self) -> bytes:
        """As many as tell what it is; fewer at the end."""
        start = b""
        while len(start) < NEEDED_BYTES or (may_be_mpeg(start) and len(start) < NEEDED_MPEG_BYTES):
            data = await self._read(NEEDED_MPEG_BYTES - len(start))
            if not data:
                break
            start += data
        return start

    async def _contained(self, rest: _Rest, kind: str) -> AsyncGenerator[AudioChunk | SourceStatus]:
        loop = asyncio.get_running_loop()
        name = f"standard input ({kind})"
        _log.info("container_recognised", stream=self.name, kind=kind)
        decoder: AudioDecoder | None = None
        try:
            decoder = await opened(self._io_executor, rest, name)
            at_once = round(CONTAINED_CHUNK_S * decoder.rate_hz)
            position = 0
            while not self._closed:
                block = await loop.run_in_executor(self._io_executor, decoder.read, at_once)
                if block is None:
                    detail = "" if decoder.report is None else decoder.report.shortfall
                    yield SourceStatus(state=SourceState.ENDED, detail=detail)
                    return
                position += block.num_missing or 0
                self._num_missed += block.num_missing or 0
                chunk = AudioChunk(
                    samples=block.samples,
                    rate_hz=decoder.rate_hz,
                    first_sample=position,
                    delivered_at_s=self._clock.monotonic_s(),
                    after_gap=block.num_missing is not None,
                )
                position += len(block.samples)
                self._num_samples += len(block.samples)
                yield chunk
        finally:
            self._closed = True
            if decoder is not None:
                decoder.close()

    async def _raw(self, start: bytes) -> AsyncGenerator[AudioChunk | SourceStatus]:
        frame_bytes = self._type.itemsize * self._channels
        to_skip = -(self._taken.num_bytes - len(start)) % frame_bytes  # half a sample was taken
        max_bytes = round(MAX_CHUNK_S * self._rate_hz) * frame_bytes
        rest, data = b"", start or await self._read(max_bytes)
        while not self._closed and data is not None:
            if not data:
                yield self._end(len(rest))
                return
            skipped = min(to_skip, len(data))
            to_skip -= skipped
            data = rest + data[skipped:]
            whole = len(data) - len(data) % frame_bytes
            rest = data[whole:]
            if whole:
                samples = self._to_samples(data[:whole])
                first_sample = self._num_samples
                self._num_samples += len(samples)
                yield AudioChunk(
                    samples=samples,
                    rate_hz=self._rate_hz,
                    first_sample=first_sample,
                    delivered_at_s=self._clock.monotonic_s(),
                )
            data = await self._read(max_bytes)

    async def close(self) -> None:
        self._closed = True
        self._wake.set()

    def statistics(self) -> SourceStatistics:
        return SourceStatistics(
            samples_captured=self._num_samples,
            samples_delivered=self._num_samples,
            samples_missed=self._num_missed,
        )

    def read_blocking(self, max_bytes: int) -> bytes:
        """What comes next, on the I/O executor; nothing at the end, and when closed."""
        while not self._closed:
            try:
                ready, _, _ = select.select([self._descriptor], [], [], _POLL_S)
            except (OSError, ValueError):  # closed by somebody else
                return b""
            if ready:
                return self._taken_now(max_bytes)
        return b""

    async def _read(self, max_bytes: int) -> bytes | None:
        """What there is by now; nothing at the end; None when closed while waiting."""
        loop = asyncio.get_running_loop()
        self._wake.clear()
        try:
            loop.add_reader(self._descriptor, self._wake.set)
        except PermissionError:  # epoll refuses regular files: they are always ready
            return await loop.run_in_executor(self._io_executor, self._taken_now, max_bytes)
        try:
            if not self._closed:
                await self._wake.wait()
        finally:
            loop.remove_reader(self._descriptor)
        return None if self._closed else self._taken_now(max_bytes)

    def _taken_now(self, max_bytes: int) -> bytes:
        try:
            data = os.read(self._descriptor, max_bytes)
        except OSError as error:
            raise AudioError(
                f"standard input can't be read: {error.strerror}",
                hint="is it open for reading, and what it comes from still there?",
            ) from error
        self._taken.num_bytes += len(data)
        return data

    def _to_samples(self, data: bytes) -> Samples:
        numbers = np.frombuffer(data, dtype=self._type).reshape(-1, self._channels)
        if self._type.kind == "i":
            return numbers.astype(np.float32) / np.float32(32768.0)
        return numbers.astype(np.float32)

    def _end(self, num_bytes_left: int) -> SourceStatus:
        if not (self._num_samples or self._is_resumed):
            raise AudioError(
                "standard input ended without a single sample",
                hint="does the program before the pipe work, and does it write raw PCM?",
            )
        if num_bytes_left:
            _log.warning("partial_frame_dropped", stream=self.name, num_bytes=num_bytes_left)
        return SourceStatus(state=SourceState.ENDED)


class _Rest:
    """What comes on standard input, from its first bytes on, for the decoder."""

    def __init__(self, source: StandardInput, start: bytes) -> None:
        self._source = source
        self._start = start

    def read(self, num_bytes: int, /) -> bytes:
        if self._start:
            data, self._start = self._start[:num_bytes], self._start[num_bytes:]
            return data
        return self._source.read_blocking(num_bytes)
