"""The MQTT link against a real mosquitto (and amqtt, for a broker without MQTT 5)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from structlog.testing import capture_logs

from tests.integration.mosquitto import Consumer, consumer, mosquitto, until
from tests.mqtt.decisions import fresh_decision
from voiceguard.clock import SystemClock
from voiceguard.errors import BrokerError
from voiceguard.mqtt.client import MqttLink
from voiceguard.mqtt.config import MqttConfig
from voiceguard.mqtt.embedded import embedded_broker
from voiceguard.mqtt.topics import Command
from voiceguard.mqtt.trial import check_broker
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

BASE = "voiceguard/den"
DISCOVERY = "homeassistant/device/voiceguard_den/config"
LISTENING = {"state": "listening", "reason": ""}


def make_config(broker: str, **changes: Any) -> MqttConfig:  # noqa: ANN401
    """A node called ``den``, impatient, and sure of its broker."""
    common = {
        "node_id": "den",
        "timeout_s": 1.0,
        "keepalive_s": 2,
        "decisions_without_expiry": True,
    }
    return MqttConfig(**{"broker": broker, **common, **changes})


@contextlib.asynccontextmanager
async def running(
    config: MqttConfig,
    on_command: Callable[[Command], None] = lambda _: None,
    *,
    is_connected: bool = True,
) -> AsyncIterator[MqttLink]:
    """A link as the daemon drives it: listening, with Alice and Bob enrolled."""
    link = MqttLink(config, on_command=on_command, clock=SystemClock())
    link.set_speakers([("alice", "Alice"), ("bob", "Bob")])
    link.set_available(True)
    link.set_status(LISTENING)
    task = asyncio.create_task(link.run(), name="test link")
    try:
        if is_connected:
            await until(lambda: link.statistics().is_connected or task.done())
        yield link
    finally:
        await link.close()
        await task


def decision_ids(listener: Consumer, topic: str = f"{BASE}/decision") -> list[str]:
    """Which decisions arrived."""
    return [json.loads(payload)["decision_id"] for payload in listener.payloads(topic)]


async def test_an_accept_arrives_once_expiring_and_unretained(tmp_path: Path) -> None:
    """MQTT 5: QoS 1 with an expiry interval; the speaker's states follow, and stay retained."""
    async with mosquitto(tmp_path / "broker") as broker, consumer(broker.port) as listener:
        async with running(make_config(broker.url)) as link:
            link.publish(fresh_decision("first", is_final=False))
            link.publish(fresh_decision("second", expires_in_s=4.9))
            assert await link.drain(20.0)
            await listener.until(lambda: listener.last(f"{BASE}/occupancy/alice") == "ON")
            assert link.statistics().protocol == "5"
            assert link.statistics().decisions_delivered == 2
        [decision] = [m for m in listener.messages if str(m.topic) == f"{BASE}/decision"]
        assert (decision.qos, decision.retain) == (1, False)
        assert decision.properties is not None
        assert vars(decision.properties)["MessageExpiryInterval"] == 4
        assert decision_ids(listener, f"{BASE}/provisional") == ["first"]
        assert any(
            json.loads(payload)["speaker"] == "alice"
            for payload in listener.payloads(f"{BASE}/speaker")
        )
        async with consumer(broker.port) as newcomer:
            await newcomer.until(lambda: newcomer.last(f"{BASE}/speaker") is not None)
            assert decision_ids(newcomer) == []
            assert newcomer.last(f"{BASE}/occupancy/alice") == "OFF"  # the link has ended


