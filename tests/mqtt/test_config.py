"""The [mqtt] table."""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings

from tests.mqtt.broken_urls import broken_urls
from voiceguard.errors import ConfigError
from voiceguard.mqtt.config import BrokerAddress, MqttConfig, default_node_id, parse_broker
from voiceguard.mqtt.guards.credentials import Secrets, load_secrets
from voiceguard.settings import load_settings


@pytest.mark.parametrize(
    ("broker", "address"),
    [
        ("mqtt://host", BrokerAddress("host", 1883)),
        ("mqtts://host", BrokerAddress("host", 8883, tls=True)),
        ("mqtt://ann@10.0.0.2:1884/", BrokerAddress("10.0.0.2", 1884, username="ann")),
        ("mqtt://[::1]:1885", BrokerAddress("::1", 1885)),
        ("embedded", None),
        ("none", None),
    ],
)
def test_brokers(broker: str, address: BrokerAddress | None) -> None:
    """Every form that the help names."""
    assert parse_broker(broker) == address


@pytest.mark.parametrize(
    "broker",
    [
        "host:1883",
        "http://host",
        "mqtt://",
        "mqtt://host:0",
        "mqtt://host:99999",
        "mqtt://h/x",
        "",
        "mqtt://a..b",
    ],
)
def test_what_is_no_broker_is_refused_with_the_forms_that_are(broker: str) -> None:
    """The message says what to write."""
    with pytest.raises(ValueError, match=re.escape("mqtt://[user@]host[:port]")):
        MqttConfig(broker=broker)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    """Process lists and logs are read by others."""
    with pytest.raises(ValueError, match="password_file") as refused:
        MqttConfig(broker="mqtt://ann:hunter2@host")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"node_id": "Den"}, "node_id"),
        ({"node_id": "den/+"}, "node_id"),
        ({"prefix": "a/#"}, "prefix"),
        ({"prefix": ""}, "prefix"),
        ({"discovery_prefix": "/x"}, "discovery_prefix"),
        ({"client_id": ""}, "client_id"),
        ({"protocol": "4"}, "protocol"),
        ({"keepalive_s": 0}, "keepalive_s must be between 1 and 300, not 0"),
        ({"timeout_s": 0.0}, "timeout_s"),
        ({"outbox_size": 0}, "outbox_size"),
        ({"occupancy_hold_s": 0.5}, "occupancy_hold_s"),
        ({"broker": "mqtt://ann@host", "username": "bob"}, "give one"),
        ({"password_file": Path("/x")}, "username"),
        ({"ca_file": Path("/x")}, "mqtts"),
        ({"broker": "mqtts://host", "client_cert_file": Path("/x")}, "need each other"),
        ({"broker": "embedded", "protocol": "5"}, "3.1.1"),
    ],
)
def test_a_bad_setting_is_named(changes: dict[str, Any], message: str) -> None:
    """With what was expected."""
    with pytest.raises(ValueError, match=re.escape(message)):
        MqttConfig(**changes)


def test_the_login_comes_from_either_place() -> None:
    """The URL or the setting."""
    assert MqttConfig(broker="mqtt://ann@host").login == "ann"
    assert MqttConfig(broker="mqtt://host", username="bob").login == "bob"
    assert MqttConfig(broker="mqtt://host").login is None


def test_the_default_node_id_is_always_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine is called."""
    for name, expected in (
        ("Küche.local", "k-che"),
        ("raspberrypi", "raspberrypi"),
        ("___", "___"),
        ("ÄÖÜ", "voiceguard"),
        ("x" * 80, "x" * 64),
    ):
        monkeypatch.setattr("socket.gethostname", lambda name=name: name)
        assert default_node_id() == expected
        assert MqttConfig().node_id == expected


@pytest.mark.parametrize(
    ("broker", "user"),
    [("mqtt://us%40er@host", "us@er"), ("mqtt://%C3%A4nn@host", "änn"), ("mqtt://host", None)],
)
def test_a_user_may_have_any_character(broker: str, user: str | None) -> None:
    """Written as URLs write it."""
    assert MqttConfig(broker=broker).login == user


@settings(deadline=None)
@given(broken_urls())
@example("user:pa#hunter2@host")
@example("mqtt:/user:hunter2@host")
@example("mqtt://user:hunter\u21002@host")
def test_no_part_of_a_credential_is_repeated(url: str) -> None:
    """However broken the URL is, and wherever the table stands: error, cause, settings, values."""
    for values in (
        {"mqtt": {"broker": url}},
        {"mqtt": {"broker": [url]}},
        {"mqtt": url},
        {"mqtt": {"broker": "mqtt://hunter@host", "username": url}},
    ):
        with pytest.raises(ConfigError) as refused:
            load_settings(None, **values)
        said = "".join(traceback.format_exception(refused.value, limit=0)) + refused.value.hint
        assert "hunter" not in said


def test_secrets_are_not_part_of_what_a_value_shows(tmp_path: Path) -> None:
    """Neither in a traceback's locals nor in a log field."""
    assert "hunter2" not in repr(Secrets("hunter2"))
    path = tmp_path / "password"
    path.write_bytes(b"hunter2\xff")
    path.chmod(0o600)
    config = MqttConfig(broker="mqtt://ann@host", password_file=path)
    assert config.address is not None
    with pytest.raises(ConfigError) as refused:
        load_secrets(config, config.address)
    assert "xff" not in "".join(traceback.format_exception(refused.value))
    path.write_bytes(b"\xef\xbb\xbfhunter2\r\n")
    assert load_secrets(config, config.address).password == "hunter2"
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(ConfigError, match="a FIFO, not a file"):
        load_secrets(config, config.address)
    assert "hunter" not in MqttConfig(broker="mqtt://hunter@host").place
