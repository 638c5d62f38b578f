"""All rooms that are heard over the network, as the daemon has them. Event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voiceguard.errors import UsageError
from voiceguard.wyoming.announcing import announce
from voiceguard.wyoming.port import serve_port
from voiceguard.wyoming.recording import TurnRecorder
from voiceguard.wyoming.room import Proxy, Room, Surroundings
from voiceguard.wyoming.satellite import Satellite, listen_to

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping

    from voiceguard.clock import Clock
    from voiceguard.decisions.result import Decision
    from voiceguard.protocols import AudioSource
    from voiceguard.wyoming.config import WyomingConfig


class Rooms:
    """The rooms of the [wyoming] table.

    Args:
        config: The table.
        clock: Time.
        published: Returns when the broker has taken the decision of that id.
        names: What people call the speakers.
        judged_for: A decision as it is for an action.
    """

    def __init__(
        self,
        config: WyomingConfig,
        *,
        clock: Clock,
        published: Callable[[str], Awaitable[None]],
        names: Callable[[], Mapping[str, str]],
        judged_for: Callable[[str, Decision], Decision],
    ) -> None:
        self._config = config
        around = Surroundings(
            clock=clock, published=published, names=names, judged_for=judged_for, own_ports=set()
        )
        self._proxies = [Proxy(each, around) for each in config.proxy]
        self._satellites = [Satellite(each, around) for each in config.satellite]
        rooms: list[Room] = [*self._proxies, *self._satellites]
        self._rooms = {each.name: each for each in rooms}

    def openers(self) -> dict[str, Callable[[], AudioSource]]:
        """What opens each stream, by its name."""
        return {name: room.open_source for name, room in self._rooms.items()}

    def start(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Makes their long-lived tasks."""
        work = {each.name: serve_port(each) for each in self._proxies}
        work |= {each.name: listen_to(each) for each in self._satellites}
        made = [tasks.create_task(each, name=f"wyoming:{name}") for name, each in work.items()]
        if not (self._config.announce and self._proxies):
            return made
        telling = announce(self._config.proxy)
        return [*made, tasks.create_task(telling, name="wyoming announce")]

    def publish(self, decision: Decision) -> None:
        """Takes every decision."""
        if (room := self._rooms.get(decision.stream)) is not None:
            room.publish(decision)

    def turn_decided(self, stream: str, turn_id: str) -> None:
        """All that was heard of a turn is decided."""
        if (room := self._rooms.get(stream)) is not None:
            room.turn_decided(turn_id)

    def record(self, stream: str, send: Callable[[Mapping[str, Any]], None]) -> Callable[[], None]:
        """Has whoever asks given each whole turn of a room; returns what ends it.

        Raises:
            UsageError: There is no such room.
        """
        room = self._rooms.get(stream)
        if room is None:
            known = ", ".join(sorted(self._rooms))
            raise UsageError(
                f"there is no proxy or satellite {stream[:32]!r}", hint=f"there are: {known}"
            )
        recorder = TurnRecorder(stream, send, room.turn_id)
        room.listeners.append(recorder)
        return lambda: room.listeners.remove(recorder)

    def statistics(self) -> dict[str, Any]:
        """Of each, for the status."""
        return {name: room.statistics() for name, room in self._rooms.items()}
