"""What ``voiceguard --help`` and other quick commands must not import: they answer at once."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.pinned.product import environment

if TYPE_CHECKING:
    from pathlib import Path

LATE = {
    *("aiomqtt", "amqtt", "av", "cryptography", "huggingface_hub", "matplotlib", "onnx"),
    *("onnxruntime", "paho", "pydantic", "pydantic_settings", "pyroomacoustics", "resemblyzer"),
    *("safetensors", "scipy", "silero_vad", "sounddevice", "soxr", "torch", "torchaudio", "yaml"),
}
"""Loaded only by a command that needs it."""

QUICK: dict[str, set[str]] = {
    "--help": set(),
    "--version": set(),
    "config show": {"pydantic", "pydantic_settings", "av", "soxr"},
    "history": {"pydantic", "pydantic_settings"},
    "voiceprints list": {"pydantic", "pydantic_settings", "cryptography", "safetensors", "soxr"},
    "models list": {"pydantic", "pydantic_settings", "cryptography", "safetensors", "soxr"},
}
"""Command to what of `LATE` it does need today; less is welcome."""


@pytest.mark.parametrize("command", QUICK)
def test_a_quick_command_loads_nothing_heavy(command: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "voiceguard", *command.split()],
        capture_output=True,
        check=False,
        text=True,
        env=environment(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    imported = set(re.findall(r"^import time:[^|]*\|[^|]*\| *(\w+)", done.stderr, re.MULTILINE))
    assert {"voiceguard", "typer"} <= imported
    assert imported & LATE <= QUICK[command]
