"""The daemon's parts; and what is made of them once its encoder is loaded: streams, link, desk.

Event loop; nothing here waits, and nothing here is started.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import structlog

from voiceguard.audio.sources import open_source
from voiceguard.control.server import ControlServer
from voiceguard.control.watching import EVENTS, Watching
from voiceguard.decisions.history import History
from voiceguard.decisions.sinks import FanOut, HistorySink
from voiceguard.mqtt.client import MqttLink
from voiceguard.mqtt.home.household import area_of
from voiceguard.paths import history_file, state_dir
from voiceguard.pipeline.permission import Permission
from voiceguard.pipeline.stream import Stream
from voiceguard.pipeline.television import Television
from voiceguard.service.kit import open_store
from voiceguard.service.noting import policy_in_force
from voiceguard.service.roster import Roster
from voiceguard.service.streams import StreamSet
from voiceguard.unlock.answering.opening import open_desk
from voiceguard.unlock.answering.pending import Home
from voiceguard.wyoming.making import make_rooms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from voiceguard.audio.sources import SourceSpec
    from voiceguard.clock import Clock
    from voiceguard.decisions.result import Decision, DecisionSink
    from voiceguard.pipeline.judge import Judge
    from voiceguard.protocols import AudioSource
    from voiceguard.scoring.policy import Verdict
    from voiceguard.service.commands import Commands
    from voiceguard.service.kit import Kit
    from voiceguard.settings import Settings
    from voiceguard.types import SourceStatus
    from voiceguard.unlock.answering.desk import Desk
    from voiceguard.wyoming.rooms import Rooms

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Parts:
    """What a daemon consists of."""

    settings: Settings
    state: Path
    """The state directory."""
    clock: Clock
    specs: Sequence[SourceSpec]
    """The sources that the settings name, where ``sources`` is None."""
    sources: Sequence[AudioSource] | None
    commands: Commands
    television: Television
    permission: Permission
    history: HistorySink
    control: ControlServer
    watching: Watching
    inference: ThreadPoolExecutor
    io: ThreadPoolExecutor
    rooms: Rooms | None = None
    """Voice satellites' and proxies', where there are any."""
    kit: Kit = field(init=False)
    roster: Roster = field(init=False)
    link: MqttLink | None = None
    """To the broker, where one is set."""
    desk: Desk | None = None
    """Answers locks, where one may ask."""

    def take(self, kit: Kit) -> None:
        """Takes what was loaded, and with it who is to be recognised."""
        self.kit = kit
        self.roster = Roster(kit, open_store(self.settings), self.io)
        self.roster.use_policy(self.commands.choice.policy)
        if kit.calibration is None:  # every decision will be inconclusive: said once, before
            hint = "`voiceguard calibrate DIR` makes a calibration, after which start this again"
            log.warning("encoder_uncalibrated", encoder=kit.encoder.info.name, hint=hint)

    @property
    def speakers(self) -> dict[str, str]:
        """Who is known now: name, and what they are called for people."""
        return dict(self.roster.speakers)

    async def published(self, decision_id: str) -> None:
        """Returns when the broker has it, where there is one."""
        if self.link is not None:
            await self.link.published(decision_id)

    def judge_at(self, stream: str) -> Judge:
        """The judge for a stream at this moment, people's rules aside."""
        return self.television.judge(stream, self.roster.judge)

    def judged_for(self, action: str, decision: Decision) -> Decision:
        """A decision as it is for an action, by people's rules."""
        return self.permission.judged_for(action, decision, self.judge_at(decision.stream))

    def verdict_for(self, decision: Decision, action: str, p_fa: float) -> Verdict:
        """What a final decision would have been for a lock: at the lowest of all rates."""
        judge = self.permission.judge_for(action, decision, self.judge_at(decision.stream))
        return judge.decide_at(decision.judgement, p_fa)


def make_parts(
    settings: Settings,
    *,
    specs: Sequence[SourceSpec],
    sources: Sequence[AudioSource] | None,
    clock: Clock,
    commands: Commands,
    inference: ThreadPoolExecutor,
    io: ThreadPoolExecutor,
) -> Parts:
    """What there is before the encoder is loaded; arguments as they stand in ``Parts``."""
    state = state_dir(settings.state_dir)
    control = ControlServer(state, EVENTS)
    parts = Parts(
        settings=settings,
        state=state,
        clock=clock,
        specs=specs,
        sources=sources,
        commands=commands,
        television=Television(settings.television, clock),
        permission=Permission(settings.people, clock),
        history=HistorySink(History(history_file(state), settings.history), io),
        control=control,
        watching=Watching(control),
        inference=inference,
        io=io,
    )
    parts.rooms = make_rooms(
        settings.wyoming,
        clock=clock,
        published=parts.published,
        names=lambda: parts.speakers,
        judged_for=parts.judged_for,
    )
    return parts


