"""Hop 1 of 6: the turns of one port as a stream. Event loop.

In: the audio of one turn after the other, as a client sends it. Out: chunks, and where each turn
begins and ends. Live: 12 s are kept for a late reader, then the oldest goes (``samples_lost``), and
the gap is visible. The stream's timeline is that of the clock: between turns it goes on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.types import (
    AudioChunk,
    SourceStatistics,
    TurnEnd,
    TurnStart,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voiceguard.clock import Clock
    from voiceguard.types import Samples, SourceEvent, SourceStatus

MAX_BUFFERED_S = 12.0
CHUNK_S = 0.03
"""Less than this is put together: a client may send every sample for itself."""


class TurnSource:
    """What one port hears.

    Args:
        name: The stream's name.
        clock: Time.
        status: Of its port, as it is now.
    """

    is_live = True

    def __init__(self, name: str, clock: Clock, status: SourceStatus) -> None:
        self.name = name
        self.is_closed = False
        self._clock = clock
        self._opened_at_s = clock.monotonic_s()
        self._queue: deque[SourceEvent] = deque([status])
        self._wake = asyncio.Event()
        self._turn_id = ""
        self._rate_hz = 16_000
        self._position = 0
        self._is_after_gap = True
        self._parts: list[Samples] = []
        self._num_pending = 0
        self._buffered_s = 0.0
        self._captured = self._delivered = self._lost = 0

    # --- from the port: nothing here waits ---------------------------------------------------

    def begin(self, turn_id: str, rate_hz: int) -> None:
        """A turn begins; the one before it has ended."""
        behind_s = self._position / self._rate_hz
        now_s = self._clock.monotonic_s() - self._opened_at_s
        self._turn_id, self._rate_hz = turn_id, rate_hz
        self._position = round(max(behind_s, now_s) * rate_hz)
        self._is_after_gap = True
        self._put(TurnStart(turn_id))

    def push(self, samples: Samples) -> None:
        """Its next samples, ``(num_samples, channels)`` float32."""
        self._parts.append(samples)
        self._num_pending += len(samples)
        if self._num_pending >= CHUNK_S * self._rate_hz:
            self._flush()

    def end(self) -> None:
        """The turn is over."""
        self._flush()
        self._put(TurnEnd(self._turn_id))

    def note(self, status: SourceStatus) -> None:
        """The port's state has changed."""
        self._put(status)

    def _flush(self) -> None:
        if not self._num_pending or self.is_closed:
            return
        samples = np.concatenate(self._parts)
        self._parts, self._num_pending = [], 0
        self._captured += len(samples)
        self._buffered_s += len(samples) / self._rate_hz
        self._put(
            AudioChunk(
                samples=samples,
                rate_hz=self._rate_hz,
                first_sample=self._position,
                delivered_at_s=self._clock.monotonic_s(),
                after_gap=self._is_after_gap,
            )
        )
        self._position += len(samples)
        self._is_after_gap = False
        while self._buffered_s > MAX_BUFFERED_S:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        chunks = (
            i for i, e in enumerate(self._queue) if isinstance(e, AudioChunk) and e.samples.size
        )
        place = next(chunks)
        oldest = self._queue[place]
        assert isinstance(oldest, AudioChunk)
        del self._queue[place]
        self._lost += len(oldest.samples)
        self._buffered_s -= len(oldest.samples) / oldest.rate_hz
        after = self._queue[place] if place < len(self._queue) else None
        if isinstance(after, AudioChunk):
            self._queue[place] = replace(after, after_gap=True)
        else:  # the turn's end: what is missing before it must be seen
            empty = oldest.samples[:0]
            self._queue.insert(place, replace(oldest, samples=empty, after_gap=True))

    def _put(self, event: SourceEvent) -> None:
        if not self.is_closed:
            self._queue.append(event)
            self._wake.set()

    # --- to the stream -------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[SourceEvent]:
        """Yields what was put in, until it is closed."""
        while not self.is_closed:
            while self._queue and not self.is_closed:
                event = self._queue.popleft()
                if isinstance(event, AudioChunk):
                    self._buffered_s -= len(event.samples) / event.rate_hz
                    self._delivered += len(event.samples)
                yield event
            self._wake.clear()
            if not (self._queue or self.is_closed):
                await self._wake.wait()

    async def close(self) -> None:
        self.is_closed = True
        self._wake.set()

    def statistics(self) -> SourceStatistics:
        return SourceStatistics(
            samples_captured=self._captured,
            samples_delivered=self._delivered,
            samples_lost=self._lost,
            samples_buffered=self._captured - self._delivered - self._lost,
        )