async def test_a_rejection_ends_the_occupancy_at_once(tmp_path: Path) -> None:
    """No identity is left standing: not after a final no, nor when the microphone is lost."""
    async with (
        mosquitto(tmp_path / "broker") as broker,
        consumer(broker.port) as listener,
        running(make_config(broker.url)) as link,
    ):
        link.publish(fresh_decision("yes", is_final=False))
        await listener.until(lambda: listener.last(f"{BASE}/occupancy/alice") == "ON")
        link.publish(fresh_decision("no", outcome=Outcome.UNKNOWN))
        await listener.until(lambda: listener.last(f"{BASE}/occupancy/alice") == "OFF")
        link.publish(fresh_decision("bob", speaker="bob", segment=1))
        await listener.until(lambda: listener.last(f"{BASE}/occupancy/bob") == "ON")
        link.set_available(False, "microphone unplugged")
        await listener.until(lambda: listener.last(f"{BASE}/occupancy/bob") == "OFF")
        assert listener.last(f"{BASE}/availability") == "unavailable"
        status = json.loads(listener.last(f"{BASE}/status") or "")
        assert (status["state"], status["reason"]) == ("unavailable", "microphone unplugged")


async def test_the_occupancy_hold_ends_by_itself(tmp_path: Path) -> None:
    """Without any further event OFF is published when the hold is over."""
    async with mosquitto(tmp_path / "broker") as broker, consumer(broker.port) as listener:
        config = make_config(broker.url, occupancy_hold_s=1.0)
        async with running(config) as link:
            link.publish(fresh_decision())
            await listener.until(lambda: listener.last(f"{BASE}/occupancy/alice") == "ON")
            await listener.until(lambda: listener.last(f"{BASE}/occupancy/alice") == "OFF")
            await listener.until(
                lambda: json.loads(listener.last(f"{BASE}/speaker") or "")["speaker"] is None
            )
            speaker = json.loads(listener.last(f"{BASE}/speaker") or "")
            assert speaker["last_accepted"] == "alice"


async def test_mqtt_3_1_1_publishes_decisions_at_qos_0(tmp_path: Path) -> None:
    """Without expiry in the protocol a broker must not be able to keep a decision."""
    async with mosquitto(tmp_path / "broker") as broker, consumer(broker.port) as listener:
        async with running(make_config(broker.url, protocol="3.1.1")) as link:
            link.publish(fresh_decision())
            await listener.until(lambda: decision_ids(listener) == ["d1"])
            assert await link.drain(20.0)
        [decision] = [m for m in listener.messages if str(m.topic) == f"{BASE}/decision"]
        assert decision.qos == 0


async def test_a_broker_that_ignores_mqtt_5_gets_3_1_1(tmp_path: Path) -> None:
    """Amqtt never answers a v5 CONNECT; the next connection does not try it again."""
    del tmp_path
    async with (
        embedded_broker(0) as address,
        consumer(address.port, protocol=aiomqtt.ProtocolVersion.V311) as listener,
    ):
        async with running(make_config(str(address))) as link:
            assert link.statistics().protocol == "3.1.1"
            link.publish(fresh_decision())
            await listener.until(lambda: decision_ids(listener) == ["d1"])
        assert listener.last(f"{BASE}/availability") == "offline"


async def test_the_embedded_broker_serves_its_link() -> None:
    """``embedded`` starts a broker with a warning, and stops it with the link."""
    with capture_logs() as logs:
        async with running(make_config("embedded")) as link:
            [started] = [entry for entry in logs if entry["event"] == "embedded_broker_started"]
            port = int(started["address"].rpartition(":")[2])
            async with consumer(port, protocol=aiomqtt.ProtocolVersion.V311) as listener:
                link.publish(fresh_decision())
                await listener.until(lambda: decision_ids(listener) == ["d1"])
    assert started["log_level"] == "warning"
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client("127.0.0.1", port):
            pass


