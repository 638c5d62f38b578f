"""``voiceguard doctor`` as a process: every check in order, and an exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.cli.command import voiceguard
from tests.services import free_port

if TYPE_CHECKING:
    from pathlib import Path

CHECKS = [
    "program",
    "runtimes",
    "configuration",
    "model",
    "speech",
    "overlap",
    "microphone",
    "state directory",
    "key",
    "voiceprints",
    "history",
    "broker",
]


def test_an_installation_without_faults_exits_with_0(tmp_path: Path) -> None:
    config = tmp_path / "voiceguard.toml"
    config.write_text('[audio]\nsources = ["stdin"]\n[mqtt]\nbroker = "none"\n', encoding="utf-8")
    state = tmp_path / "state"

    result = voiceguard("doctor", "--json", "--config", config, state=state)

    checks = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 0, checks
    assert [check["name"] for check in checks] == CHECKS
    assert all(check["remedy"] for check in checks if check["status"] != "ok")
    assert not list(state.glob("voice*")), "looking has made something"


def test_a_fault_exits_with_1_and_says_how_to_mend_it(tmp_path: Path) -> None:
    broker = f"mqtt://127.0.0.1:{free_port()}"

    result = voiceguard("doctor", "--broker", broker, state=tmp_path)

    assert result.returncode == 1
    fault, remedy = result.stdout.splitlines()[-2:]
    assert fault.split() == ["fail", "broker", f"{broker}:", "nothing", "listens", "there"]
    assert remedy.strip().startswith("to mend it: is the broker running?")
