"""``voiceguard devices`` beside a real audio server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.cli.command import voiceguard
from tests.integration.pulse import PulseServer

if TYPE_CHECKING:
    from pathlib import Path


def test_the_audio_servers_microphone_is_listed(tmp_path: Path) -> None:
    with PulseServer() as pulse:
        result = voiceguard("devices", "--json", state=tmp_path, environment=pulse.env)

    names = [json.loads(line)["name"] for line in result.stdout.splitlines()]
    assert result.returncode == 0, result.stderr
    assert "pulse" in names