async def test_the_last_will_tells_of_a_killed_daemon(tmp_path: Path) -> None:
    """A process that dies by SIGKILL is offline at once, and for those who come later."""
    script = (
        "import asyncio\n"
        "from voiceguard.clock import SystemClock\n"
        "from voiceguard.mqtt.client import MqttLink\n"
        "from voiceguard.mqtt.config import MqttConfig\n"
        "async def main():\n"
        "    config = MqttConfig(broker='{url}', node_id='den')\n"
        "    link = MqttLink(config, on_command=print, clock=SystemClock())\n"
        "    link.set_available(True)\n"
        "    await link.run()\n"
        "asyncio.run(main())\n"
    )
    async with mosquitto(tmp_path / "broker") as broker, consumer(broker.port) as listener:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            script.format(url=broker.url),
            cwd=Path(__file__).parents[2],
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            online = f"{BASE}/availability"
            await listener.until(lambda: listener.last(online) == "online", timeout_s=30.0)
        finally:
            process.send_signal(signal.SIGKILL)
            await process.wait()
        await listener.until(lambda: listener.last(online) == "offline")
        async with consumer(broker.port, online) as newcomer:
            await newcomer.until(lambda: newcomer.payloads(online) == ["offline"])


@pytest.mark.parametrize("way", ["close", "cancel"])
async def test_a_graceful_end_says_offline(tmp_path: Path, way: str) -> None:
    """Both ways out publish ``offline`` (a graceful end fires no last will), and quickly."""
    async with mosquitto(tmp_path / "broker") as broker, consumer(broker.port) as listener:
        link = MqttLink(make_config(broker.url), on_command=lambda _: None, clock=SystemClock())
        link.set_available(True)
        task = asyncio.create_task(link.run())
        await listener.until(lambda: listener.last(f"{BASE}/availability") == "online")
        started_s = time.monotonic()
        if way == "close":
            await link.close()
            await task
        else:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert time.monotonic() - started_s < 2.0
        await listener.until(lambda: listener.last(f"{BASE}/availability") == "offline")
        await until(lambda: "Received DISCONNECT from voiceguard-den" in broker.log)


async def test_a_restarted_broker_learns_everything_again(tmp_path: Path) -> None:
    """States, availability and discovery come back; expired decisions do not."""
    async with (
        mosquitto(tmp_path / "broker") as broker,
        running(make_config(broker.url)) as link,
    ):
        await until(lambda: DISCOVERY in broker.log)
        await broker.stop()
        await until(lambda: not link.statistics().is_connected)
        link.publish(fresh_decision("stale", expires_in_s=0.5))
        link.publish(fresh_decision("fresh", expires_in_s=30.0))
        await asyncio.sleep(0.6)
        await broker.start()
        async with consumer(broker.port) as listener:
            await listener.until(lambda: listener.last(f"{BASE}/availability") == "online")
            await listener.until(lambda: listener.last(DISCOVERY) is not None)
            await listener.until(lambda: listener.last(f"{BASE}/occupancy/bob") == "OFF")
        assert await link.drain(10.0)
        statistics = link.statistics()
        assert (statistics.decisions_expired, statistics.decisions_delivered) == (1, 1)
        assert statistics.num_connections == 2


async def test_a_broker_that_is_not_there_at_start_is_waited_for(tmp_path: Path) -> None:
    """One log line per cause, then quiet retries; the outbox drops its oldest meanwhile."""
    async with mosquitto(tmp_path / "broker") as broker:
        await broker.stop()
        with capture_logs() as logs:
            config = make_config(broker.url, outbox_size=3)
            async with running(config, is_connected=False) as link:
                for index in range(5):
                    link.publish(fresh_decision(f"d{index}", expires_in_s=30.0))
                await asyncio.sleep(1.5)  # several attempts
                assert link.statistics().decisions_dropped == 2
                await broker.start()
                async with consumer(broker.port) as listener:
                    assert await link.drain(10.0)
                    if decision_ids(listener):  # it may have come too late for them
                        assert decision_ids(listener)[-1] == "d4"
                assert link.statistics().decisions_delivered == 3
    failures = [entry for entry in logs if entry["event"] == "broker_connection_failed"]
    assert [entry["cause"] for entry in failures] == ["connection_refused"]


