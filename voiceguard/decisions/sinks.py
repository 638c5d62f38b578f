"""Hop 6 of 6 besides MQTT: the local history, lines on standard output, and callbacks.

Event loop; ``publish`` never waits. In: decisions. The history is written by a coroutine that the
daemon runs, on the I/O executor, from a bounded queue that drops the oldest
(``decisions_dropped``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from voiceguard.decisions.wire import decision_payload
from voiceguard.errors import VoiceguardError
from voiceguard.validation.boundary import in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor

    from voiceguard.decisions.history import History
    from voiceguard.decisions.result import Decision, DecisionSink

log = structlog.get_logger(__name__)


class FanOut:
    """Gives every decision to each of several sinks; one that breaks costs the others nothing."""

    def __init__(self, sinks: Iterable[DecisionSink]) -> None:
        self._sinks = tuple(sinks)
        self._said: set[tuple[int, str]] = set()

    def publish(self, decision: Decision) -> None:
        for number, sink in enumerate(self._sinks):
            try:
                sink.publish(decision)
            except Exception as error:
                cause = (number, type(error).__name__)
                if cause not in self._said:  # once: it may break on every decision
                    self._said.add(cause)
                    log.exception("sink_failed", sink=type(sink).__name__, error=in_words(error))


class CallbackSink:
    """Calls a function with every decision."""

    def __init__(self, callback: Callable[[Decision], None]) -> None:
        self._callback = callback

    def publish(self, decision: Decision) -> None:
        self._callback(decision)


class LineSink:
    """Writes every decision as one line of JSON."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def publish(self, decision: Decision) -> None:
        print(json.dumps(decision_payload(decision)), file=self._file, flush=True)


class ThreadedSink:
    """Gives decisions to a sink that may wait (a pipe that nobody reads), on a thread of its own.

    It holds neither the event loop nor the I/O executor. Bounded: while the sink waits, the oldest
    decisions go (``decisions_dropped``).
    """

    def __init__(self, sink: DecisionSink, *, max_pending: int = 256) -> None:
        self.decisions_dropped = 0
        self._sink = FanOut([sink])
        self._max_pending = max_pending
        self._pending: deque[Decision] = deque()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)

    def publish(self, decision: Decision) -> None:
        with self._changed:
            if len(self._pending) >= self._max_pending:
                self._pending.popleft()
                self.decisions_dropped += 1
                if self.decisions_dropped == 1:
                    log.warning("output_not_written", error="nobody reads it")
            self._pending.append(decision)
            self._changed.notify_all()
        if not self._thread.is_alive():
            self._thread.start()

    def drain(self, timeout_s: float) -> bool:
        """Waits for what is pending, at most so long; whether it is all out."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._pending, timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending)
                decision = self._pending[0]
            self._sink.publish(decision)
            with self._changed:
                if self._pending and self._pending[0] is decision:
                    self._pending.popleft()
                self._changed.notify_all()


class HistorySink:
    """Keeps final decisions in the local history; provisional ones are not remembered."""

    def __init__(self, history: History, executor: Executor, *, max_pending: int = 256) -> None:
        self.decisions_dropped = 0
        self._history = history
        self._executor = executor
        self._pending: deque[Callable[[], None]] = deque()
        self._max_pending = max_pending
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def publish(self, decision: Decision) -> None:
        if decision.is_final:
            self._put(partial(self._history.append, decision_payload(decision)))

    def note(self, diagnostics: dict[str, Any]) -> None:
        """Keeps what a stream has lost, as ``History.note`` takes it."""
        self._put(partial(self._history.note, diagnostics))

    def _put(self, write: Callable[[], None]) -> None:
        if len(self._pending) >= self._max_pending:
            self._pending.popleft()
            self.decisions_dropped += 1
        self._pending.append(write)
        self._idle.clear()
        self._wake.set()

    async def run(self) -> None:
        """Writes what is pending, for as long as it runs; a full disk costs entries, not more."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._write_pending()

    async def drain(self, timeout_s: float) -> None:
        """Waits until everything is written, at most so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), timeout_s)

    async def finish(self, timeout_s: float) -> None:
        """After ``run`` was cancelled: writes what it had to leave, within so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._write_pending()

    async def _write_pending(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending:
            write = self._pending[0]
            try:
                await loop.run_in_executor(self._executor, write)
            except Exception as error:
                self.decisions_dropped += 1
                if isinstance(error, VoiceguardError):
                    log.warning("history_not_written", error=str(error))
                else:
                    log.exception("history_not_written", error=in_words(error))
            # Only now: cancelled in the middle, it is written once more, to the same place.
            if self._pending and self._pending[0] is write:
                self._pending.popleft()
        self._idle.set()
