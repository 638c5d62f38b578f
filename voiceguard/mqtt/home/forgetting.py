"""What a broker keeps of us, and its removal; from another process than the daemon's.

Event loop of its own. ``forget_all`` takes away every retained topic that a daemon of this name
ever made, Home Assistant's devices with it; ``forget_speaker`` one speaker's, in the daemon's place
where none is running.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voiceguard.decisions.wire import to_json
from voiceguard.errors import BrokerError
from voiceguard.mqtt.connection import connect
from voiceguard.mqtt.guards.refusals import REFUSED, detail_of, hint_of
from voiceguard.mqtt.home.discovery import MAX_BYTES
from voiceguard.mqtt.home.scrubbing import discovery_without, shown_name, state_without
from voiceguard.mqtt.topics import ONLINE, UNAVAILABLE
from voiceguard.mqtt.trial import visiting
from voiceguard.validation.parsing import parse_json_object

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voiceguard.mqtt.config import MqttConfig
    from voiceguard.mqtt.connection import Connection
    from voiceguard.mqtt.topics import Topics

_QUIET_S = 0.5
"""So long after the last retained message there are no more."""
_LOOK_S = 10.0
_MAX_LOOKS = 64
"""Each sees as many topics as fit the connection's queue."""


async def forget_all(config: MqttConfig, *, is_forced: bool = False) -> tuple[str, ...]:
    """Removes every retained topic of the daemon that these settings name.

    Args:
        config: The [mqtt] table.
        is_forced: Although a daemon of that name says that it is connected.

    Returns:
        The topics that were there, in order.

    Raises:
        BrokerError: The broker can't be reached, refuses, or the daemon is running.
        ConfigError: A password or certificate file is unusable.
    """
    visitor, topics = _visitor(config), config.topics
    cleared: set[str] = set()
    async with (
        visiting(visitor) as (address, secrets),
        connect(visitor, address, secrets, has_will=False) as connection,
    ):
        for _ in range(_MAX_LOOKS):
            found = await _retained(connection, [topics.all, topics.discovery])
            if not is_forced and not cleared and _is_connected(found, topics):
                raise BrokerError(
                    f"a daemon called {topics.node} is connected and would say it all again",
                    hint="stop it first; --force, where it is gone and nobody noticed",
                )
            announced = map(topics.stream_discovery, _streams(found, topics))
            found |= await _retained(connection, announced)
            if not found:
                return tuple(sorted(cleared))
            for topic in _devices_first(found, topics):
                await _publish(connection, topic, "")
            cleared |= found.keys()
    raise BrokerError(
        f"{topics.base} fills again while it is emptied", hint="is a daemon of that name running?"
    )


async def forget_speaker(config: MqttConfig, speaker: str) -> int:
    """Takes a speaker out of what is retained, where no daemon runs that does so itself.

    Returns:
        How many topics were removed or changed; 0 where a daemon is connected.

    Raises:
        BrokerError: As ``forget_all``, as is ConfigError.
    """
    visitor, topics = _visitor(config), config.topics
    async with (
        visiting(visitor) as (address, secrets),
        connect(visitor, address, secrets, has_will=False) as connection,
    ):
        found = await _retained(connection, [topics.all, topics.discovery])
        if _is_connected(found, topics):
            return 0
        announced = map(topics.stream_discovery, _streams(found, topics))
        found |= await _retained(connection, announced)
        payloads = {topic: _json(payload) for topic, payload in found.items()}
        shown = shown_name(payloads.get(topics.discovery, {}), speaker)
        num_changed = 0
        for topic in _devices_first(payloads, topics):
            payload = payloads[topic]
            messages = [to_json(each) for each in _without(topics, topic, payload, speaker, shown)]
            if topic in {topics.occupancy(speaker), topics.heard(speaker)}:
                messages = [""]
            for message in messages:
                await _publish(connection, topic, message)
            num_changed += bool(messages)
        return num_changed
    raise AssertionError("an error of the block above is raised again")


def _devices_first(found: Iterable[str], topics: Topics) -> list[str]:
    """Home Assistant no longer looks at what is emptied then."""
    return sorted(found, key=lambda topic: (topic.startswith(f"{topics.base}/"), topic))


def _without(
    topics: Topics, topic: str, payload: dict[str, Any], speaker: str, shown: str | None
) -> Iterable[dict[str, Any]]:
    """What must be said on a topic so that it names the speaker no more."""
    if not topic.startswith(f"{topics.base}/"):
        return discovery_without(payload, speaker, shown)
    kept = state_without(payload, speaker)
    return () if kept == payload else (kept,)


def _visitor(config: MqttConfig) -> MqttConfig:
    """Not the daemon's client id: the broker would throw the daemon out."""
    return replace(config, client_id=f"voiceguard-forget-{os.getpid()}")


async def _retained(connection: Connection, filters: Iterable[str]) -> dict[str, bytes]:
    """What is retained there; no more than the connection's queue holds at a time."""
    found: dict[str, bytes] = {}
    wanted = list(filters)
    for topic in wanted:
        if (code := await connection.subscribe(topic)) >= REFUSED:
            raise BrokerError(
                f"the broker refuses to let us subscribe {topic}: {detail_of(code)}",
                hint=hint_of(code, "subscribe", topic),
            )
    messages = connection.messages
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LOOK_S if wanted else 0.0):
            while True:
                async with asyncio.timeout(_QUIET_S):
                    message = await anext(messages)
                if message.retain and message.payload:
                    assert isinstance(message.payload, bytes)
                    found[str(message.topic)] = message.payload
    for topic in wanted:
        await connection.unsubscribe(topic)
    return found


async def _publish(connection: Connection, topic: str, payload: str) -> None:
    if (code := await connection.publish_state(topic, payload)) >= REFUSED:
        raise BrokerError(
            f"the broker refuses to let us publish {topic}: {detail_of(code)}",
            hint=hint_of(code, "publish", topic),
        )


def _is_connected(found: dict[str, bytes], topics: Topics) -> bool:
    return found.get(topics.availability, b"").decode(errors="replace") in {ONLINE, UNAVAILABLE}


def _streams(found: dict[str, bytes], topics: Topics) -> list[str]:
    """Of which there is a topic; each has a discovery message of its own."""
    streams = (topics.last_part(topic, "stream") for topic in found)
    return [each for each in streams if each and not set(each) & set("/+#")]


def _json(payload: bytes) -> dict[str, Any]:
    """Empty where it is none, as most of ours are."""
    try:
        return parse_json_object(payload, max_bytes=MAX_BYTES)
    except ValueError:
        return {}