async def test_a_stalled_broker_is_noticed_and_gets_nothing_late(tmp_path: Path) -> None:
    """Whatever was not in flight when the broker froze expires here, not there."""
    async with (
        mosquitto(tmp_path / "broker") as broker,
        consumer(broker.port) as listener,
        running(make_config(broker.url)) as link,
    ):
        await listener.until(lambda: listener.last(f"{BASE}/availability") == "online")
        broker.stall()
        try:
            for name in ("in-flight", "waiting-1", "waiting-2"):
                link.publish(fresh_decision(name, expires_in_s=1.5))
            await until(lambda: not link.statistics().is_connected)
            await asyncio.sleep(1.0)
        finally:
            broker.resume()
        await until(lambda: link.statistics().is_connected)
        link.publish(fresh_decision("after"))
        await listener.until(lambda: "after" in decision_ids(listener))
        assert not {"waiting-1", "waiting-2"} & set(decision_ids(listener))
        assert link.statistics().decisions_expired >= 2
        await listener.until(lambda: listener.last(f"{BASE}/availability") == "online")


async def test_a_silent_broker_is_noticed_without_traffic(tmp_path: Path) -> None:
    """The keepalive finds a frozen broker although nothing is published."""
    async with (
        mosquitto(tmp_path / "broker") as broker,
        running(make_config(broker.url, keepalive_s=1)) as link,
    ):
        await until(lambda: "Received PINGREQ" in broker.log)  # all is said
        broker.stall()
        try:
            await until(lambda: not link.statistics().is_connected)
        finally:
            broker.resume()
        await until(lambda: link.statistics().is_connected)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_an_old_accept_is_not_replayed_to_a_sleeping_consumer(
    tmp_path: Path, protocol: str
) -> None:
    """A consumer with a persistent session that wakes up later does not receive it."""
    async with mosquitto(tmp_path / "broker") as broker:
        topic = f"{BASE}/decision"
        async with sleeper(broker.port) as client:
            await client.subscribe(topic, qos=1)
        async with running(make_config(broker.url, protocol=protocol)) as link:
            link.publish(fresh_decision("old", expires_in_s=1.0))
            assert await link.drain(20.0)
            await asyncio.sleep(2.2)  # mosquitto counts whole seconds
            async with sleeper(broker.port) as client:
                link.publish(fresh_decision("new"))
                async with asyncio.timeout(5.0):
                    message = await anext(client.messages)
        assert isinstance(message.payload, bytes)
        assert json.loads(message.payload)["decision_id"] == "new"


