"""One connection, against brokers that misbehave (a scripted socket) and files that are wrong."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest

from tests.integration.mosquitto import until, write_certificates
from voiceguard.errors import BrokerError, ConfigError
from voiceguard.mqtt.config import BrokerAddress, MqttConfig
from voiceguard.mqtt.connection import connect
from voiceguard.mqtt.guards.credentials import Secrets, load_secrets
from voiceguard.mqtt.trial import check_broker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

V5, V311 = 5, 4
ACCEPTED_V311 = b"\x20\x02\x00\x00"
REFUSED_VERSION = b"\x20\x02\x00\x01"
REFUSED_PASSWORD_V5 = b"\x20\x03\x00\x86\x00"
HANG_UP = b""


class ScriptedBroker:
    """Answers each CONNECT by its protocol level as told; None is silence."""

    def __init__(self, answers: dict[int, bytes | None]) -> None:
        self.levels: list[int] = []
        self.num_open = 0
        self.port = 0
        self._answers = answers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.num_open += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            connect_packet = await reader.readuntil(b"MQTT")
            level = (await reader.readexactly(1))[0]
            assert connect_packet[0] == 0x10
            self.levels.append(level)
            answer = self._answers[level]
            if answer != HANG_UP:
                writer.write(answer or b"")
                while await reader.read(1024):
                    pass
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.num_open -= 1


@contextlib.asynccontextmanager
async def scripted(answers: dict[int, bytes | None]) -> AsyncIterator[ScriptedBroker]:
    """Runs it; at the end every connection must have been closed by the client."""
    broker = ScriptedBroker(answers)
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.port = server.sockets[0].getsockname()[1]
    async with server:
        yield broker
        await until(lambda: broker.num_open == 0)


def settings(port: int, **changes: Any) -> tuple[MqttConfig, BrokerAddress]:  # noqa: ANN401
    """An impatient client of a broker on loopback."""
    config = MqttConfig(broker=f"mqtt://127.0.0.1:{port}", timeout_s=0.4, node_id="den", **changes)
    assert config.address is not None
    return config, config.address


@pytest.mark.parametrize("answer", [None, HANG_UP, REFUSED_VERSION])
async def test_a_broker_without_mqtt_5_is_spoken_to_in_3_1_1(answer: bytes | None) -> None:
    """Whether it is silent, hangs up or says so; and the first connection is closed."""
    async with scripted({V5: answer, V311: ACCEPTED_V311}) as broker:
        config, address = settings(broker.port)
        async with connect(config, address, Secrets()) as connection:
            assert connection.protocol == "3.1.1"
            assert broker.levels == [V5, V311]
            await asyncio.sleep(0.05)
            assert broker.num_open == 1


async def test_a_known_protocol_is_the_only_one_tried() -> None:
    """A broker that has spoken 3.1.1 is not asked again; nor one that must speak 5."""
    async with scripted({V5: REFUSED_VERSION, V311: ACCEPTED_V311}) as broker:
        config, address = settings(broker.port)
        async with connect(config, address, Secrets(), "3.1.1"):
            pass
        config, address = settings(broker.port, protocol="5")
        with pytest.raises(aiomqtt.MqttError):
            async with connect(config, address, Secrets()):
                pass
        assert broker.levels == [V311, V5]


async def test_a_wrong_password_is_not_tried_twice() -> None:
    """It would be as wrong in MQTT 3.1.1."""
    async with scripted({V5: REFUSED_PASSWORD_V5, V311: ACCEPTED_V311}) as broker:
        with pytest.raises(BrokerError, match="refuses the user name or the password"):
            await check_broker(settings(broker.port)[0])
        assert broker.levels == [V5]


async def test_a_broker_that_never_answers_is_given_up() -> None:
    """Within bounds, and without a connection left open."""
    async with scripted({V5: None, V311: None}) as broker:
        started_s = time.monotonic()
        with pytest.raises(BrokerError, match="does not answer"):
            await check_broker(settings(broker.port)[0])
        assert time.monotonic() - started_s < 5.0


async def test_a_cancelled_attempt_leaves_no_connection_behind() -> None:
    """Such a connection could come alive later under our client id."""
    async with scripted({V5: None}) as broker:
        config, address = settings(broker.port)

        async def attempt() -> None:
            async with connect(config, address, Secrets()):
                raise AssertionError("nobody answered")

        task = asyncio.create_task(attempt())
        await until(lambda: bool(broker.levels))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_nobody_listens_there() -> None:
    """The commonest mistake has the clearest words."""
    async with scripted({}) as broker:
        port = broker.port
    with pytest.raises(BrokerError, match="nothing listens there") as refused:
        await check_broker(settings(port)[0])
    assert "is the broker running?" in refused.value.hint


def test_a_password_file_must_be_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0600, but for systemd's credentials, which show as 0440."""
    path = tmp_path / "password"
    path.write_text("s3cret\n")
    path.chmod(0o600)
    config, address = settings(1883, username="ann", password_file=path)
    assert load_secrets(config, address).password == "s3cret"
    path.chmod(0o440)
    with pytest.raises(ConfigError, match="open to other users") as refused:
        load_secrets(config, address)
    assert f"chmod 600 {path}" in refused.value.hint
    monkeypatch.setitem(os.environ, "CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load_secrets(config, address).password == "s3cret"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_an_unusable_password_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    """Missing, empty or not text."""
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    config, address = settings(1883, username="ann", password_file=path)
    with pytest.raises(ConfigError, match=r"password_file .*password"):
        load_secrets(config, address)


def test_tls_files(tmp_path: Path) -> None:
    """Good ones are loaded; a missing or wrong one is named."""
    write_certificates(tmp_path)
    (tmp_path / "junk.pem").write_text("no certificate")
    good: dict[str, Any] = {
        "ca_file": tmp_path / "ca.pem",
        "client_cert_file": tmp_path / "cert.pem",
        "client_key_file": tmp_path / "key.pem",
    }
    config = MqttConfig(broker="mqtts://localhost", **good)
    assert config.address is not None
    assert load_secrets(config, config.address).tls is not None
    for name, wrong in (("ca_file", "none.pem"), ("client_key_file", "junk.pem")):
        config = MqttConfig(broker="mqtts://localhost", **(good | {name: tmp_path / wrong}))
        assert config.address is not None
        with pytest.raises(ConfigError, match=wrong):
            load_secrets(config, config.address)
