"""A connection without a broker: answers as told, remembers what it was given."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import aiomqtt

from tests.integration.mosquitto import until
from voiceguard.mqtt.conversation import Conversation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from voiceguard.mqtt.backlog import Backlog
    from voiceguard.mqtt.config import MqttConfig
    from voiceguard.mqtt.connection import Connection
    from voiceguard.mqtt.topics import Command


@dataclass
class FakeConnection:
    """As ``mqtt.connection.Connection``; every answer is 0 unless ``codes`` says otherwise."""

    protocol: str = "5"
    codes: dict[str, int] = field(default_factory=dict)
    """Topic to reason code."""
    done: list[tuple[str, str]] = field(default_factory=list)
    """What was asked, in order: ``subscribe`` and so on, and the topic."""
    events: list[tuple[dict[str, Any], float]] = field(default_factory=list)
    """Decisions as they were sent, each with its expiry."""
    states: list[tuple[str, str, float | None]] = field(default_factory=list)
    incoming: asyncio.Queue[aiomqtt.Message] = field(default_factory=asyncio.Queue)

    admits: Callable[[str], bool] = lambda _topic: True

    def admit_by(self, admits: Callable[[str], bool]) -> None:
        self.admits = admits

    @property
    def messages(self) -> AsyncIterator[aiomqtt.Message]:
        return self._messages()

    async def _messages(self) -> AsyncIterator[aiomqtt.Message]:
        while True:
            yield await self.incoming.get()

    def says(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Somebody else publishes."""
        if not self.admits(topic):
            return
        self.incoming.put_nowait(aiomqtt.Message(topic, payload, 1, retain, 1, None))

    async def subscribe(self, topic: str, *, qos: int = 1) -> int:
        return await self._answer("subscribe", topic, qos)

    async def unsubscribe(self, topic: str) -> None:
        await self._answer("unsubscribe", topic, 0)

    def leave(self, topic: str) -> None:
        self.done.append(("leave", topic))

    async def publish_state(
        self, topic: str, payload: str, *, lifetime_s: float | None = None
    ) -> int:
        self.states.append((topic, payload, lifetime_s))
        return await self._answer("state", topic, 0)

    async def publish_event(self, topic: str, payload: str, *, expires_in_s: float) -> int:
        self.events.append((json.loads(payload), expires_in_s))
        return await self._answer("event", topic, 0)

    async def _answer(self, verb: str, topic: str, default: int) -> int:
        self.done.append((verb, topic))
        await asyncio.sleep(0)
        return self.codes.get(topic, default)

    def sent_to(self, topic: str) -> list[str]:
        """Payloads of a state topic."""
        return [payload for name, payload, _ in self.states if name == topic]


@contextlib.asynccontextmanager
async def conversing(
    connection: FakeConnection,
    config: MqttConfig,
    backlog: Backlog,
    on_command: Callable[[Command], None] = lambda _: None,
    on_p_fa: Callable[[float], None] = lambda _: None,
) -> AsyncIterator[Conversation]:
    """A conversation that is held as long as the block."""
    conversation = Conversation(
        cast("Connection", connection),
        config,
        backlog,
        on_command=on_command,
        on_p_fa=on_p_fa,
    )
    task = asyncio.create_task(conversation.hold(), name="test conversation")
    try:
        yield conversation
        assert not task.done(), "it ended by itself"
    finally:
        task.cancel()
        await asyncio.wait({task})


async def online(connection: FakeConnection, topic: str) -> None:
    """Until everything was said."""
    await until(lambda: "online" in connection.sent_to(topic))


def places(done: list[tuple[str, str]], *topics: str) -> Iterator[int]:
    """Where each topic was first dealt with."""
    for topic in topics:
        yield next(index for index, (_, name) in enumerate(done) if name == topic)
