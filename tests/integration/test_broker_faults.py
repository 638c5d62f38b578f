"""Brokers that refuse, restart, flood or forget: the link against a real mosquitto."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.integration.flooding import flood
from tests.integration.mosquitto import consumer, mosquitto, until
from tests.integration.test_mosquitto import BASE, DISCOVERY, decision_ids, make_config, running
from tests.mqtt.decisions import fresh_decision
from voiceguard.errors import BrokerError
from voiceguard.mqtt.guards.flood import BURST
from voiceguard.mqtt.trial import check_broker, try_broker

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.mqtt.topics import Command


def acl(*lines: str) -> str:
    """An access list for everybody."""
    return "".join(f"topic {line}\n" for line in lines)


async def test_a_denied_decision_is_not_delivered(tmp_path: Path) -> None:
    """An access list that allows Home Assistant's topics only: said at once, with the remedy."""
    rules = acl("readwrite homeassistant/#")
    async with mosquitto(tmp_path / "broker", acl=rules) as broker:
        with capture_logs() as logs:
            async with running(make_config(broker.url)) as link:
                link.publish(fresh_decision())
                await until(lambda: link.statistics().decisions_refused == 1)
                assert link.statistics().decisions_delivered == 0
    refused = [entry for entry in logs if entry["event"] == "broker_refused"]
    [about_decisions] = [each for each in refused if each["topic"] == f"{BASE}/decision"]
    assert f"topic write {BASE}/decision" in about_decisions["hint"]


@pytest.mark.parametrize("option", ["max_packet_size 600", "message_size_limit 500"])
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_discovery_that_is_too_large_costs_no_decision(
    tmp_path: Path, option: str, protocol: str
) -> None:
    """Left away and, where the broker says so, named; the connection lasts."""
    async with (
        mosquitto(tmp_path / "broker", options=[option]) as broker,
        consumer(broker.port, f"{BASE}/availability", f"{BASE}/occupancy/#") as listener,
        running(make_config(broker.url, protocol=protocol, timeout_s=0.5)) as link,
    ):
        await listener.until(lambda: listener.last(f"{BASE}/availability") == "online")
        await listener.until(lambda: listener.last(f"{BASE}/occupancy/alice") == "OFF")
        num_connections = link.statistics().num_connections
        await asyncio.sleep(1.0)
        assert link.statistics().num_connections == num_connections <= 5


async def test_what_waited_finds_the_consumer_that_comes_back(tmp_path: Path) -> None:
    """After a restart the daemon may be there before any consumer is: nothing is lost for it."""
    async with mosquitto(tmp_path / "broker") as broker, running(make_config(broker.url)) as link:
        await until(lambda: DISCOVERY in broker.log)
        await broker.stop()
        await until(lambda: not link.statistics().is_connected)
        for index in range(3):
            link.publish(fresh_decision(f"d{index}", expires_in_s=8.0, segment=index))
        await broker.start()
        await until(lambda: link.statistics().is_connected)
        await asyncio.sleep(0.5)
        assert link.statistics().decisions_delivered == 0
        async with consumer(broker.port, f"{BASE}/decision") as listener:
            await listener.until(lambda: decision_ids(listener) == ["d0", "d1", "d2"])
            await until(lambda: link.statistics().decisions_delivered == 3)


async def test_a_broker_that_restarts_again_and_again(tmp_path: Path) -> None:
    """Every decision whose life spans a connected moment arrives; the campaign does it for long."""
    received: set[str] = set()
    async with mosquitto(tmp_path / "broker") as broker, running(make_config(broker.url)) as link:
        for round_ in range(4):
            await broker.stop(signal.SIGKILL)
            await until(lambda: not link.statistics().is_connected)
            link.publish(fresh_decision(f"d{round_}", segment=round_))
            await asyncio.sleep(0.3 * round_)
            await broker.start()
            began_s = time.monotonic()
            async with consumer(broker.port, f"{BASE}/decision") as listener:
                await listener.until(lambda: bool(decision_ids(listener)))
                received |= set(decision_ids(listener))
            assert time.monotonic() - began_s < 2.0
    assert received == {f"d{round_}" for round_ in range(4)}
    assert link.statistics().decisions_expired == 0