def make_desk(parts: Parts, is_listening: Callable[[], bool]) -> Desk | None:
    """What answers locks; None where the settings name no action.

    Args:
        parts: The daemon's; the link may be added later.
        is_listening: Whether anybody could be accepted now.

    Raises:
        VoiceguardError: No lock could be answered.
    """
    settings, roster = parts.settings, parts.roster
    if not settings.unlock.actions:
        return None
    sources = parts.specs if parts.sources is None else parts.sources

    def send(topic: str, payload: bytes, lifetime_s: float) -> None:
        if parts.link is not None:
            parts.link.reply(topic, payload, lifetime_s)

    return open_desk(
        settings.unlock,
        settings.mqtt,
        state=parts.state,
        streams={*(each.name for each in sources), *settings.wyoming.names},
        pre_roll_s=settings.gate.pre_roll_s,
        channel=settings.audio.channel,
        executor=parts.io,
        clock=parts.clock,
        home=Home(
            is_listening=is_listening,
            enrolled=lambda: roster.judge.scorer.speakers,
            judge_for=parts.verdict_for,
            send=send,
        ),
        policy=policy_in_force(settings),
    )


def make_link(parts: Parts) -> MqttLink | None:
    """The way to the broker; None where MQTT is off."""
    if not parts.settings.mqtt.is_enabled:
        return None
    link = MqttLink(
        parts.settings.mqtt,
        on_command=parts.commands.take,
        on_request=parts.desk.take if parts.desk else None,
        on_p_fa=parts.commands.choose_p_fa,
        media=parts.television,
        clock=parts.clock,
    )
    link.set_speakers(parts.roster.speakers)
    return link


def make_streams(
    parts: Parts,
    sinks: Iterable[DecisionSink],
    *,
    on_status: Callable[[str, SourceStatus], None],
    on_change: Callable[[], None],
) -> StreamSet:
    """All streams, none open yet.

    Args:
        parts: The daemon's.
        sinks: Where decisions go besides the parts.
        on_status: Called with a stream's name when its source has changed.
        on_change: Called when a stream has ended or failed.
    """
    ours: list[DecisionSink | None] = [
        *(parts.history, parts.watching, parts.link, parts.rooms, parts.desk)
    ]
    make = partial(
        _make_stream, parts, sink=FanOut([*sinks, *filter(None, ours)]), on_status=on_status
    )
    return StreamSet(
        {name: partial(make, opener) for name, opener in _openers(parts).items()},
        clock=parts.clock,
        on_change=on_change,
    )


def announce(parts: Parts, streams: StreamSet) -> None:
    """What Home Assistant is told of besides speakers: a room per stream that has a name."""
    if parts.link is None:
        return
    unnamed = {spec.name for spec in parts.specs if not spec.is_named}
    parts.link.set_household(
        streams={name: "" if name in unnamed else area_of(name) for name in streams.names},
        p_fa_choices=parts.commands.choice.choices,
        can_restart=parts.commands.can_restart,
    )


def _make_stream(
    parts: Parts,
    open_one: Callable[[], AudioSource],
    *,
    sink: DecisionSink,
    on_status: Callable[[str, SourceStatus], None],
) -> Stream:
    source, rooms = open_one(), parts.rooms
    hearing = parts.desk.hearing if parts.desk else None

    def turn_decided(turn_id: str) -> None:
        if rooms is not None:
            rooms.turn_decided(source.name, turn_id)

    return Stream(
        source,
        ear=parts.kit.make_ear(parts.settings.audio.channel),
        encoder=parts.kit.encoder.open_stream(),
        overlap=parts.kit.overlap,
        judge=lambda: parts.permission.judge(source.name, parts.judge_at(source.name)),
        sink=sink,
        executor=parts.inference,
        clock=parts.clock,
        on_status=on_status,
        watcher=hearing.before(parts.watching) if hearing else parts.watching,
        on_turn_decided=turn_decided,
    )


def _openers(parts: Parts) -> dict[str, Callable[[], AudioSource]]:
    """What opens the source of each stream, by name."""
    audio = parts.settings.audio
    openers: dict[str, Callable[[], AudioSource]] = {
        spec.name: partial(open_source, spec, audio, parts.io, clock=parts.clock)
        for spec in parts.specs
    }
    openers |= {source.name: partial(_itself, source) for source in parts.sources or ()}
    return openers | (parts.rooms.openers() if parts.rooms else {})


def _itself(source: AudioSource) -> AudioSource:
    return source
