"""Hop 6 of 6: what a broker lets others say to us: commands, births, what we announced before.

Event loop. Anybody who may write to these topics may write anything, at any rate: one boundary per
message turns whatever is unexpected into a refusal by name, and a topic that floods is left for
some seconds. In: messages. Out: commands, and what is due in the backlog.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

import structlog

from voiceguard.mqtt.guards.flood import FloodGuard
from voiceguard.mqtt.home.discovery import MAX_FOREIGN_SPEAKERS, announced_speakers
from voiceguard.mqtt.topics import ONLINE, Command
from voiceguard.validation.parsing import parse_json_object

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import aiomqtt

    from voiceguard.mqtt.backlog import Backlog
    from voiceguard.mqtt.config import MqttConfig

log = structlog.get_logger()

_MAX_LOGGED_BYTES = 32
_MAX_STATUS_BYTES = 1 << 18
_CONTESTED = "use node_id"
_CONTESTED_HINT = (
    "is a second daemon running, or another machine of the same name? give each its own "
    "mqtt.node_id: they throw each other out of the broker"
)
_NAME = re.compile(r"[a-z0-9_-]{1,32}")
_BIRTHS_EVERY_S = 5.0
"""A home that is born again and again is told everything no more often than this."""


class Media(Protocol):
    """Hears what media players say of themselves. Never waits."""

    @property
    def topics(self) -> tuple[str, ...]:
        """Theirs."""
        ...

    def take(self, topic: str, payload: bytes) -> None:
        """One of them has said something."""
        ...


class Listener:
    """Takes in messages of one connection.

    Args:
        config: The [mqtt] table.
        backlog: Where a new announcement is made due.
        on_command: Called on the event loop; must not wait. Never with ``p_fa``.
        on_p_fa: Called with the rate that somebody wants.
        on_request: Likewise, with a lock's request; None: there are no locks.
        media: Told of what plays in the home.
        subscribe_later: Called with a topic that is wanted again; must not wait.
        leave: Called with a topic that floods; ends it at once.
    """

    def __init__(
        self,
        config: MqttConfig,
        backlog: Backlog,
        *,
        on_command: Callable[[Command], None],
        on_p_fa: Callable[[float], None],
        on_request: Callable[[str, bytes], None] | None = None,
        media: Media | None = None,
        subscribe_later: Callable[[str], None],
        leave: Callable[[str], None],
    ) -> None:
        self._names = config.topics
        self._backlog = backlog
        self._on_command = on_command
        self._on_p_fa = on_p_fa
        self._on_request = on_request
        self._media = media
        self._requests = self._names.unlock_request("")
        self._subscribe_later = subscribe_later
        self._leave_at_once = leave
        self._foreign: set[str] = set()
        self._foreign_streams: set[str] = set()
        self._born_at_s: float | None = None
        """Home Assistant's birth that is not answered yet."""
        self._answered_at_s = -_BIRTHS_EVERY_S
        # The retained discovery first: it may name speakers who were removed while we were away.
        wanted = [self._names.command]
        wanted += [self._names.discovery, self._names.birth] if config.discovery else []
        if on_request is not None:
            wanted.append(self._names.unlock_request("+"))
        wanted += media.topics if media is not None else ()
        self._guards = {topic: FloodGuard(last_s=backlog.now_s()) for topic in wanted}

    @property
    def topics(self) -> tuple[str, ...]:
        """What to subscribe to."""
        return tuple(self._guards)

    def admits(self, topic: str) -> bool:
        """Whether a message of that topic may come in; one too many ends the topic for a while."""
        if topic.startswith(self._requests):
            topic = self._names.unlock_request("+")
        guard = self._guards.get(topic)
        if guard is None or guard.allows(self._backlog.now_s()):
            return True
        self._leave(topic, guard)
        return False

    async def hear(self, messages: AsyncIterator[aiomqtt.Message]) -> None:
        """Until the connection breaks (MqttError)."""
        async for message in messages:
            topic = str(message.topic)
            try:
                self._take(topic, message)
            except Exception as error:  # noqa: BLE001  # the boundary: the others go on
                log.warning("message_refused", topic=topic, cause=type(error).__name__)
            self._backlog.wake.set()

    def _take(self, topic: str, message: aiomqtt.Message) -> None:
        payload = message.payload if isinstance(message.payload, bytes) else b""
        if topic == self._names.command:
            self._take_command(payload, is_retained=message.retain)
        elif topic.startswith(self._requests):
            action = topic.removeprefix(self._requests)
            self._take_request(action, payload, is_retained=message.retain)
        elif self._media is not None and topic in self._media.topics:
            self._media.take(topic, payload)  # a state, which may well be retained
        elif topic == self._names.birth:
            if payload == ONLINE.encode() and not message.retain:
                self._born_at_s = self._backlog.now_s()
        elif message.retain:
            self._take_retained(topic, payload)

    def _take_retained(self, topic: str, payload: bytes) -> None:
        """What stood there before we came: our own of an earlier life, or somebody else's."""
        if topic == self._names.discovery:
            self._backlog.announced |= self._bounded(announced_speakers(payload))
            self._backlog.is_discovery_due = self._backlog.has_speakers
        elif topic == self._names.status:
            self._take_status(payload)
        elif payload:
            self._take_remains(topic)

    def _take_command(self, payload: bytes, *, is_retained: bool) -> None:
        if is_retained:
            log.warning("command_ignored", cause="retained")
            return
        try:
            word, blank, figure = payload.decode().partition(" ")
            command = Command(word)
            p_fa = _rate(figure) if command is Command.P_FA else None
            if p_fa is None and blank:
                raise ValueError  # noqa: TRY301 - refused as any other
        except ValueError:
            shown = payload[:_MAX_LOGGED_BYTES].decode(errors="replace")
            log.warning("command_ignored", cause="unknown", payload=shown)
            return
        if p_fa is None:
            self._on_command(command)
        else:
            self._on_p_fa(p_fa)

    def _take_request(self, action: str, payload: bytes, *, is_retained: bool) -> None:
        if is_retained:
            log.warning("unlock_request_ignored", action=action[:32], cause="retained")
        elif self._on_request is not None:
            self._on_request(action, payload)

    def _take_status(self, payload: bytes) -> None:
        """Where we have told ours before, nobody else's may stand: that one has our name."""
        told = parse_json_object(payload, max_bytes=_MAX_STATUS_BYTES).get("mqtt")
        mqtt = told if isinstance(told, dict) else {}
        instance = mqtt.get("instance")
        standing = self._backlog.refusals.standing
        if (
            self._backlog.has_told_status
            and isinstance(instance, str)
            and instance != self._backlog.instance
            and _CONTESTED not in standing
        ):
            host = _printable(mqtt.get("host"))
            standing[_CONTESTED] = f"another daemon uses the same mqtt.node_id: one on {host}"
            log.warning("node_id_contested", base=self._names.base, host=host, hint=_CONTESTED_HINT)

    def _take_remains(self, topic: str) -> None:
        """Of whom or what is there no more: nobody will end that but us."""
        states = self._backlog.states
        if (stream := self._names.last_part(topic, "stream")) is not None:
            is_foreign = _NAME.fullmatch(stream) and stream not in states.streams
            if is_foreign and len(self._foreign_streams) < MAX_FOREIGN_SPEAKERS:
                self._foreign_streams.add(stream)
                states.forget_stream(stream)
            return
        for kind in ("occupancy", "heard"):
            speaker = self._names.last_part(topic, kind)
            if speaker is not None and speaker not in states.speakers:
                for name in self._bounded({speaker}):
                    states.forget(name)

    def _bounded(self, speakers: set[str]) -> set[str]:
        """No more strangers per connection than a home has people."""
        known = speakers & self._backlog.states.speakers.keys()
        room = MAX_FOREIGN_SPEAKERS - len(self._foreign)
        strangers = sorted(speakers - known - self._foreign)
        if len(strangers) > room:
            log.warning("message_refused", topic=self._names.discovery, cause="too_many_speakers")
        self._foreign |= set(strangers[:room])
        return known | (speakers & self._foreign)

    def _leave(self, topic: str, guard: FloodGuard) -> None:
        """The first message too many: what is under way already is passed over."""
        if guard.is_told:
            return
        guard.is_told = True
        pause_s = guard.pause_s
        log.warning("topic_flooded", topic=topic, pause_s=pause_s)
        self._backlog.refusals.standing[f"hear {topic}"] = f"flooded; left for {pause_s:.0f} s"
        self._leave_at_once(topic)

    # --- time ---------------------------------------------------------------------------------

    def look(self, now_s: float) -> None:
        """Answers a birth that had to wait, and goes back to topics that were left."""
        if self._born_at_s is not None and now_s >= self._answered_at_s + _BIRTHS_EVERY_S:
            self._born_at_s, self._answered_at_s = None, now_s
            log.info("home_assistant_started")
            self._backlog.is_discovery_due = self._backlog.has_speakers
            self._backlog.states.send_all_again()
        for topic, guard in self._guards.items():
            if guard.resumes_at_s is not None and now_s >= guard.resumes_at_s:
                guard.resume(now_s)
                self._backlog.refusals.standing.pop(f"hear {topic}", None)
                self._subscribe_later(topic)

    def next_look_s(self) -> float | None:
        """When ``look`` will next have something to do."""
        moments = [guard.resumes_at_s for guard in self._guards.values()]
        if self._born_at_s is not None:
            moments.append(self._answered_at_s + _BIRTHS_EVERY_S)
        return min((moment for moment in moments if moment is not None), default=None)


def _rate(figure: str) -> float:
    """Of "0.001", or as Home Assistant shows it, "0.1 %".

    Raises:
        ValueError: It is no number.
    """
    number = figure.removesuffix("%")
    return float(number) / (100 if number != figure else 1)


def _printable(host: object) -> str:
    """What somebody else calls the machine."""
    return host[:64] if isinstance(host, str) and host.isprintable() and host else "some machine"