async def test_states_expire_at_a_broker_that_keeps_them(tmp_path: Path) -> None:
    """MQTT 5: whoever comes after a power cut is told neither `online` nor `ON` for ever."""
    async with mosquitto(tmp_path / "broker") as broker, running(make_config(broker.url)) as link:
        link.publish(fresh_decision())
        async with consumer(broker.port) as listener:
            await listener.until(lambda: listener.last(f"{BASE}/occupancy/alice") == "ON")
            await listener.until(lambda: listener.last(f"{BASE}/availability") == "online")
        async with consumer(broker.port) as newcomer:
            await newcomer.until(lambda: newcomer.last(f"{BASE}/occupancy/bob") is not None)
            await newcomer.until(lambda: newcomer.last(f"{BASE}/status") is not None)
            left: dict[str, int] = {
                str(message.topic): vars(message.properties).get("MessageExpiryInterval", -1)
                for message in newcomer.messages
                if message.properties is not None
            }
    assert 0 < left[f"{BASE}/occupancy/alice"] <= 30
    assert 0 < left[f"{BASE}/availability"] <= 60
    assert 0 < left[f"{BASE}/status"] <= 60
    assert left[f"{BASE}/occupancy/bob"] == -1
    assert left[DISCOVERY] == -1


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_foreign_occupancy_is_corrected_at_start(tmp_path: Path, protocol: str) -> None:
    """Left by an earlier life, or by anybody; even without discovery."""
    async with mosquitto(tmp_path / "broker") as broker, consumer(broker.port) as listener:
        for name in ("alice", "mallory"):
            await listener.client.publish(f"{BASE}/occupancy/{name}", "ON", qos=1, retain=True)
        async with running(make_config(broker.url, protocol=protocol, discovery=False)):
            await listener.until(lambda: listener.last(f"{BASE}/occupancy/mallory") == "")
            await listener.until(lambda: listener.last(f"{BASE}/occupancy/alice") == "OFF")


async def test_a_flood_of_commands_keeps_no_decision_waiting(tmp_path: Path) -> None:
    """5,000 a second: decisions are acknowledged in time, on the one connection."""
    async with (
        mosquitto(tmp_path / "broker") as broker,
        consumer(broker.port, f"{BASE}/decision") as listener,
        running(make_config(broker.url, timeout_s=5.0)) as link,
    ):
        flooding = asyncio.create_task(flood(broker.port, f"{BASE}/command", seconds=3.0))
        delays_s = []
        for index in range(10):
            began_s = time.monotonic()
            link.publish(fresh_decision(f"d{index}", segment=index))
            await listener.until(lambda: f"d{index}" in decision_ids(listener))  # noqa: B023
            delays_s.append(time.monotonic() - began_s)
            await asyncio.sleep(0.2)
        assert await flooding > 12_000
        assert link.statistics().num_connections == 1
        assert link.statistics().decisions_delivered == 10
        assert max(delays_s) < 2.0


async def test_a_flood_that_wants_answers_gets_them_and_is_passed_over(tmp_path: Path) -> None:
    """QoS 1: who never acknowledges hears nothing more from the broker, decisions' answers too."""
    commands: list[Command] = []
    async with (
        mosquitto(tmp_path / "broker") as broker,
        consumer(broker.port, f"{BASE}/decision") as listener,
        running(make_config(broker.url), commands.append) as link,
    ):
        for _ in range(4 * BURST):
            await listener.client.publish(f"{BASE}/command", "arm", qos=1)
        link.publish(fresh_decision("after"))
        await listener.until(lambda: decision_ids(listener) == ["after"])
        assert len(commands) <= 2 * BURST  # refilled while they came
        await until(lambda: link.statistics().decisions_delivered == 1)
        assert link.statistics().num_connections == 1


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_two_machines_of_one_name_are_named_at_once(tmp_path: Path, protocol: str) -> None:
    """They throw each other out, and not every broker says so: the log does, and the status."""
    async with mosquitto(tmp_path / "broker") as broker, consumer(broker.port) as listener:
        config = make_config(broker.url, protocol=protocol)
        with capture_logs() as logs:
            async with running(config), running(config):
                await listener.until(
                    lambda: "same mqtt.node_id" in (listener.last(f"{BASE}/status") or "")
                )
    [entry, *_] = [each for each in logs if each["event"] == "node_id_contested"]
    assert entry["base"] == BASE


