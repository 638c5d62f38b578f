"""The monitor's screen, drawn by the command itself while the demo's scene is heard."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np

from tests.recordings import FOLDER, TAKES
from voiceguard.audio.files import load_audio
from voiceguard.types import SAMPLE_RATE_HZ

SAID = ("scene-1-slt", "scene-2-awb", "scene-4-slt", "scene-3-rms", "scene-7-slt")
PAUSE_S = 1.5
LOOK_AT_S = 20.5


def monitor_svg() -> str:
    """After 20 s of a hall in which three people speak, one of them enrolled."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene, picture = folder / "hall.wav", folder / "monitor.svg"
        _write_scene(scene)
        environment = {
            **os.environ,
            "VOICEGUARD_STATE_DIR": str(folder / "state"),
            "VOICEGUARD_MQTT__BROKER": "none",
            "XDG_CONFIG_HOME": name,
            "TZ": "UTC",
        }
        enroll = ["enroll", "robin", "--display-name", "Robin", "--yes", "--from", *TAKES[:3]]
        watch = ["monitor", f"--source=hall=file:{scene}", "--screenshot", picture]
        for arguments in (enroll, [*watch, "--after", str(LOOK_AT_S)]):
            command = [sys.executable, "-m", "voiceguard", *map(str, arguments)]
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        return re.sub(r"terminal-\d+", "terminal", picture.read_text(encoding="utf-8"))


def _write_scene(path: Path) -> None:
    rng = np.random.default_rng(0)
    pause = rng.normal(0, 3e-4, round(PAUSE_S * SAMPLE_RATE_HZ)).astype(np.float32)
    spoken = [part for said in SAID for part in (load_audio(FOLDER / f"{said}.opus", 0), pause)]
    samples = (np.concatenate(spoken).clip(-1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes(samples.tobytes())
