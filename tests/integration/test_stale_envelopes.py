"""Real mosquitto: whatever is kept, replayed or delivered elsewhere, no stale envelope opens."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.integration.mosquitto import Consumer, Mosquitto, consumer
from tests.unlock.vectors import ENVELOPE, KEY
from voiceguard.errors import EnvelopeError
from voiceguard.unlock.envelope import seal
from voiceguard.unlock.keys import public_text
from voiceguard.unlock.verifier import Verifier, elapsed_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TOPIC = "voiceguard/hall/unlock/envelope/front-door"


class Lock:
    """A lock that may be asked how late it is."""

    def __init__(self) -> None:
        self.late_ms = 0
        self.verifier = Verifier(
            public_text(KEY), "front-door", now_ms=lambda: elapsed_ms() + self.late_ms
        )

    def opens(self, message: aiomqtt.Message | bytes) -> bool:
        payload = message if isinstance(message, bytes) else message.payload
        assert isinstance(payload, bytes)
        try:
            self.verifier.check(payload)
        except EnvelopeError:
            return False
        return True


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    """One that keeps everything that a broker may keep."""
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o777)
    options = (
        *("queue_qos0_messages true", "autosave_interval 1"),
        *("max_queued_messages 0", f"persistence_location {kept}/"),
    )
    made = Mosquitto(tmp_path / "broker", options=options)
    made._config.write_text(
        made._config.read_text().replace("persistence false", "persistence true")
    )
    await made.start()
    yield made
    await made.stop()


@contextlib.asynccontextmanager
async def session(broker: Mosquitto, name: str) -> AsyncIterator[Consumer]:
    """A session that the broker keeps for an hour."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 3600
    async with aiomqtt.Client(
        "127.0.0.1",
        broker.port,
        identifier=name,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=False,
        properties=properties,
    ) as client:
        await client.subscribe(TOPIC, qos=1)
        listener = Consumer(client)
        collecting = asyncio.create_task(listener.collect())
        try:
            yield listener
        finally:
            collecting.cancel()
            await asyncio.wait({collecting})


def answer(nonce: str, sequence: int = 1, waited_ms: int = 0) -> bytes:
    return seal(replace(ENVELOPE, nonce=nonce, sequence=sequence, waited_ms=waited_ms), KEY)


async def publish(broker: Mosquitto, message: bytes, expiry_s: int | None) -> None:
    """With None as somebody who means harm: without an end, and retained."""
    properties = None
    if expiry_s is not None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.MessageExpiryInterval = expiry_s
    async with aiomqtt.Client(
        "127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5
    ) as client:
        await client.publish(TOPIC, message, qos=1, retain=expiry_s is None, properties=properties)


async def test_a_kept_session_delivers_late_and_opens_nothing(broker: Mosquitto) -> None:
    """The broker keeps it; the lock's request has ended, or its stopwatch says how old it is."""
    lock = Lock()
    async with session(broker, "lock"):
        pass
    message = answer(lock.verifier.begin())
    await publish(broker, message, None)
    await asyncio.sleep(1.2)
    await broker.stop()
    await broker.start()
    lock.late_ms = 5000  # it took so long to come back
    async with session(broker, "lock") as back:
        await back.until(lambda: bool(back.messages))
        assert not any(lock.opens(each) for each in back.messages)
    restarted = Lock()
    restarted.verifier.begin()
    assert not restarted.opens(message)


async def test_ours_are_gone_from_the_broker_when_they_expire(broker: Mosquitto) -> None:
    async with session(broker, "lock"):
        pass
    await publish(broker, answer("ab" * 32), 1)
    await asyncio.sleep(2.2)
    async with session(broker, "lock") as back:
        await asyncio.sleep(0.3)
        assert not back.messages


async def test_a_second_subscriber_and_one_that_takes_the_name_over_open_nothing(
    broker: Mosquitto,
) -> None:
    lock, other = Lock(), Lock()
    other.verifier.begin()
    async with session(broker, "lock") as mine, consumer(broker.port, TOPIC) as listener:
        await publish(broker, answer(lock.verifier.begin()), 5)
        await mine.until(lambda: bool(mine.messages))
        await listener.until(lambda: bool(listener.messages))
        assert not other.opens(listener.messages[0])
        async with session(broker, "lock") as thief:  # the broker throws ours out
            await publish(broker, answer(other.verifier.begin(), sequence=2), 5)
            await thief.until(lambda: len(thief.messages) >= 1)
            assert not any(lock.opens(each) for each in thief.messages)
        assert lock.opens(mine.messages[0])
        assert not lock.opens(mine.messages[0])
        # everything that was ever seen, again: to the same lock, with another request open
        lock.verifier.begin()
        for message in [*mine.messages, *listener.messages, *thief.messages]:
            assert not lock.opens(message)
