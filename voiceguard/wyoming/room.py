"""What is known of one room: the turn that is judged, what was decided, what was counted.

Event loop; nothing here waits. One turn at a time is judged, since one stream is one microphone; a
second one beside it passes unjudged and counts as such. ``Room`` is what a port and a satellite
have in common, ``Proxy`` the room of a port.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from voiceguard.types import SourceState, SourceStatus
from voiceguard.wyoming.config import GATE_ACTION
from voiceguard.wyoming.source import TurnSource
from voiceguard.wyoming.turns import Turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from voiceguard.clock import Clock
    from voiceguard.decisions.result import Decision
    from voiceguard.types import Samples
    from voiceguard.wyoming.config import ProxyConfig

log = structlog.get_logger(__name__)

SILENT_S = 2.0
"""A turn whose client sends nothing for so long gives way to a new one."""
MAX_KEPT_TURNS = 8
"""Whose decisions are still asked for."""
MAX_DECISIONS = 200
"""Of a turn; one that goes on for longer is no assistant's, and nobody is told who speaks in it."""


@dataclass(slots=True, kw_only=True)
class TurnCounters:
    """Since the start."""

    turns: int = 0
    turns_unjudged: int = 0
    """Beside another turn, while disarmed, or before the last one of its client was answered."""


@dataclass(slots=True, kw_only=True)
class ProxyCounters(TurnCounters):
    """Of a port."""

    transcripts: int = 0
    transcripts_tagged: int = 0
    transcripts_gated: int = 0
    """Emptied, for whatever reason."""
    transcripts_late: int = 0
    """Not decided and published in time: untagged, or emptied by a gate."""
    upstream_failures: int = 0
    clients_refused: int = 0
    events_refused: int = 0
    """Malformed, or audio that is none; each ends its client's connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a room asks of the daemon."""

    clock: Clock
    published: Callable[[str], Awaitable[None]]
    """Returns when the broker has taken that decision; at once where there is no broker."""
    names: Callable[[], Mapping[str, str]]
    """What people call the speakers."""
    judged_for: Callable[[str, Decision], Decision]
    """A decision as it is for an action, by people's rules."""
    own_ports: set[tuple[str, int]]
    """From which this process has connected to upstreams: nobody's client is itself."""


class Room:
    """One stream of turns.

    Args:
        name: The stream's.
        around: What it asks of the daemon.
    """

    count: TurnCounters

    def __init__(self, name: str, around: Surroundings) -> None:
        self.name = name
        self.around = around
        self.listeners: list[TurnListener] = []
        """Told of the turns' audio, besides the stream."""
        self._status = SourceStatus(state=SourceState.STARTING)
        self._source: TurnSource | None = None
        self._speaking: Turn | None = None
        self._heard_at_s = 0.0

    def open_source(self) -> TurnSource:
        """The stream's source; takes the place of one that was closed."""
        self._source = TurnSource(self.name, self.around.clock, self._status)
        self._speaking = None
        return self._source

    @property
    def is_open(self) -> bool:
        """Whether the stream is: it is not while disarmed."""
        return self._source is not None and not self._source.is_closed

    @property
    def is_free(self) -> bool:
        """Whether a turn that begins now is judged: there is none, or it has fallen silent."""
        silent_s = self.around.clock.monotonic_s() - self._heard_at_s
        return self.is_open and (self._speaking is None or silent_s > SILENT_S)

    @property
    def turn_id(self) -> str | None:
        """Of the turn whose audio goes to the stream now; None: there is none."""
        return None if self._speaking is None else self._speaking.turn_id

    def is_judging(self, turn: Turn | None) -> bool:
        """Whether that turn is the one whose audio goes to the stream."""
        return self.is_open and turn is not None and turn is self._speaking

    def note(self, state: SourceState, detail: str = "") -> None:
        """How its port is."""
        status = SourceStatus(state=state, detail=detail)
        if status != self._status:
            self._status = status
            if self._source is not None:
                self._source.note(status)

    def statistics(self) -> dict[str, Any]:
        """For the status."""
        return asdict(self.count)

    # --- the turn that is judged ---------------------------------------------------------------

    def begin_turn(self, rate_hz: int, *, is_mixed_up: bool = False) -> Turn | None:
        """A client's turn begins; None: nobody judges it.

        Args:
            rate_hz: Of its audio.
            is_mixed_up: Nobody could tell which words are this turn's.
        """
        self.count.turns += 1
        if is_mixed_up or not self.is_free or self._source is None:
            self.count.turns_unjudged += 1
            log.info(
                "turn_unjudged",
                stream=self.name,
                is_beside_another=bool(self._speaking),
                is_mixed_up=is_mixed_up,
            )
            return None
        if self._speaking is not None:
            self.end_turn(self._speaking)
        turn = Turn(str(uuid.uuid4()))
        self._speaking, self._heard_at_s = turn, self.around.clock.monotonic_s()
        self._source.begin(turn.turn_id, rate_hz)
        return turn

    def hear(self, turn: Turn, samples: Samples, rate_hz: int) -> None:
        """The next ``(num_samples, channels)`` of a turn.

        One that has given way is not heard, nor is anybody while disarmed.
        """
        if self.is_judging(turn) and self._source is not None:
            self._heard_at_s = self.around.clock.monotonic_s()
            self._source.push(samples)
            for listener in self.listeners:
                listener.hear(turn.turn_id, samples, rate_hz)

    def end_turn(self, turn: Turn) -> None:
        """Its audio is over. Safe to call twice."""
        if turn is self._speaking and self._source is not None:
            self._speaking = None
            self._source.end()
            for listener in self.listeners:
                listener.end(turn.turn_id)

    # --- from the pipeline ---------------------------------------------------------------------

    def publish(self, decision: Decision) -> None:
        """Takes every decision of the stream."""

    def turn_decided(self, turn_id: str) -> None:
        """All that was heard of a turn is decided."""