def sleeper(port: int) -> aiomqtt.Client:
    """A client whose session, subscriptions included, outlives its connections."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 600
    return aiomqtt.Client(
        "127.0.0.1",
        port,
        identifier="sleeper",
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=False,
        properties=properties,
    )


async def test_passwords_and_tls(tmp_path: Path) -> None:
    """The right password over TLS gets in; each wrong thing is named, with what to do."""
    users = {"voiceguard": "right"}
    password_file = tmp_path / "password"
    async with mosquitto(tmp_path / "broker", users=users, tls=True) as broker:
        config = make_config(
            broker.url.replace("//", "//voiceguard@"),
            password_file=password_file,
            ca_file=broker.ca_file,
        )
        for password, is_right in (("right", True), ("wrong", False)):
            password_file.write_text(password + "\n")
            password_file.chmod(0o600)
            if is_right:
                assert await check_broker(config) == f"{broker.url}, MQTT 5"
                async with running(config) as link:
                    link.publish(fresh_decision())
                    assert await link.drain(20.0)
            else:
                with pytest.raises(BrokerError, match="does not let us in") as refused:
                    await check_broker(config)
                assert "password_file" in refused.value.hint
        untrusting = make_config(broker.url)
        with pytest.raises(BrokerError, match="certificate is not trusted") as untrusted:
            await check_broker(untrusting)
        assert "ca_file" in untrusted.value.hint


async def test_a_broker_without_tls_is_named(tmp_path: Path) -> None:
    """``mqtts`` to a plain port is not a mystery, and does not take long."""
    async with mosquitto(tmp_path / "broker") as broker:
        with pytest.raises(BrokerError, match=r"TLS|hung up|does not answer"):
            await check_broker(make_config(broker.url.replace("mqtt:", "mqtts:")))


async def test_commands(tmp_path: Path) -> None:
    """Commands are obeyed; a retained one and an unknown one are not."""
    commands: list[Command] = []
    async with mosquitto(tmp_path / "broker") as broker, consumer(broker.port) as listener:
        topic = f"{BASE}/command"
        await listener.client.publish(topic, "disarm", qos=1, retain=True)
        with capture_logs() as logs:
            async with running(make_config(broker.url), commands.append):
                await listener.until(lambda: listener.last(f"{BASE}/availability") == "online")
                for payload in ("ARM", "arm", "x" * 5000, "reload", "disarm"):
                    await listener.client.publish(topic, payload, qos=1)
                await until(lambda: len(commands) == 3)
        assert commands == [Command.ARM, Command.RELOAD, Command.DISARM]
        ignored = [entry for entry in logs if entry["event"] == "command_ignored"]
        assert [entry["cause"] for entry in ignored] == ["retained", "unknown", "unknown"]
        assert all(len(entry.get("payload", "")) <= 32 for entry in ignored)


async def test_home_assistant_gets_discovery_and_states_at_birth(tmp_path: Path) -> None:
    """When Home Assistant starts, discovery comes first, then every state."""
    async with mosquitto(tmp_path / "broker") as broker, consumer(broker.port) as listener:
        async with running(make_config(broker.url)):
            await listener.until(lambda: listener.last(f"{BASE}/availability") == "online")
            before = len(listener.messages)
            await listener.client.publish("homeassistant/status", "online")
            await listener.until(
                lambda: listener.payloads(f"{BASE}/availability")[-2:] == ["online", "online"]
            )
            topics = [str(m.topic) for m in listener.messages[before:]]
        topics = [topic for topic in topics if topic != "homeassistant/status"]
        assert topics[0] == DISCOVERY
        expected = {"status", "speaker", "availability", "occupancy/alice", "occupancy/bob"}
        assert {f"{BASE}/{name}" for name in expected} <= set(topics)


async def test_a_removed_speaker_leaves_nothing_behind(tmp_path: Path) -> None:
    """Removed while we run, or while we were away: component and topic go from the broker."""
    async with mosquitto(tmp_path / "broker") as broker, consumer(broker.port) as listener:
        async with running(make_config(broker.url)) as link:
            await listener.until(lambda: listener.last(f"{BASE}/availability") == "online")
            link.set_speakers([("bob", "Bob")])
            await listener.until(lambda: listener.last(f"{BASE}/occupancy/alice") == "")
            await listener.until(lambda: "alice" not in (listener.last(DISCOVERY) or ""))
        removal, clean = (json.loads(each)["cmps"] for each in listener.payloads(DISCOVERY)[-2:])
        assert removal["occupancy_alice"] == {"p": "binary_sensor"}
        assert "occupancy_alice" not in clean
        link = MqttLink(make_config(broker.url), on_command=lambda _: None, clock=SystemClock())
        link.set_speakers([])
        task = asyncio.create_task(link.run())
        await listener.until(lambda: listener.last(f"{BASE}/occupancy/bob") == "")
        await listener.until(lambda: "bob" not in (listener.last(DISCOVERY) or "bob"))
        await link.close()
        await task
        async with consumer(broker.port) as newcomer:
            await newcomer.until(lambda: newcomer.last(f"{BASE}/status") is not None)
            assert not [m for m in newcomer.messages if "occupancy" in str(m.topic)]
