"""Starts voiceguard as a Home Assistant add-on: options and the Supervisor's broker in, daemon out.

Reads /data/options.json, asks the Supervisor for the MQTT broker unless one is named, writes
/data/voiceguard.toml and the broker's password (mode 0600), announces the Wyoming port, and becomes
``voiceguard run``.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

WYOMING_PORT = 10350


def main(data: Path = Path("/data")) -> None:
    """Writes the configuration and becomes the daemon."""
    options = json.loads((data / "options.json").read_text("utf-8"))
    broker = _broker(options)
    (data / "voiceguard.toml").write_text(configuration(options, broker, data), "utf-8")
    if broker and broker.get("password"):
        secret = data / "mqtt-password"
        secret.unlink(missing_ok=True)
        descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(broker["password"])
    if options.get("upstream"):
        uri = f"tcp://{os.environ.get('HOSTNAME', 'voiceguard')}:{WYOMING_PORT}"
        _supervisor("discovery", {"service": "wyoming", "config": {"uri": uri}})
    start = str(Path(__file__).with_name("start.sh"))
    words = ("run", "--config", str(data / "voiceguard.toml"))
    os.execvp("sh", ["sh", start, *words])  # noqa: S606, S607 - this image's own


def configuration(options: dict[str, Any], broker: dict[str, Any] | None, data: Path) -> str:
    """voiceguard.toml; strings as JSON has them are strings as TOML has them."""
    lines = ["[audio]", "wait_for_device = true"]
    if options.get("upstream"):
        lines.append("sources = []")
    lines += ["", "[encoder]", f"model = {json.dumps(options.get('encoder', 'default'))}"]
    lines += ["", "[policy]", f"p_fa = {options.get('p_fa', 0.001)!r}", "", "[mqtt]"]
    lines.append(f"broker = {json.dumps(broker['url'] if broker else 'none')}")
    if broker and broker.get("username"):
        lines.append(f"username = {json.dumps(broker['username'])}")
    if broker and broker.get("password"):
        lines.append(f"password_file = {json.dumps(str(data / 'mqtt-password'))}")
    if options.get("upstream"):
        lines += ["", "[[wyoming.proxy]]", 'name = "room"']
        lines.append(f'listen = "tcp://0.0.0.0:{WYOMING_PORT}"')
        lines.append(f"upstream = {json.dumps(options['upstream'])}")
        lines.append(f"policy = {json.dumps(options.get('policy', 'observe'))}")
    return "\n".join(lines) + "\n"


def _broker(options: dict[str, Any]) -> dict[str, Any] | None:
    """The one that was named, else the Supervisor's; None: there is none."""
    if options.get("broker"):
        named = {key: options.get(key) for key in ("username", "password")}
        return {"url": options["broker"], **named}
    found = _supervisor("services/mqtt")
    if found is None:
        print("no MQTT broker: install the Mosquitto add-on, or set broker", file=sys.stderr)
        return None
    scheme = "mqtts" if found.get("ssl") else "mqtt"
    url = f"{scheme}://{found['host']}:{found['port']}"
    return {"url": url, "username": found.get("username"), "password": found.get("password")}


def _supervisor(path: str, sent: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """What the Supervisor answers; None: nothing, or that there is no such thing."""
    base = os.environ.get("SUPERVISOR", "http://supervisor")
    request = urllib.request.Request(  # noqa: S310 - the Supervisor's
        f"{base}/{path}",
        data=None if sent is None else json.dumps(sent).encode(),
        headers={
            "Authorization": f"Bearer {os.environ.get('SUPERVISOR_TOKEN', '')}",
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - likewise
            found: dict[str, Any] = json.loads(answer.read()).get("data", {})
            return found
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        print(f"the Supervisor does not answer {path}: {error}", file=sys.stderr)
        return None


if __name__ == "__main__":
    main()