class Proxy(Room):
    """The room of a port.

    Args:
        config: Its table.
        around: What it asks of the daemon.
    """

    def __init__(self, config: ProxyConfig, around: Surroundings) -> None:
        super().__init__(config.name, around)
        self.config = config
        self.count: ProxyCounters = ProxyCounters()
        self.num_clients = 0
        self.upstream_fault = ""
        """Why the speech-to-text could not be used the last time; empty: it could."""
        self._turns: dict[str, Turn] = {}

    def statistics(self) -> dict[str, Any]:
        """For the status."""
        return {
            "policy": self.config.policy,
            "fails": "closed" if self.config.policy == "gate" else "open",
            "upstream": self.upstream_fault or ("well" if self.config.upstream else "none"),
            "num_clients": self.num_clients,
            **super().statistics(),
        }

    def begin_turn(self, rate_hz: int, *, is_mixed_up: bool = False) -> Turn | None:
        """A client's turn begins; None: nobody judges it."""
        turn = super().begin_turn(rate_hz, is_mixed_up=is_mixed_up)
        if turn is not None and self.config.upstream:  # else nobody asks who spoke in it
            self._turns[turn.turn_id] = turn
            while len(self._turns) > MAX_KEPT_TURNS:
                del self._turns[next(iter(self._turns))]
        return turn

    def publish(self, decision: Decision) -> None:
        """Keeps the final decisions of turns of ours."""
        turn = self._turns.get(decision.turn_id or "")
        if turn is not None and decision.is_final:
            if self.config.policy == "gate":
                decision = self.around.judged_for(GATE_ACTION, decision)
            turn.decisions.append(decision)
            if len(turn.decisions) >= MAX_DECISIONS:
                del self._turns[turn.turn_id]

    def turn_decided(self, turn_id: str) -> None:
        """All that was heard of a turn is decided."""
        if (turn := self._turns.get(turn_id)) is not None:
            turn.is_decided.set()


class TurnListener(Protocol):
    """Hears the turns of a room as they come (an enrollment). Never waits."""

    def hear(self, turn_id: str, samples: Samples, rate_hz: int) -> None:
        """Samples ``(num_samples, channels)`` of that turn."""
        ...

    def end(self, turn_id: str) -> None:
        """It is over."""
        ...
