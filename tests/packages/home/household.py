"""A household of tests: its settings, its people's voices, the daemon as it is started."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.integration.mosquitto import consumer
from voiceguard.audio.files import load_audio
from voiceguard.demo.scene import FOLDER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.integration.mosquitto import Mosquitto
    from tests.packages.home.asking import HomeAssistant
    from voiceguard.types import Samples

REPOSITORY = Path(__file__).resolve().parents[3]
ROBIN, STRANGER = "scene-4-slt.opus", "scene-3-rms.opus"
DEN = "voiceguard_den"
STATUS, PROBLEM, ARMED = (
    f"{kind}.{DEN}_{name}"
    for kind, name in (("sensor", "status"), ("binary_sensor", "problem"), ("switch", "armed"))
)
PRESENT, EVENT = f"binary_sensor.{DEN}_occupancy_zoe_robin", f"event.{DEN}_event_zoe_robin"
HEARD, ROOM = f"sensor.{DEN}_last_heard_zoe_robin", f"sensor.{DEN}_last_room_zoe_robin"
LAST, SURE, RATE = f"sensor.{DEN}_last_speaker", f"sensor.{DEN}_confidence", f"select.{DEN}_p_fa"
DECISION = f"event.{DEN}_decision"


def environment(folder: Path, broker: Mosquitto) -> dict[str, str]:
    """Of every command: one state directory, one broker, two rates to choose from."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(REPOSITORY),
        "COLUMNS": "80",
        "VOICEGUARD_STATE_DIR": str(folder / "state"),
        "VOICEGUARD_MQTT__BROKER": f"mqtt://127.0.0.1:{broker.port}",
        "VOICEGUARD_MQTT__NODE_ID": "den",
        "VOICEGUARD_MQTT__CONFIGURATION_URL": "http://den.local/voiceguard",
        "VOICEGUARD_POLICY": '{"p_fa_choices": [0.001]}',
        "VOICEGUARD_SERVICE__VOICEPRINT_POLL_S": "0.2",
        "VOICEGUARD_AUDIO__WAIT_FOR_DEVICE": "true",
    }


async def voiceguard(*words: str, env: Mapping[str, str]) -> str:
    """A command that must succeed; what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voiceguard", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=env,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


def recording(name: str) -> Samples:
    """One of the demo's, (num_samples,) mono 16 kHz."""
    return np.clip(load_audio(FOLDER / name), -1, 1)


class Listening:
    """A daemon that hears what it is told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def hear(self, name: str) -> None:
        """A recording of the demo's, and the silence behind it."""
        samples = recording(name)
        assert self.process.stdin is not None
        self.process.stdin.write((samples * 32767).astype("<i2").tobytes() + bytes(3 * 32_000))
        await self.process.stdin.drain()

    async def stop(self) -> None:
        self.process.terminate()
        await self.process.wait()


@asynccontextmanager
async def listening(
    folder: Path, env: Mapping[str, str], source: str | None = "living-room=stdin"
) -> AsyncIterator[Listening]:
    """``voiceguard run``, of the settings where no source is given; killed where it still runs."""
    words = ("--source", source) if source else ()
    with (folder / "daemon.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "voiceguard", "run", *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=log,
            env=env,
        )
    try:
        yield Listening(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def enroll(env: Mapping[str, str]) -> None:
    takes = map(str, sorted(FOLDER.glob("enroll-*.opus")))
    await voiceguard("enroll", "Zoë Robin", "--yes", "--from", *takes, env=env)


def ours(entities: Mapping[str, object]) -> list[str]:
    """The entities of the daemon, automations and the like left out."""
    return [name for name in entities if DEN in name]


async def forgotten(
    core: HomeAssistant, broker: Mosquitto, env: Mapping[str, str], *, room: str
) -> None:
    """After ``mqtt forget``: nothing is left, in Home Assistant or at the broker."""
    printed = await voiceguard("mqtt", "forget", "--yes", env=env)
    assert f"homeassistant/device/voiceguard_den__{room}/config" in printed
    await core.until(lambda states: not ours(states))
    assert await core.ask("devices") == []
    assert ours(await core.ask("entities")) == []
    async with consumer(broker.port) as left:
        await asyncio.sleep(1.0)
        assert [str(each.topic) for each in left.messages if each.retain] == []
