"""What comes back from the speech-to-text, on its way to the client.

Event loop. In: the upstream's events. Out: the same, untouched, but for three: ``info`` names the
room, ``transcript`` waits until the turn's decision is out, and is tagged or emptied as the policy
says. A gate holds back everything that may tell words until it knows who spoke, and never lets it
through without knowing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog
from wyoming.asr import TranscriptStart

from voiceguard.wyoming.events import WyomingError, encoded
from voiceguard.wyoming.turns import emptied, is_allowed, tagged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wyoming.event import Event

    from voiceguard.wyoming.events import Received
    from voiceguard.wyoming.room import Proxy
    from voiceguard.wyoming.turns import Turn, Verdict

log = structlog.get_logger(__name__)

VERDICT_TIMEOUT_S = 0.25
"""From the transcript's arrival; by then nearly all turns were decided and published long ago."""
MAX_HELD_BYTES = 1 << 20
_STREAMING = {"transcript-start", "transcript-chunk", "transcript-stop"}
_WORDLESS = {"info", "pong", "error"}


class Answers:
    """The answers of one connection.

    Args:
        room: Whose turns these are.
    """

    def __init__(self, room: Proxy) -> None:
        self.turn: Turn | None = None
        """The latest; None: there is none, or it is not judged."""
        self._room = room
        self._is_gate = room.config.policy == "gate"
        self._held: list[bytes] = []
        self._has_passed: bool | None = None
        """What the gate has said of this turn's words; None: nothing yet."""
        self._has_started = False
        """Streaming, towards the client."""

    def begin(self, turn: Turn | None) -> None:
        """A new turn."""
        self.turn = turn
        self._held, self._has_passed, self._has_started = [], None, False

    async def pass_on(self, received: Received) -> list[bytes]:
        """What goes to the client for an event of the upstream, in order.

        Raises:
            WyomingError: More words than a gate can hold back.
        """
        event = received.event
        if event.type == "transcript":
            return await self._transcript(received)
        if event.type == "info":
            return [encoded(_named(event, self._room.name))]
        if not self._is_gate or event.type in _WORDLESS:
            return [received.raw]
        if event.type not in _STREAMING:
            log.info("event_held_back", stream=self._room.name, type=event.type)
            return []
        return self._gated(received)

    def _gated(self, received: Received) -> list[bytes]:
        if self._has_passed:
            return [received.raw]
        if self._has_passed is False:
            is_due = received.event.type == "transcript-stop" and self._has_started
            return [received.raw] if is_due else []
        self._held.append(received.raw)
        self._has_started |= received.event.type == "transcript-start"
        if sum(map(len, self._held)) > MAX_HELD_BYTES:
            raise WyomingError("too-much", "the transcript is longer than a gate can hold back")
        return []

    async def _transcript(self, received: Received) -> list[bytes]:
        count, config = self._room.count, self._room.config
        count.transcripts += 1
        verdict = await self._verdict()
        if self._is_gate:
            return self._let_through(received, verdict)
        if config.policy == "tag" and verdict is not None:
            count.transcripts_tagged += 1
            names = self._room.around.names()
            return [encoded(tagged(received.event, verdict, config.prefix, names))]
        return [received.raw]

    def _let_through(self, received: Received, verdict: Verdict | None) -> list[bytes]:
        self._has_passed = is_allowed(verdict, self._room.config)
        held, self._held = self._held, []
        if self._has_passed:
            return [*held, received.raw]
        self._room.count.transcripts_gated += 1
        log.info(
            "transcript_gated",
            stream=self._room.name,
            turn_id=None if verdict is None else verdict.turn_id,
            outcome="undecided" if verdict is None else verdict.outcome,
        )
        start = [encoded(TranscriptStart().event())] if self._has_started else []
        return [*start, encoded(emptied(received.event))]

    async def _verdict(self) -> Verdict | None:
        """Who speaks in the turn, once that is decided and published; None: not in time."""
        turn = self.turn
        if turn is None:
            return None
        self._room.end_turn(turn)  # who answers has heard enough
        try:
            async with asyncio.timeout(VERDICT_TIMEOUT_S):
                await turn.is_decided.wait()
                for decision in turn.decisions:
                    await self._room.around.published(decision.decision_id)
        except TimeoutError:
            self._room.count.transcripts_late += 1
            log.warning("decision_late", stream=self._room.name, turn_id=turn.turn_id)
            return None
        return turn.verdict()


def _named(info: Event, room: str) -> Event:
    """The upstream's description, its speech-to-text named after the room as well."""
    programs = info.data.get("asr")
    if isinstance(programs, list):
        info.data["asr"] = [dict(_in_room(each, room)) for each in programs]
    return info


def _in_room(program: Any, room: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    values: Mapping[str, Any] = program if isinstance(program, dict) else {}
    for name, value in values.items():
        is_name = name == "name" and isinstance(value, str)
        yield name, f"{value} ({room})" if is_name else value
