"""The broker of a home is found in order, and what it says no for is understood."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import pytest
from zeroconf import ServiceInfo, Zeroconf

from tests.integration.mosquitto import mosquitto
from tests.services import free_port
from voiceguard.errors import BrokerError
from voiceguard.mqtt.config import MqttConfig
from voiceguard.mqtt.trial import check_broker
from voiceguard.service.setup.brokers import (
    HOME_ASSISTANT_SERVICE,
    MQTT_SERVICE,
    Found,
    as_url,
    browse_network,
    can_browse,
    likely_brokers,
    wants_login,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOPBACK = "127.0.0.1"


@pytest.fixture
def port() -> Iterator[int]:
    """Somebody listens there."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def test_the_configured_one_comes_first_and_the_network_last(port: int) -> None:
    configured, announced = f"mqtt://{LOOPBACK}:{port}", f"mqtts://localhost:{port}"
    dead = f"mqtt://{LOOPBACK}:{free_port()}"
    found = likely_brokers(configured, lambda: [Found(dead, "dead"), Found(announced, "announced")])
    urls = [each.url for each in found if each.url != "mqtt://localhost"]
    assert urls == [configured, announced]


def test_the_network_is_not_asked_while_something_nearer_answers(port: int) -> None:
    def browse() -> list[Found]:
        raise AssertionError("asked")

    assert next(likely_brokers(f"mqtt://{LOOPBACK}:{port}", browse)).where == "the configured one"


def test_what_mdns_announces_is_heard_brokers_before_home_assistant() -> None:
    network = Zeroconf(interfaces=[LOOPBACK])
    address = [socket.inet_aton(LOOPBACK)]
    try:
        for kind, port in ((HOME_ASSISTANT_SERVICE, 8123), (MQTT_SERVICE, 1884)):
            info = ServiceInfo(kind, f"vg-test.{kind}", port, addresses=address, server="vg.local.")
            network.register_service(info)
        found = list(browse_network([LOOPBACK], for_s=3.0))
    finally:
        network.close()
    assert [each.url for each in found if "vg-test" in each.where] == [
        f"mqtt://{LOOPBACK}:1884",
        f"mqtts://{LOOPBACK}:8883",
        f"mqtt://{LOOPBACK}:1883",
    ]


def test_without_the_package_the_network_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    assert not can_browse()
    assert list(browse_network()) == []


async def test_a_broker_that_wants_a_login_is_told_from_one_that_is_not_there(
    tmp_path: Path,
) -> None:
    async with mosquitto(tmp_path / "broker", users={"me": "secret"}) as broker:
        with pytest.raises(BrokerError) as refused:
            await check_broker(MqttConfig(broker=broker.url))
    assert wants_login(refused.value)
    with pytest.raises(BrokerError) as away:
        await check_broker(MqttConfig(broker=broker.url))
    assert not wants_login(away.value)


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("homeassistant.local", "mqtt://homeassistant.local"),
        (" 10.0.0.2:1884 ", "mqtt://10.0.0.2:1884"),
        ("mqtts://home", "mqtts://home"),
        ("none", "none"),
    ],
)
def test_a_bare_host_is_an_address(typed: str, url: str) -> None:
    assert as_url(typed) == url