async def test_a_restart_of_our_own_is_no_other_daemon(tmp_path: Path) -> None:
    """What an earlier life of ours left there says nothing."""
    availability = f"{BASE}/availability"
    async with mosquitto(tmp_path / "broker") as broker, consumer(broker.port) as listener:
        with capture_logs() as logs:
            for num_lives in (1, 2):
                async with running(make_config(broker.url)):
                    await listener.until(
                        lambda n=num_lives: listener.payloads(availability).count("online") >= n  # type: ignore[misc]
                    )
        assert not [each for each in logs if each["event"] == "node_id_contested"]


async def test_doctor_does_what_the_daemon_does(tmp_path: Path) -> None:
    """Publish, subscribe, retain and will, beside the daemon; nothing of it is left."""
    async with (
        mosquitto(tmp_path / "broker") as broker,
        running(make_config(broker.url)) as link,
    ):
        for protocol in ("5", "3.1.1"):
            said = await try_broker(make_config(broker.url, protocol=protocol))
            assert said.startswith(f"{broker.url}, MQTT {protocol}: publish, subscribe, retain")
            assert "untested: an access list bound to the client id" in said
        assert link.statistics().num_connections == 1
        assert "voiceguard-den-check" in broker.log
        async with consumer(broker.port) as newcomer:
            await newcomer.until(lambda: newcomer.last(f"{BASE}/status") is not None)
            assert not [m for m in newcomer.messages if "/check/" in str(m.topic)]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (acl("readwrite homeassistant/#"), r"publish voiceguard/den/check/event: not authorised"),
        (acl("write voiceguard/#", "readwrite homeassistant/#"), "does not come back to us"),
        (
            acl("readwrite voiceguard/den/check/event", "write voiceguard/den/check/state"),
            "does not come back to us",
        ),
    ],
)
async def test_doctor_names_what_an_access_list_denies(
    tmp_path: Path, rules: str, said: str
) -> None:
    """With what to write into it."""
    async with mosquitto(tmp_path / "broker", acl=rules) as broker:
        with pytest.raises(BrokerError, match=said) as refused:
            await try_broker(make_config(broker.url))
        assert "`topic " in refused.value.hint


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_doctor_notices_a_will_that_is_not_sent(tmp_path: Path, protocol: str) -> None:
    """Without it a daemon that dies goes on being online: the will alone is denied, and named."""
    rules = acl(
        "read voiceguard/den/check/#",
        *(f"write voiceguard/den/check/{name}" for name in ("event", "state")),
        "read voiceguard/den/command",
        "readwrite homeassistant/#",
    )
    async with mosquitto(tmp_path / "broker", acl=rules) as broker:
        with pytest.raises(BrokerError, match=r"last will .*check/will is not sent") as refused:
            await try_broker(make_config(broker.url, protocol=protocol))
        assert "topic readwrite voiceguard/den/#" in refused.value.hint
    async with mosquitto(
        tmp_path / "other", acl=rules + acl("write voiceguard/den/check/will")
    ) as b:
        assert "will work" in await try_broker(make_config(b.url, protocol=protocol))


async def test_doctor_says_that_a_broker_of_3_1_1_gets_no_decisions(tmp_path: Path) -> None:
    """As the daemon does with these settings; what it tries out works, and that is not enough."""
    async with mosquitto(tmp_path / "broker") as broker:
        config = make_config(broker.url, protocol="3.1.1", decisions_without_expiry=False)
        for ask in (check_broker, try_broker):
            with pytest.raises(
                BrokerError, match=r"gets no decisions: it speaks MQTT 3\.1\.1"
            ) as no:
                await ask(config)
            assert "decisions_without_expiry = true" in no.value.hint
