"""The Home Assistant add-on: its description, and what it makes of its options."""

from __future__ import annotations

import importlib.util
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.packages import addon
from tests.packages.addon import ADDON
from voiceguard.settings import load_settings
from voiceguard.types import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = yaml.safe_load((ADDON / "config.yaml").read_text("utf-8"))
REQUIRED = {"name", "version", "slug", "description", "arch"}
KNOWN = REQUIRED | {
    *("url", "init", "startup", "boot", "audio", "services", "discovery", "options", "schema"),
    *("ports", "ports_description", "map", "devices", "host_network", "stage", "panel_icon"),
}
"""Of developers.home-assistant.io, "Add-on configuration", read in November 2026."""
KIND = re.compile(
    r"(str|bool|email|url|password|port|device|match\(.+\)|int(\(\d*,\d*\))?"
    r"|float(\([\d.]*,[\d.]*\))?|list\([^|]+(\|[^|]+)*\))\??"
)


@pytest.fixture(scope="module")
def start() -> Any:  # noqa: ANN401 - a module
    """start.py."""
    spec = importlib.util.spec_from_file_location("addon_start", ADDON / "start.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def supervisor(answers: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """An address that answers as the Supervisor does, and what it was sent."""
    sent: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path)
            self.send_response(400 if found is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"result": "ok", "data": found}).encode())

        def do_POST(self) -> None:
            assert self.headers["Authorization"] == "Bearer of the test"
            length = int(self.headers["Content-Length"])
            sent.append((self.path, json.loads(self.rfile.read(length))))
            self.do_GET()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="supervisor")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", sent
        finally:
            server.shutdown()
            thread.join()


def test_the_description_is_as_documented() -> None:
    assert set(CONFIG) <= KNOWN
    assert set(CONFIG) >= REQUIRED
    assert CONFIG["version"] == VERSION
    assert re.fullmatch(r"[a-z0-9_]+", CONFIG["slug"])
    assert set(CONFIG["arch"]) <= {"aarch64", "amd64"}
    assert CONFIG["startup"] in {"initialize", "system", "services", "application", "once"}
    assert CONFIG["boot"] in {"auto", "manual", "manual_only"}
    assert all(re.fullmatch(r"\w+:(provide|want|need)", each) for each in CONFIG["services"])
    assert all(KIND.fullmatch(each) for each in CONFIG["schema"].values())
    optional = {name for name, kind in CONFIG["schema"].items() if kind.endswith("?")}
    assert set(CONFIG["options"]) == set(CONFIG["schema"]) - optional


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_option_is_explained(language: str) -> None:
    path = ADDON / "translations" / f"{language}.yaml"
    explained = yaml.safe_load(path.read_text("utf-8"))["configuration"]
    assert set(explained) == set(CONFIG["schema"])
    assert all(set(each) <= {"name", "description"} and each["name"] for each in explained.values())


def test_the_icon_is_a_square_of_128() -> None:
    head = (ADDON / "icon.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")) == (128, 128)


def test_the_supervisors_broker_is_used(
    start: Any,  # noqa: ANN401 - a module
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = {"host": "core-mosquitto", "port": 1883, "ssl": False}
    broker |= {"username": "addons", "password": 'a "secret"'}
    chosen = {**CONFIG["options"], "upstream": "tcp://core-whisper:10300", "policy": "gate"}
    (tmp_path / "options.json").write_text(json.dumps(chosen))
    called: list[Any] = []
    monkeypatch.setattr(start.os, "execvp", lambda *words: called.append(words))
    monkeypatch.setenv("SUPERVISOR_TOKEN", "of the test")
    monkeypatch.setenv("HOSTNAME", "local-voiceguard")
    with supervisor({"/services/mqtt": broker, "/discovery": {}}) as (address, sent):
        monkeypatch.setenv("SUPERVISOR", address)
        start.main(tmp_path)

    settings = load_settings(tmp_path / "voiceguard.toml")
    assert settings.mqtt.broker == "mqtt://core-mosquitto:1883"
    assert settings.mqtt.username == "addons"
    secret = tmp_path / "mqtt-password"
    assert settings.mqtt.password_file == secret
    assert secret.read_text() == 'a "secret"'
    assert secret.stat().st_mode & 0o777 == 0o600
    (proxy,) = settings.wyoming.proxy
    assert (proxy.upstream, proxy.policy) == ("tcp://core-whisper:10300", "gate")
    uri = {"uri": "tcp://local-voiceguard:10350"}
    assert sent == [("/discovery", {"service": "wyoming", "config": uri})]
    ((program, words),) = called
    assert program == "sh"
    assert words[-3:] == ["run", "--config", str(tmp_path / "voiceguard.toml")]


def test_without_a_broker_it_listens_and_says_so(
    start: Any,  # noqa: ANN401 - a module
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "options.json").write_text(json.dumps(CONFIG["options"]))
    monkeypatch.setattr(start.os, "execvp", lambda *_: None)
    with supervisor({}) as (address, _):
        monkeypatch.setenv("SUPERVISOR", address)
        start.main(tmp_path)
    assert "no MQTT broker" in capsys.readouterr().err
    settings = load_settings(tmp_path / "voiceguard.toml")
    assert settings.mqtt.broker == "none"
    assert settings.policy.p_fa == CONFIG["options"]["p_fa"]
    assert settings.audio.wait_for_device


def test_a_broker_of_ones_own_goes_first(start: Any, tmp_path: Path) -> None:  # noqa: ANN401 - a module
    named = {"broker": "mqtt://there:1884", "username": "me", "password": None}
    assert start._broker(named)["url"] == "mqtt://there:1884"
    text = start.configuration(named, {"url": "mqtt://there:1884", "username": "me"}, tmp_path)
    (tmp_path / "v.toml").write_text(text)
    assert load_settings(tmp_path / "v.toml").mqtt.username == "me"


def test_the_folder_is_complete(packages: tuple[Path, Path], tmp_path: Path) -> None:
    addon.write(tmp_path / "addon", packages[1])
    names = {each.name for each in (tmp_path / "addon").iterdir()}
    needed = {"config.yaml", "Dockerfile", "DOCS.md", "icon.png", "install.sh", "start.sh"}
    assert needed | {"start.py", "requirements-light.txt", packages[1].name} <= names
