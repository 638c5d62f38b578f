"""The composition root: puts the parts together, runs them, and ends them.

The only module that makes long-lived tasks (all named, in one TaskGroup) and executors:

- ``stream:NAME`` for every stream, with ``listen:NAME`` and ``decide:NAME`` in it (pipeline),
- ``mqtt`` and ``history`` (hop 6), ``control`` (the socket for other processes of its user),
  ``unlock`` (answers to locks),
- ``voiceprints``, which sees changes in the store, and ``pulse``, which keeps health, status and
  systemd's watchdog up to date,
- one inference thread, and one I/O executor (decoding, fsync, standard input).

``parts`` makes what runs, ``commands`` obeys, ``reporting`` says how it is. It fails closed: while
every source is away, inference stalls or the voiceprints' key is missing, the daemon says
*unavailable* and accepts nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import structlog

from voiceguard.audio import stdin
from voiceguard.audio.sources import parse_sources
from voiceguard.clock import SystemClock
from voiceguard.errors import VoiceguardError
from voiceguard.paths import settle_node_suffix, state_dir
from voiceguard.service.checks.names import check_streams
from voiceguard.service.commands import Commands
from voiceguard.service.ending import (
    Attention,
    check_result,
    first_error,
    stopping_on_signals,
)
from voiceguard.service.kit import assemble
from voiceguard.service.lock import DaemonLock
from voiceguard.service.noting import note_policy
from voiceguard.service.parts import announce, make_desk, make_link, make_parts, make_streams
from voiceguard.service.reporting import systemd
from voiceguard.service.reporting.health import DaemonState, Health
from voiceguard.service.reporting.report import Reporter
from voiceguard.settings import with_node_suffix
from voiceguard.types import SourceState

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from voiceguard.clock import Clock
    from voiceguard.decisions.result import DecisionSink
    from voiceguard.mqtt.topics import Command
    from voiceguard.protocols import AudioSource
    from voiceguard.scoring.policy import PolicyConfig
    from voiceguard.service.streams import StreamSet
    from voiceguard.settings import Settings
    from voiceguard.types import SourceStatus

log = structlog.get_logger(__name__)

STOP_TIMEOUT_S = 1.5
"""What closing may take in all; systemd and people wait for no more than 2 s."""


class Daemon:
    """Runs streams from their sources to MQTT until told to stop, or until all files have ended.

    Args:
        settings: Everything.
        sinks: Where decisions go besides MQTT and the history.
        sources: Sources to run instead of those that the settings name (the demo, tests).
        clock: Time.
        on_ready: Called once, when it listens.
        can_restart: Whether the caller starts it anew when ``wants_restart``.

    Raises:
        VoiceguardError: The sources are not written as they must be, or the state directory is
            out of bounds.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sinks: Iterable[DecisionSink] = (),
        sources: Sequence[AudioSource] | None = None,
        clock: Clock | None = None,
        on_ready: Callable[[], None] = lambda: None,
        can_restart: bool = False,
    ) -> None:
        self._sinks = tuple(sinks)
        self._on_ready = on_ready
        self._attention = Attention()
        specs = parse_sources(settings.audio.sources) if sources is None else ()
        check_streams(settings, [each.name for each in (sources or specs)])
        io = ThreadPoolExecutor(2 + len(sources or specs), thread_name_prefix="io")
        self._parts = make_parts(
            settings,
            specs=specs,
            sources=sources,
            clock=clock or SystemClock(),
            commands=Commands(
                *(state_dir(settings.state_dir), settings, io),
                on_policy=self._use_policy,
                on_stop=self.stop,
                on_change=self._attention.set,
                can_restart=can_restart,
            ),
            inference=ThreadPoolExecutor(1, thread_name_prefix="inference"),
            io=io,
        )
        self._streams: StreamSet
        self._reporter: Reporter | None = None
        self._tasks: asyncio.TaskGroup

    @property
    def health(self) -> Health:
        """Whether it can decide, right now."""
        return self._reporter.health if self._reporter else Health(DaemonState.STARTING)

    @property
    def wants_restart(self) -> bool:
        """Somebody asked for it, and ``run`` has returned for that reason."""
        return self._parts.commands.wants_restart

    @property
    def speakers(self) -> dict[str, str]:
        """Who is known now: name, and what they are called for people."""
        return self._parts.speakers

    def status(self) -> dict[str, Any]:
        """What the status topic says; once it serves."""
        assert self._reporter is not None
        return self._reporter.status()

    def obey(self, command: Command) -> None:
        """A command, as from MQTT. Event loop only."""
        self._parts.commands.take(command)

    def stop(self) -> None:
        """Ends ``run`` within 2 s. Event loop only."""
        self._attention.stop()

    async def run(self) -> None:
        """Listens and decides until stopped, or until every source has ended.

        Raises:
            VoiceguardError: It could not start, or decisions of file sources were not delivered.
        """
        parts = self._parts
        try:
            with DaemonLock(parts.state), stopping_on_signals(self.stop):
                suffix = settle_node_suffix(parts.state)
                parts.settings = with_node_suffix(parts.settings, suffix)
                loop = asyncio.get_running_loop()
                loading = loop.run_in_executor(parts.inference, assemble, parts.settings)
                if not await self._attention.unless_stopped(loading):
                    return
                parts.take(loading.result())
                looking = asyncio.ensure_future(parts.roster.refresh())
                if await self._attention.unless_stopped(looking):
                    await looking
                    await self._serve()
        except* VoiceguardError as group:
            raise first_error(group) from group
        finally:
            await parts.history.finish(STOP_TIMEOUT_S)  # an error must not lose what was decided
            parts.inference.shutdown(wait=False, cancel_futures=True)
            parts.io.shutdown(wait=False, cancel_futures=True)

    # --- start, life and end ----------------------------------------------------------------

    async def _serve(self) -> None:
        parts = self._parts
        parts.desk = make_desk(parts, lambda: self.health.state is DaemonState.LISTENING)
        parts.link = make_link(parts)
        self._streams = make_streams(
            parts, self._sinks, on_status=self._note_status, on_change=self._attention.set
        )
        self._reporter = Reporter(parts, self._streams, self._on_ready)
        self._parts.commands.serve(parts.control, status=self._reporter.status, rooms=parts.rooms)
        announce(parts, self._streams)
        async with asyncio.TaskGroup() as self._tasks:
            background = self._start()
            await self._follow_switch()
            while not (self._attention.is_stopping or self._streams.have_ended):
                self._reporter.report()
                await self._attention.wait()
                await self._follow_switch()
                await self._parts.commands.remember_choice()
                if not self._streams.have_ended:
                    self._streams.reopen_failed(self._tasks)
            await self._end(background)

    def _start(self) -> list[asyncio.Task[None]]:
        """What runs beside the streams."""
        parts = self._parts
        running: dict[str, Coroutine[Any, Any, None]] = {
            "history": parts.history.run(),
            "control": parts.control.run(),
            "voiceprints": self._watch_voiceprints(),
            "pulse": self._attention.pulse(),
        }
        if parts.desk is not None:
            running["unlock"] = parts.desk.run()
        else:
            running["policy"] = note_policy(parts.settings, parts.state, parts.io, parts.clock)
        if parts.link is not None:
            running["mqtt"] = parts.link.run()
        tasks = [self._tasks.create_task(each, name=name) for name, each in running.items()]
        return tasks + (parts.rooms.start(self._tasks) if parts.rooms else [])

    async def _end(self, background: list[asyncio.Task[None]]) -> None:
        """Delivers what is decided, closes what is open, stops what runs."""
        systemd.notify_systemd("STOPPING=1")
        has_ended_by_itself = not self._attention.is_stopping
        failures = tuple(self._streams.failures.values())
        if has_ended_by_itself:
            await self._deliver()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._close_streams()
                await self._parts.history.drain(STOP_TIMEOUT_S)
                if self._parts.link is not None:
                    await self._parts.link.close()
        for task in background:
            task.cancel()
        log.info("daemon_stopped")
        if has_ended_by_itself:
            check_result(
                failures,
                store_fault=self._parts.roster.fault,
                link=self._parts.link,
                broker=self._parts.settings.mqtt.place,
            )

    async def _deliver(self) -> None:
        """Waits for history and broker until decisions expire, or until told to stop."""
        await self._parts.history.drain(STOP_TIMEOUT_S)
        if self._parts.link is None:
            return
        expiry_s = self._parts.settings.policy.expiry_s
        delivery = self._tasks.create_task(self._parts.link.drain(expiry_s), name="delivery")
        delivery.add_done_callback(lambda _task: self._attention.set())
        while not (delivery.done() or self._attention.is_stopping):
            await self._attention.wait()
        delivery.cancel()

    # --- what goes on meanwhile -------------------------------------------------------------

    async def _follow_switch(self) -> None:
        """Opens or closes the devices as the switch says, and remembers it for a restart."""
        is_armed = self._parts.commands.armed.is_armed
        if not is_armed:
            stdin.OF_PROCESS.leave(self._parts.clock.monotonic_s())
        if is_armed == self._streams.is_open:
            return
        if is_armed:
            self._streams.open(self._tasks)
        else:
            await self._close_streams()
        await self._parts.commands.remember_switch()

    async def _close_streams(self) -> None:
        assert self._reporter is not None
        await self._streams.close(STOP_TIMEOUT_S / 2)
        self._reporter.note_losses()
        self._streams.clear()
        desk = self._parts.desk
        if desk is not None and desk.hearing is not None:
            desk.hearing.forget()

    def _note_status(self, stream: str, status: SourceStatus) -> None:
        is_well = status.state in {SourceState.LISTENING, SourceState.STARTING, SourceState.ENDED}
        say = log.info if is_well else log.warning
        say("source_changed", stream=stream, state=status.state, detail=status.detail)
        self._tell_soon()

    def _use_policy(self, policy: PolicyConfig) -> None:
        self._parts.roster.use_policy(policy)
        self._tell_soon()

    def _tell_soon(self) -> None:
        """The status has changed."""
        if self._reporter is not None:
            self._reporter.hurry()
        self._attention.set()

    async def _watch_voiceprints(self) -> None:
        """Sees speakers added, changed and removed by other processes, without a restart."""
        parts = self._parts
        poll_s = self._parts.settings.service.voiceprint_poll_s
        async for speakers in parts.roster.watch(self._parts.commands.reload, poll_s):
            if parts.link is not None:
                parts.link.set_speakers(speakers)
            self._tell_soon()
