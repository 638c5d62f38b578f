"""The broker inside this process."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from pathlib import Path

import aiomqtt
import pytest

from tests.integration.mosquitto import until
from voiceguard.errors import BrokerError, install_command
from voiceguard.mqtt.config import MqttConfig
from voiceguard.mqtt.embedded import embedded_broker
from voiceguard.mqtt.trial import check_broker

V311 = aiomqtt.ProtocolVersion.V311


async def test_it_starts_serves_and_stops_cleanly(caplog: pytest.LogCaptureFixture) -> None:
    """No task, no socket and no log line of amqtt's is left over."""
    caplog.set_level(logging.DEBUG)
    for _ in range(2):
        async with embedded_broker(0) as address:
            assert address.host == "127.0.0.1"
            async with aiomqtt.Client(address.host, address.port, protocol=V311) as client:
                await client.subscribe("a", qos=1)
                await client.publish("a", "x", qos=1)
                message = await anext(client.messages)
                assert message.payload == b"x"
        assert len(asyncio.all_tasks()) == 1
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(address.host, address.port)
    assert not [record for record in caplog.records if record.name.startswith("amqtt")]


async def test_a_connected_client_does_not_keep_it_from_stopping() -> None:
    """The daemon ends even if a consumer stays."""
    async with asyncio.timeout(10.0):
        async with embedded_broker(0) as address:
            client = aiomqtt.Client(address.host, address.port, protocol=V311)
            await client.__aenter__()
        with pytest.raises(aiomqtt.MqttError):
            await anext(client.messages)


async def test_a_taken_port_is_left_to_its_owner() -> None:
    """Another broker on the default port is the commonest case: ours goes elsewhere."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        async with embedded_broker(taken) as address:
            assert address.port != taken
            await check_broker(
                MqttConfig(broker=str(address), protocol="3.1.1", decisions_without_expiry=True)
            )


async def test_without_the_extra_the_hint_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Amqtt is an extra."""
    monkeypatch.setitem(sys.modules, "amqtt.broker", None)
    with pytest.raises(BrokerError, match="not installed") as missing:
        async with embedded_broker(0):
            pass
    assert missing.value.hint == f"run: {install_command('amqtt')}"


def num_descriptors() -> int:
    """What this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_connections_that_say_nothing_are_not_kept() -> None:
    """300 of them hold neither their descriptors nor the place of an honest client."""
    async with embedded_broker(0) as address:
        before = num_descriptors()
        silent = [await asyncio.open_connection(address.host, address.port) for _ in range(300)]
        for _, writer in silent[:100]:
            writer.write(b"\x10")  # half a header
        await until(lambda: sum(reader.at_eof() for reader, _ in silent) >= 300 - 64)
        assert num_descriptors() - before <= 300 + 64
        await until(lambda: all(reader.at_eof() for reader, _ in silent))
        await check_broker(
            MqttConfig(broker=str(address), protocol="3.1.1", decisions_without_expiry=True)
        )
        for _, writer in silent:
            writer.close()


async def test_what_is_no_mqtt_is_hung_up_on() -> None:
    """At once, whatever it is."""
    async with embedded_broker(0) as address:
        for said in (b"GET / HTTP/1.1\r\n\r\n" * 4, b"\x10\xff\xff\xff\x7f", b"\x10\xff" * 9):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(said)
            assert await asyncio.wait_for(reader.read(), 6.0) == b""
            writer.close()
