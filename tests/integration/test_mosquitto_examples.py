"""config/mosquitto/: with TLS, users and access list, nobody reads or writes what is not theirs."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import aiomqtt
import pytest

from tests.integration.mosquitto import Consumer, Mosquitto, text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EXAMPLES = Path(__file__).resolve().parents[2] / "config" / "mosquitto"
USERS = {name: f"secret of {name}" for name in ("voiceguard", "homeassistant", "front-door", "tv")}
BASE = "voiceguard/hall"
SAID = {
    f"{BASE}/{topic}"
    for topic in (
        *("decision", "provisional", "status", "speaker", "occupancy/anna", "availability"),
        *("command", "unlock/request/front-door", "unlock/notice/front-door"),
        *("unlock/envelope/front-door", "unlock/request/garage", "unlock/envelope/garage"),
    )
} | {"homeassistant/status", "homeassistant/device/voiceguard_hall/config"}
"""Everything that is ever said."""
READS = {
    "voiceguard": SAID,
    "homeassistant": {topic for topic in SAID if "/unlock/" not in topic},
    "front-door": {f"{BASE}/unlock/{kind}/front-door" for kind in ("notice", "envelope")},
    "tv": set(),
}
WRITES = {
    "voiceguard": SAID - {"homeassistant/status"},
    "homeassistant": {topic for topic in SAID if "homeassistant" in topic} | {f"{BASE}/command"},
    "front-door": {f"{BASE}/unlock/request/front-door"},
    "tv": set(),
}


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    """The examples as they are; places and port apart."""
    made = Mosquitto(tmp_path / "broker", users=USERS, tls=True)
    text = (EXAMPLES / "mosquitto.conf").read_text()
    text = text.replace("listener 8883", f"listener {made.port} 127.0.0.1")
    text = text.replace("/etc/mosquitto", str(made.folder))
    head = [line for line in made._config.read_text().splitlines() if line.startswith("user ")]
    made._config.write_text("\n".join([*head, text]))
    acl = made.folder / "acl"
    # Whoever asks for the truth in this test: the tests' own eye, which the example does not have.
    acl.write_text((EXAMPLES / "acl").read_text() + "\nuser eye\ntopic readwrite #\n")
    acl.chmod(0o600)
    await made.start()
    yield made
    await made.stop()


def client(broker: Mosquitto, user: str | None) -> aiomqtt.Client:
    return aiomqtt.Client(
        "localhost",
        broker.port,
        username=user,
        password=None if user is None else USERS.get(user, ""),
        tls_context=ssl.create_default_context(cafile=str(broker.ca_file)),
        protocol=aiomqtt.ProtocolVersion.V5,
    )


async def test_everybody_reads_and_writes_what_is_theirs_and_nothing_else(
    broker: Mosquitto,
) -> None:
    async with AsyncExitStack() as stack:
        clients, heard, hearing = {}, {}, []
        for user in USERS:
            clients[user] = await stack.enter_async_context(client(broker, user))
            await clients[user].subscribe("#", qos=1)
            await clients[user].subscribe(f"{BASE}/#", qos=1)
            heard[user] = Consumer(clients[user])
            hearing.append(asyncio.create_task(heard[user].collect()))
        for writer, one in clients.items():
            for topic in SAID:
                with contextlib.suppress(aiomqtt.MqttError):
                    await one.publish(topic, f"by {writer}", qos=1)
        wanted = {
            reader: {
                (topic, f"by {writer}")
                for writer, topics in WRITES.items()
                for topic in topics & topics_read
            }
            for reader, topics_read in READS.items()
        }
        for reader, consumer in heard.items():
            await consumer.until(lambda: wanted[reader] <= seen_by(consumer))  # noqa: B023
        await asyncio.sleep(0.3)  # what should not come has time to
        for task in hearing:
            task.cancel()
        for reader, consumer in heard.items():
            assert seen_by(consumer) == wanted[reader], reader


def seen_by(consumer: Consumer) -> set[tuple[str, str]]:
    return {(str(each.topic), text(each)) for each in consumer.messages}


@pytest.mark.parametrize("user", [None, "nobody"])
async def test_without_a_password_nobody_gets_in(broker: Mosquitto, user: str | None) -> None:
    with pytest.raises(aiomqtt.MqttError):
        async with client(broker, user):
            pass


async def test_without_tls_nobody_gets_in(broker: Mosquitto) -> None:
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client(
            "localhost", broker.port, username="tv", password=USERS["tv"], timeout=2
        ):
            pass
