"""The composition root: puts the parts together, runs them, and ends them.

The only module that makes long-lived tasks (all named, in one TaskGroup) and executors:

- ``stream:NAME`` for every stream, with ``listen:NAME`` and ``decide:NAME`` in it (pipeline),
- ``mqtt`` and ``history`` (hop 6), ``control`` (the socket for other processes of its user),
  ``unlock`` (answers to locks),
- ``voiceprints``, which sees changes in the store, and ``pulse``, which keeps health, status and
  systemd's watchdog up to date,
- one inference thread, and one I/O executor (decoding, fsync, standard input).

It fails closed: while every source is away, inference stalls or the voiceprints' key is missing,
the daemon says *unavailable* and accepts nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from voiceguard.audio.sources import open_source, parse_sources
from voiceguard.clock import SystemClock
from voiceguard.control.server import (
    ControlCommand,
    ControlServer,
    NoParameters,
    StreamParameters,
)
from voiceguard.control.watching import EVENTS, Watching
from voiceguard.decisions.history import History
from voiceguard.decisions.sinks import FanOut, HistorySink
from voiceguard.errors import UsageError, VoiceguardError
from voiceguard.mqtt.client import MqttLink
from voiceguard.mqtt.home.household import area_of
from voiceguard.mqtt.topics import Command
from voiceguard.paths import history_file, settle_node_suffix, state_dir
from voiceguard.pipeline.stream import Stream
from voiceguard.pipeline.television import Television
from voiceguard.service import systemd
from voiceguard.service.arming import ArmedSwitch, PolicyChoice
from voiceguard.service.ending import (
    check_delivered,
    check_recognised,
    first_error,
    stopping_on_signals,
)
from voiceguard.service.health import DaemonState, Health, assess_health
from voiceguard.service.kit import assemble, open_store
from voiceguard.service.lock import DaemonLock
from voiceguard.service.roster import Roster
from voiceguard.service.streams import StreamSet
from voiceguard.settings import with_node_suffix
from voiceguard.types import SourceState
from voiceguard.unlock.desk import Home
from voiceguard.unlock.opening import open_desk
from voiceguard.wyoming.making import check_names, make_rooms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from voiceguard.clock import Clock
    from voiceguard.control.connection import Connection
    from voiceguard.decisions.result import DecisionSink
    from voiceguard.protocols import AudioSource
    from voiceguard.service.kit import Kit
    from voiceguard.settings import Settings
    from voiceguard.types import SourceStatus
    from voiceguard.unlock.desk import Desk

log = structlog.get_logger(__name__)

PULSE_S = 0.5
STOP_TIMEOUT_S = 1.5
"""What closing may take in all; systemd and people wait for no more than 2 s."""
SWITCH_TIMEOUT_S = 2.0
"""What remembering the switch may take; a state directory that hangs must not hold the rest."""


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
        self.wants_restart = False
        """Somebody asked for it, and ``run`` has returned for that reason."""
        self.health = Health(DaemonState.STARTING)
        self._settings = settings
        self._sinks = tuple(sinks)
        self._sources = sources
        self._clock = clock or SystemClock()
        self._on_ready = on_ready
        self._can_restart = can_restart
        self._state = state_dir(settings.state_dir)
        self._rooms = make_rooms(
            settings.wyoming,
            clock=self._clock,
            published=self._published,
            names=lambda: self.speakers,
        )
        self._television = Television(settings.television, self._clock)
        self._armed = ArmedSwitch(self._state, settings.service.start)
        self._choice = PolicyChoice(self._state, settings.policy)
        self._has_chosen = False
        self._inference = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._specs = parse_sources(settings.audio.sources) if sources is None else ()
        check_names([each.name for each in (sources or self._specs)], settings.wyoming)
        num_sources = len(self._specs if sources is None else sources)
        self._io = ThreadPoolExecutor(2 + num_sources, thread_name_prefix="io")
        self._history = HistorySink(History(history_file(self._state), settings.history), self._io)
        self._control = ControlServer(self._state, EVENTS)
        self._watching = Watching(self._control)
        self._link: MqttLink | None = None
        self._desk: Desk | None = None
        self._attention = asyncio.Event()
        self._reload = asyncio.Event()
        self._feeds_watchdog = systemd.wants_watchdog()
        self._is_stopping = False
        self._is_ready = False
        self._reported_at_s = float("-inf")
        self._kit: Kit
        self._roster: Roster
        self._streams: StreamSet
        self._tasks: asyncio.TaskGroup

    @property
    def speakers(self) -> dict[str, str]:
        """Who is known now: name, and what they are called for people."""
        return dict(self._roster.speakers)

    def stop(self) -> None:
        """Ends ``run`` within 2 s. Event loop only."""
        self._is_stopping = True
        self._attention.set()

    async def run(self) -> None:
        """Listens and decides until stopped, or until every source has ended.

        Raises:
            VoiceguardError: It could not start, or decisions of file sources were not delivered.
        """
        try:
            with DaemonLock(self._state), stopping_on_signals(self.stop):
                self._settings = with_node_suffix(self._settings, settle_node_suffix(self._state))
                loop = asyncio.get_running_loop()
                loading = loop.run_in_executor(self._inference, assemble, self._settings)
                if not await self._unless_stopped(loading):
                    return
                self._kit = loading.result()
                self._warn_of_no_calibration()
                self._roster = Roster(self._kit, open_store(self._settings), self._io)
                self._roster.use_policy(self._choice.policy)
                looking = asyncio.ensure_future(self._roster.refresh())
                if await self._unless_stopped(looking):
                    await looking
                    await self._serve()
        except* VoiceguardError as group:
            raise first_error(group) from group
        finally:
            await self._history.finish(STOP_TIMEOUT_S)  # an error must not lose what was decided
            self._inference.shutdown(wait=False, cancel_futures=True)
            self._io.shutdown(wait=False, cancel_futures=True)

    async def _unless_stopped(self, work: asyncio.Future[Any]) -> bool:
        """Waits for work of the start; whether it is done, else it was told to stop meanwhile.

        A thread can't be cancelled; what it loads is dropped when the process ends.
        """
        while not (work.done() or self._is_stopping):
            stopping = asyncio.ensure_future(self._attention.wait())
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            self._attention.clear()
        if not work.done():
            work.cancel()
            return False
        return True

    def _warn_of_no_calibration(self) -> None:
        """Every decision will be inconclusive: said once, before somebody wonders."""
        if self._kit.calibration is None:
            info = self._kit.encoder.info
            hint = "`voiceguard calibrate DIR` makes a calibration, after which start this again"
            log.warning("encoder_uncalibrated", encoder=info.name, hint=hint)

    # --- start, life and end ----------------------------------------------------------------

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as self._tasks:
            self._take_commands()
            background = [
                self._tasks.create_task(self._history.run(), name="history"),
                self._tasks.create_task(self._control.run(), name="control"),
                self._tasks.create_task(self._watch_voiceprints(), name="voiceprints"),
                self._tasks.create_task(self._pulse(), name="pulse"),
            ]
            if self._settings.unlock.actions:
                self._desk = self._open_desk()
                background.append(self._tasks.create_task(self._desk.run(), name="unlock"))
            if self._settings.mqtt.is_enabled:
                self._link = MqttLink(
                    self._settings.mqtt,
                    on_command=self.obey,
                    on_request=self._desk.take if self._desk else None,
                    on_p_fa=self.choose_p_fa,
                    media=self._television,
                    clock=self._clock,
                )
                self._link.set_speakers(self._roster.speakers)
                background.append(self._tasks.create_task(self._link.run(), name="mqtt"))
            background += self._rooms.start(self._tasks) if self._rooms else []
            self._streams = self._make_streams()
            self._announce()
            await self._follow_switch()
            while not (self._is_stopping or self._streams.have_ended):
                self._report()
                await self._attention.wait()
                self._attention.clear()
                await self._follow_switch()
                await self._follow_choice()
                if not self._streams.have_ended:
                    self._streams.reopen_failed(self._tasks)
            await self._end(background)

    async def _end(self, background: list[asyncio.Task[None]]) -> None:
        """Delivers what is decided, closes what is open, stops what runs."""
        systemd.notify_systemd("STOPPING=1")
        has_ended_by_itself = not self._is_stopping
        failures = tuple(self._streams.failures.values())
        if has_ended_by_itself:
            await self._deliver()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._close_streams()
                await self._history.drain(STOP_TIMEOUT_S)
                if self._link is not None:
                    await self._link.close()
        for task in background:
            task.cancel()
        log.info("daemon_stopped")
        if has_ended_by_itself:
            self._check_result(failures)

    async def _deliver(self) -> None:
        """Waits for history and broker until decisions expire, or until told to stop."""
        await self._history.drain(STOP_TIMEOUT_S)
        if self._link is None:
            return
        expiry_s = self._settings.policy.expiry_s
        delivery = self._tasks.create_task(self._link.drain(expiry_s), name="delivery")
        delivery.add_done_callback(lambda _task: self._attention.set())
        while not (delivery.done() or self._is_stopping):
            await self._attention.wait()
            self._attention.clear()
        delivery.cancel()

    def _check_result(self, failures: Sequence[VoiceguardError]) -> None:
        """The files are over: what kept them from being decided or delivered is an error."""
        for failure in failures:
            raise failure
        check_recognised(self._roster.fault)
        check_delivered(self._link, self._settings.mqtt.place)

    # --- streams ----------------------------------------------------------------------------

    async def _follow_switch(self) -> None:
        """Opens or closes the devices as the switch says, and remembers it for a restart."""
        if self._armed.is_armed == self._streams.is_open:
            return
        if self._armed.is_armed:
            self._streams.open(self._tasks)
        else:
            await self._close_streams()
        await self._remember(self._armed.remember)

    async def _follow_choice(self) -> None:
        """Remembers for a restart what was chosen."""
        if self._has_chosen:
            self._has_chosen = False
            await self._remember(self._choice.remember)

    async def _remember(self, write: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(SWITCH_TIMEOUT_S):
                await loop.run_in_executor(self._io, write)
        except TimeoutError:
            log.warning("switch_not_remembered", error="the state directory does not answer")
        except VoiceguardError as error:
            log.warning("switch_not_remembered", error=str(error))

    def _open_desk(self) -> Desk:
        specs = self._specs if self._sources is None else self._sources

        def send(topic: str, payload: bytes, lifetime_s: float) -> None:
            if self._link is not None:
                self._link.reply(topic, payload, lifetime_s)

        return open_desk(
            self._settings.unlock,
            self._settings.mqtt,
            state=self._state,
            streams={
                *(each.name for each in specs),
                *self._settings.wyoming.names,
            },
            pre_roll_s=self._settings.gate.pre_roll_s,
            channel=self._settings.audio.channel,
            executor=self._io,
            clock=self._clock,
            home=Home(
                is_listening=lambda: self.health.state is DaemonState.LISTENING,
                enrolled=lambda: self._roster.judge.scorer.speakers,
                judge_at=lambda decision, p_fa: self._roster.judge.decide_at(
                    decision.judgement, p_fa
                ),
                send=send,
            ),
        )

    def _make_streams(self) -> StreamSet:
        audio = self._settings.audio
        ours: list[DecisionSink | None] = [
            *(self._history, self._watching, self._link, self._rooms, self._desk)
        ]
        sink = FanOut([*self._sinks, *filter(None, ours)])
        hearing = self._desk.hearing if self._desk else None
        watcher = hearing.before(self._watching) if hearing else self._watching

        def make(open_one: Callable[[], AudioSource]) -> Stream:
            source = open_one()
            return Stream(
                source,
                ear=self._kit.make_ear(audio.channel),
                encoder=self._kit.encoder.open_stream(),
                judge=lambda: self._television.judge(source.name, self._roster.judge),
                sink=sink,
                executor=self._inference,
                clock=self._clock,
                on_status=self._note_status,
                watcher=watcher,
                on_turn_decided=partial(self._turn_decided, source.name),
            )

        openers: dict[str, Callable[[], AudioSource]] = {
            spec.name: partial(open_source, spec, audio, self._io, clock=self._clock)
            for spec in self._specs
        }
        openers |= {source.name: partial(_itself, source) for source in self._sources or ()}
        openers |= self._rooms.openers() if self._rooms else {}
        return StreamSet(
            {name: partial(make, opener) for name, opener in openers.items()},
            clock=self._clock,
            on_change=self._attention.set,
        )

    def _turn_decided(self, stream: str, turn_id: str) -> None:
        if self._rooms is not None:
            self._rooms.turn_decided(stream, turn_id)

    async def _published(self, decision_id: str) -> None:
        """Returns when the broker has it, where there is one."""
        if self._link is not None:
            await self._link.published(decision_id)

    def _announce(self) -> None:
        """What Home Assistant is told of besides speakers: a room per stream that has a name."""
        if self._link is None:
            return
        unnamed = {spec.name for spec in self._specs if not spec.is_named}
        self._link.set_household(
            streams={
                name: "" if name in unnamed else area_of(name) for name in self._streams.names
            },
            p_fa_choices=self._choice.choices,
            can_restart=self._can_restart,
        )

    async def _close_streams(self) -> None:
        await self._streams.close(STOP_TIMEOUT_S / 2)
        self._note_losses()
        self._streams.clear()

    def _note_status(self, stream: str, status: SourceStatus) -> None:
        is_well = status.state in {SourceState.LISTENING, SourceState.STARTING, SourceState.ENDED}
        say = log.info if is_well else log.warning
        say("source_changed", stream=stream, state=status.state, detail=status.detail)
        self._reported_at_s = float("-inf")
        self._attention.set()

    # --- what goes on beside the streams ----------------------------------------------------

    def obey(self, command: Command) -> None:
        """A command, from MQTT or the control socket."""
        log.info("command_received", command=command)
        if command is Command.RELOAD:
            self._reload.set()
        elif command is Command.RESTART:
            self._restart()
        elif command is not Command.P_FA:  # which comes with a rate, to choose_p_fa
            self._armed.is_armed = command is Command.ARM
        self._attention.set()

    def _restart(self) -> None:
        if not self._can_restart:
            log.warning("command_ignored", cause="nobody would start it again")
            return
        self.wants_restart = True
        self.stop()

    def choose_p_fa(self, p_fa: float) -> None:
        """One of the configured rates, from MQTT."""
        if not self._choice.choose(p_fa):
            log.warning("command_ignored", cause="not in policy.p_fa_choices", p_fa=p_fa)
            return
        log.info("policy_chosen", p_fa=p_fa)
        self._roster.use_policy(self._choice.policy)
        self._has_chosen = True
        self._reported_at_s = float("-inf")
        self._attention.set()

    def _take_commands(self) -> None:
        """What clients of the control socket may ask for, besides ``watch``."""

        async def status(_asked: NoParameters, _client: Connection) -> dict[str, Any]:
            return self.status()

        async def obey(
            command: Command, _asked: NoParameters, _client: Connection
        ) -> dict[str, Any]:
            self.obey(command)
            return {}

        async def turns(asked: StreamParameters, client: Connection) -> dict[str, Any]:
            if self._rooms is None:
                raise UsageError("there is no [[wyoming.proxy]]", hint="see the settings")
            end = self._rooms.record(asked.stream, partial(client.send_event, "turn"))
            client.on_end.append(end)
            return {}

        self._control.add("status", ControlCommand(NoParameters, status))
        self._control.add("turns", ControlCommand(StreamParameters, turns))
        for command in set(Command) - {Command.P_FA}:
            self._control.add(command, ControlCommand(NoParameters, partial(obey, command)))

    async def _watch_voiceprints(self) -> None:
        """Sees speakers added, changed and removed by other processes, without a restart."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.service.voiceprint_poll_s):
                    await self._reload.wait()
            force = self._reload.is_set()
            self._reload.clear()
            if await self._roster.refresh(force=force):
                if self._link is not None:
                    self._link.set_speakers(self._roster.speakers)
                self._reported_at_s = float("-inf")
                self._attention.set()

    async def _pulse(self) -> None:
        """Makes the main loop look after health and watchdog though nothing has happened."""
        while True:
            await asyncio.sleep(PULSE_S)
            self._attention.set()

    def _report(self) -> None:
        """Health to the log, systemd and MQTT."""
        inference_age_s = self._streams.inference_age_s()
        health = assess_health(
            is_armed=self._armed.is_armed,
            streams=self._streams.statuses(),
            store_fault=self._roster.fault,
            is_calibrated=self._kit.calibration is not None,
            num_speakers=len(self._roster.speakers),
            inference_age_s=inference_age_s,
            inference_timeout_s=self._settings.service.inference_timeout_s,
        )
        if self._feeds_watchdog and inference_age_s <= self._settings.service.inference_timeout_s:
            systemd.notify_systemd("WATCHDOG=1")
        if health != self.health:
            log.info("health_changed", state=health.state, reason=health.reason)
            systemd.notify_systemd(f"STATUS={health.state} {health.reason}".rstrip())
            self.health = health
            self._reported_at_s = float("-inf")
        if health.state is not DaemonState.STARTING and not self._is_ready:
            self._is_ready = True
            systemd.notify_systemd("READY=1")
            self._on_ready()
        now_s = self._clock.monotonic_s()
        if now_s - self._reported_at_s >= self._settings.service.status_interval_s:
            self._reported_at_s = now_s
            self._note_losses()
            status = self.status()
            self._watching.status(status)
            if self._link is not None:
                self._link.set_available(health.is_available, health.reason)
                self._link.set_status(status)

    def _note_losses(self) -> None:
        """What streams have lost goes to the history, where it is news."""
        for noted in self._streams.news_of_losses():
            self._history.note(noted)
            self._watching.lost(noted)

    def status(self) -> dict[str, Any]:
        """What the status topic says: state, streams with their counters, encoder, speakers."""
        info = self._kit.encoder.info
        return {
            "schema": 1,
            "state": self.health.state,
            "reason": self.health.reason,
            "condition": self.health.condition,
            "has_problem": self.health.has_problem,
            "armed": self._armed.is_armed,
            "streams": self._streams.describe(),
            "encoder": {
                "name": info.name,
                "encoder_id": info.encoder_id,
                "is_calibrated": self._kit.calibration is not None,
            },
            "speakers": [name for name, _ in self._roster.speakers],
            "display_names": self.speakers,
            "voiceprints": self._roster.qualities,
            "policy": self._choice.describe(),
            "refused": {each.speaker: each.reason for each in self._roster.refusals},
            "control": self._control.statistics(),
            **({"wyoming": self._rooms.statistics()} if self._rooms else {}),
        }


def _itself(source: AudioSource) -> AudioSource:
    return source
