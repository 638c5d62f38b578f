"""Hop 1 of 6: a microphone that tells of its own troubles and mends what can be mended.

Comes in: blocks that PortAudio's thread put into the ring (portaudio.py). Goes out, on the event
loop: chunks at the device's own rate, and between them every change of state. Opening, closing
and looking for devices block, and run on the I/O executor.

A device that delivers nothing is noticed by the clock, since PortAudio says nothing: it is
aborted, PortAudio starts afresh, and the device is opened again, for as long as it takes.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from voiceguard.audio import portaudio
from voiceguard.audio.devices import DeviceGoneError
from voiceguard.audio.sound_server import describe_source
from voiceguard.audio.timeline import Timeline
from voiceguard.errors import DeviceError
from voiceguard.types import AudioChunk, SourceState, SourceStatistics, SourceStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from concurrent.futures import Executor

    from voiceguard.audio.config import AudioConfig
    from voiceguard.audio.sound_server import ServerSource
    from voiceguard.clock import Clock
    from voiceguard.types import Samples

FIRST_BLOCK_S = 2.0
"""What a device may take between being opened and its first block."""
RETRY_S = (0.25, 0.5, 1.0, 2.0)
"""Waits between attempts to open; the last repeats. The first attempt is immediate."""
CLOSE_S = 0.4
"""How long ``close`` waits for PortAudio, which hangs when the audio server does."""
MAX_CHUNK_S = 0.5
LATE_S = 0.1
"""A timer that fires later than this shows that the process was held up, not the device."""
ASK_AFTER_S = 1.0
"""Of exact zeros, before a sound server is asked whether the microphone is muted."""
ASK_AGAIN_S = 5.0
STEADY_S = 2.0
"""A device that delivered for so long and then fails is opened again at once."""

_A = TypeVar("_A")
_T = TypeVar("_T")

_log = structlog.get_logger()


class Microphone:
    """A live source. Never ends by itself; recovers from whatever can pass.

    Args:
        name: The stream's name.
        device: An index, a name or a part of one; None for the default device.
        config: The [audio] table.
        io_executor: Where PortAudio's blocking calls run. One of its threads may be held up for
            as long as an audio server hangs.
        clock: Time, for the stamps of blocks and to notice that there are none.
    """

    is_live = True

    def __init__(
        self,
        name: str,
        device: str | int | None,
        config: AudioConfig,
        io_executor: Executor,
        *,
        clock: Clock,
    ) -> None:
        self.name = name
        self._device = device
        self._config = config
        self._io_executor = io_executor
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = asyncio.Event()
        self._closed = asyncio.Event()
        self._capture: portaudio.Capture | None = None
        self._state = SourceState.STARTING
        self._silent_s = 0.0
        self._is_muted: bool | None = None
        """What the sound server said since there have been only zeros; None: it can't say."""
        self._asked_at_s: float | None = None
        self._is_asking = False
        self._timeline = Timeline()
        self._num_opened = 0
        self._past = SourceStatistics()

    async def events(self) -> AsyncIterator[AudioChunk | SourceStatus]:
        """Yields chunks and changes of state until ``close``.

        Raises:
            DeviceError: PortAudio is missing, the device's name is ambiguous or it cannot do what
                the configuration asks; or it is missing and ``wait_for_device`` is off.
        """
        self._loop = asyncio.get_running_loop()
        num_failures = 0
        afresh = False
        try:
            while not self._closed.is_set():
                if num_failures:
                    self._ready.clear()
                    await self._pause(RETRY_S[min(num_failures, len(RETRY_S)) - 1])
                try:
                    capture = await self._in_executor(self._open, afresh)
                except DeviceError as error:
                    self._raise_unless_it_may_pass(error)
                    num_failures, afresh = num_failures + 1, True
                    if status := self._enter(SourceState.LOST, str(error)):
                        yield status
                    continue
                if capture is None:  # closed meanwhile
                    return
                while (trouble := await self._next_samples(capture)) is None:
                    for event in self._take(capture):
                        yield event
                    self._ask_whether_muted(capture)
                for event in self._take(capture):  # what came while the trouble was noticed
                    yield event
                if status := self._enter(trouble.state, trouble.detail):
                    yield status
                num_failures = 0 if _was_steady(capture) else num_failures + 1
                afresh = True
                await self._release(capture)
        finally:
            await self.close()

    async def close(self) -> None:
        self._closed.set()
        self._ready.set()
        if self._capture is not None:
            await self._release(self._capture)

    def statistics(self) -> SourceStatistics:
        counts = self._past
        if self._capture is not None:
            counts += self._capture.ring.counts()
        is_away = self._state in {SourceState.LOST, SourceState.STALLED}
        # A block that ends the outage is as long on its way as it is long.
        until_s = self._clock.monotonic_s() - self._config.block_ms / 1000 if is_away else 0.0
        return replace(
            counts,
            samples_missed=counts.samples_missed + self._timeline.missed,
            num_reopened=max(0, self._num_opened - 1),
            overflow_s=round(counts.overflow_s, 2),
            outage_s=round(self._timeline.outage_s(until_s), 2),
        )

    # --- opening and closing

    async def _in_executor(self, call: Callable[[_A], _T], argument: _A) -> _T | None:
        """Runs a blocking call; None, leaving it to itself, when it outlasts ``close``."""
        assert self._loop is not None
        running = self._loop.run_in_executor(self._io_executor, call, argument)
        closed = self._loop.create_task(self._closed.wait(), name=f"{self.name}-closed")
        try:
            either: set[asyncio.Future[Any]] = {running, closed}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await asyncio.wait({running}, timeout=CLOSE_S)
        finally:
            closed.cancel()
            # An error that comes when nobody waits any more is nobody's.
            running.add_done_callback(lambda done: done.cancelled() or done.exception())
        return running.result() if running.done() else None

    def _open(self, afresh: bool) -> portaudio.Capture | None:  # noqa: FBT001
        """On the I/O executor."""
        if self._closed.is_set():
            return None
        capture = portaudio.open_capture(
            self._device, self._config, self._wake, self._clock, afresh=afresh
        )
        self._capture = capture
        self._num_opened += 1
        if self._closed.is_set():  # while it was being opened: nobody else knows of it
            portaudio.close_capture(capture)
            return None
        _log.info(
            "device_opened",
            stream=self.name,
            device=capture.device.name,
            rate_hz=capture.rate_hz,
            num_channels=capture.num_channels,
        )
        return capture

    async def _release(self, capture: portaudio.Capture) -> None:
        """Closes the capture, unless it is done already, and books what it counted."""
        if self._capture is not capture:
            return
        await self._in_executor(portaudio.close_capture, capture)
        if self._capture is not capture:  # another caller was faster
            return
        self._capture = None
        capture.ring.discard()
        self._past += capture.ring.counts()
        self._timeline.end(capture)

    def _raise_unless_it_may_pass(self, error: DeviceError) -> None:
        waits = self._config.wait_for_device and isinstance(error, DeviceGoneError)
        if self._num_opened == 0 and not waits:
            raise error

    # --- listening

    def _wake(self) -> None:
        """On PortAudio's thread. One wake-up is enough until the loop has come round."""
        if not self._ready.is_set() and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended before the device
                self._loop.call_soon_threadsafe(self._ready.set)

    async def _next_samples(self, capture: portaudio.Capture) -> SourceStatus | None:
        """Waits until there is something to take, or something wrong, which is returned."""
        excused_until_s = 0.0
        name = capture.device.name
        while not self._closed.is_set():
            self._ready.clear()
            if not capture.ring.is_empty:
                return None
            if capture.ended:
                return SourceStatus(
                    state=SourceState.LOST, detail=f'"{name}" has gone; looking for it'
                )
            limit_s = self._config.stall_after_s
            if capture.last_block_at_s is None:
                limit_s = max(limit_s, FIRST_BLOCK_S)
            heard_at_s = capture.last_block_at_s or capture.opened_at_s
            deadline_s = max(heard_at_s + limit_s, excused_until_s)
            if (now_s := self._clock.monotonic_s()) >= deadline_s:
                return SourceStatus(
                    state=SourceState.STALLED, detail=f'"{name}" delivers nothing; re-opening it'
                )
            await self._pause(deadline_s - now_s)
            if (now_s := self._clock.monotonic_s()) > deadline_s + LATE_S:
                # Held up as we were, so perhaps was PortAudio's thread: give it time to catch up.
                excused_until_s = now_s + limit_s
        return SourceStatus(state=self._state)

    async def _pause(self, seconds: float) -> None:
        """Sleeps until woken."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ready.wait()

    def _take(self, capture: portaudio.Capture) -> Iterator[AudioChunk | SourceStatus]:
        """Everything in the ring, and the changes of state that it shows."""
        max_samples = round(MAX_CHUNK_S * capture.rate_hz)
        while not self._closed.is_set():
            stretch = capture.ring.read(max_samples)
            if stretch is None:
                return
            is_first = self._timeline.begin(capture)
            state = self._judge(stretch.samples, capture.rate_hz)
            if state is SourceState.LISTENING and (status := self._enter(state)):
                yield status
            yield AudioChunk(
                samples=stretch.samples,
                rate_hz=capture.rate_hz,
                first_sample=self._timeline.base + stretch.first_sample,
                delivered_at_s=stretch.written_at_s,
                after_gap=stretch.after_gap or (is_first and self._num_opened > 1),
            )
            if state is SourceState.MUTED and (
                status := self._enter(
                    state,
                    "the sound server says that it is muted"
                    if self._is_muted
                    else f"exact zeros for {self._silent_s:.0f} s; is its mute switch on?",
                )
            ):
                yield status

    def _judge(self, samples: Samples, rate_hz: int) -> SourceState:
        """LISTENING or MUTED, by what was heard up to and with these samples."""
        if samples.any():
            self._silent_s, self._is_muted, self._asked_at_s = 0.0, None, None
            return SourceState.LISTENING
        self._silent_s += len(samples) / rate_hz
        mute_after_s = self._config.mute_after_s
        muted = self._is_muted
        if muted is None and not self._is_asking:
            muted = mute_after_s > 0 and self._silent_s >= mute_after_s
        return SourceState.MUTED if muted else SourceState.LISTENING

    def _ask_whether_muted(self, capture: portaudio.Capture) -> None:
        """After some seconds of zeros, and then now and again: a sound server knows, zeros don't.

        A microphone that suppresses noise delivers zeros all night.
        """
        now_s = self._clock.monotonic_s()
        is_due = self._asked_at_s is None or now_s - self._asked_at_s >= ASK_AGAIN_S
        if not (is_due and self._silent_s >= ASK_AFTER_S and capture.device.is_sound_server):
            return
        assert self._loop is not None
        self._asked_at_s, self._is_asking = now_s, True
        asking = self._loop.run_in_executor(self._io_executor, describe_source)
        asking.add_done_callback(self._note_whether_muted)

    def _note_whether_muted(self, asked: asyncio.Future[ServerSource | None]) -> None:
        self._is_asking = False
        if self._silent_s > 0 and not asked.cancelled() and asked.exception() is None:
            source = asked.result()
            self._is_muted = None if source is None else source.is_muted

    def _enter(self, state: SourceState, detail: str = "") -> SourceStatus | None:
        """The status to yield when this is a change."""
        if state is self._state:
            return None
        self._state = state
        return SourceStatus(state=state, detail=detail)


def _was_steady(capture: portaudio.Capture) -> bool:
    first_s, last_s = capture.first_block_at_s, capture.last_block_at_s
    return first_s is not None and last_s is not None and last_s - first_s > STEADY_S
