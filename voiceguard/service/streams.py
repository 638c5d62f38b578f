"""The streams of the daemon, each on its own: what ends one is said of it and ends no other.

Event loop. A stream that fails in a way that nobody expected is *lost* in the status, as a
microphone is that was unplugged; a live one is opened anew after a while. What its file or device
is to blame for is kept as an error of ours, which is the daemon's once every stream has ended.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

from voiceguard.decisions.wire import iso_utc
from voiceguard.errors import AudioError, VoiceguardError
from voiceguard.service.ending import first_error
from voiceguard.service.reporting.health import condition_of, is_problem
from voiceguard.types import SourceState, SourceStatus
from voiceguard.validation.boundary import in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from voiceguard.clock import Clock
    from voiceguard.pipeline.stream import Stream

log = structlog.get_logger(__name__)

REOPEN_S = 10.0
"""After a failure of a live stream. Longer than a device that is merely away is waited for."""

Open: TypeAlias = "Callable[[], Stream]"


class StreamSet:
    """All streams of a daemon.

    Args:
        makers: What makes each stream, by its name; called whenever it is opened.
        clock: Time.
        on_change: Called when one has ended or failed.
    """

    def __init__(
        self, makers: Mapping[str, Open], *, clock: Clock, on_change: Callable[[], None]
    ) -> None:
        self.failures: dict[str, VoiceguardError] = {}
        """Why streams failed, since they were opened last."""
        self._makers = makers
        self._clock = clock
        self._on_change = on_change
        self._streams: dict[str, Stream] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failed_at_s: dict[str, float] = {}
        self._noted: dict[Stream, dict[str, float]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Of all of them, open or not."""
        return tuple(self._makers)

    @property
    def is_open(self) -> bool:
        """Whether it was opened and not closed since."""
        return bool(self._tasks)

    @property
    def have_ended(self) -> bool:
        """Whether every stream has come to its end."""
        return self.is_open and all(task.done() for task in self._tasks.values())

    def open(self, tasks: asyncio.TaskGroup) -> None:
        """Opens all of them; one that can't be opened has failed."""
        for name in self._makers:
            self._open(name, tasks)

    def reopen_failed(self, tasks: asyncio.TaskGroup) -> None:
        """Gives live streams that have failed another chance, once REOPEN_S are over."""
        now_s = self._clock.monotonic_s()
        for name, failed_at_s in list(self._failed_at_s.items()):
            stream = self._streams.get(name)
            is_live = stream is None or stream.is_live
            if is_live and self._tasks[name].done() and now_s - failed_at_s >= REOPEN_S:
                self._open(name, tasks)

    async def close(self, timeout_s: float) -> None:
        """Frees all sources; what has not ended by then is cancelled."""
        for name, stream in self._streams.items():
            await self._free(name, stream)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks.values(), timeout=timeout_s)
            for task in late:
                task.cancel()

    def clear(self) -> None:
        """Forgets those that were closed."""
        self._streams, self._tasks = {}, {}
        self.failures, self._failed_at_s = {}, {}

    def _open(self, name: str, tasks: asyncio.TaskGroup) -> None:
        self.failures.pop(name, None)
        self._failed_at_s.pop(name, None)
        self._tasks[name] = tasks.create_task(self._run(name), name=f"stream:{name}")
        self._tasks[name].add_done_callback(lambda _task: self._on_change())

    async def _run(self, name: str) -> None:
        stream: Stream | None = None
        try:
            stream = self._streams[name] = self._makers[name]()
            async with asyncio.TaskGroup() as parts:
                parts.create_task(stream.listen(), name=f"listen:{name}")
                parts.create_task(stream.decide(), name=f"decide:{name}")
        except* Exception as group:
            error = first_error(group)
            if isinstance(error, VoiceguardError):
                log.error("stream_failed", stream=name, error=str(error))  # noqa: TRY400 - said by it
            else:
                log.exception("stream_failed", stream=name, error=in_words(error), exc_info=error)
            self._fail(name, stream, error)
            if stream is not None:
                await self._free(name, stream)

    def _fail(self, name: str, stream: Stream | None, error: Exception) -> None:
        if not isinstance(error, VoiceguardError):
            error = AudioError(
                f"stream {name} failed: {in_words(error)}",
                hint="this should not happen: please report it with the log",
            )
        self.failures[name] = error
        self._failed_at_s[name] = self._clock.monotonic_s()
        if stream is not None:
            stream.status = SourceStatus(state=SourceState.LOST, detail=str(error))

    async def _free(self, name: str, stream: Stream) -> None:
        try:
            await stream.close()
        except Exception as error:  # the others are still to be freed
            log.exception("stream_failed", stream=name, error=in_words(error))

    # --- what is told of them ---------------------------------------------------------------

    def inference_age_s(self) -> float:
        """How long the longest inference under way has been running."""
        return max((each.inference_age_s() for each in self._streams.values()), default=0.0)

    def statuses(self) -> dict[str, SourceStatus]:
        """The last status of every stream."""
        lost = {
            name: SourceStatus(state=SourceState.LOST, detail=str(error))
            for name, error in self.failures.items()
        }
        return {**{name: each.status for name, each in self._streams.items()}, **lost}

    def describe(self) -> dict[str, dict[str, Any]]:
        """State and counters of every stream, as the status topic has them."""
        return {
            name: {
                "state": stream.status.state,
                "condition": condition_of(stream.status.state),
                "has_problem": is_problem(condition_of(stream.status.state)),
                "detail": stream.status.detail,
                **asdict(stream.statistics()),
            }
            for name, stream in self._streams.items()
        }

    def news_of_losses(self) -> Iterator[dict[str, Any]]:
        """What streams have lost, as the history notes it, where it is news since the last call."""
        for stream in self._streams.values():
            if (losses := stream.statistics().losses) != self._noted.get(stream, {}):
                self._noted[stream] = losses
                noted = {"stream": stream.name, "opened_at": iso_utc(stream.opened_at)}
                noted["noted_at"] = iso_utc(self._clock.utc())
                yield {**noted, **losses}
