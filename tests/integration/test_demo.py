"""The demo as a newcomer runs it, but not in real time: broker, daemon, consumer, verdict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.cli.command import voiceguard

if TYPE_CHECKING:
    from pathlib import Path


def test_the_demo_accepts_the_enrolled_voice_and_nobody_else(tmp_path: Path) -> None:
    result = voiceguard("demo", "--fast", "--json", state=tmp_path)

    *decisions, summary = map(json.loads, result.stdout.splitlines())
    assert result.returncode == 0, result.stdout + result.stderr
    assert summary["is_success"]
    assert summary["num_accepted"] >= 2
    assert summary["num_too_short"] == 1
    assert summary["false_accepts"] == []
    finals = [each for each in decisions if each["decision"]["is_final"]]
    assert len(finals) == summary["num_decisions"]
    assert all(each["said"] for each in finals), "a decision about nothing that was said"
    assert list(tmp_path.iterdir()) == [], "the demo has left something behind"
