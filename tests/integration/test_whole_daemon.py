"""The product, whole: a real audio server, a real broker, an independent subscriber.

A WAV is played into PulseAudio's null sink; the daemon, a process of its own, records its monitor
through PortAudio and publishes to mosquitto.
"""

from __future__ import annotations

import asyncio
import json
import wave
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.cli.command import voiceguard
from tests.integration.daemon import running_daemon
from tests.integration.mosquitto import Consumer, Mosquitto, consumer, mosquitto
from tests.integration.pulse import PulseServer
from tests.recordings import SPOKEN, STRANGERS, TAKES
from voiceguard.audio.files import load_audio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from voiceguard.types import Samples

STATUS, AVAILABILITY, DECISION = (
    f"voiceguard/test/{name}" for name in ("status", "availability", "decision")
)


def write_wav(path: Path, samples: Samples) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def spoken(path: Path, recording: Path) -> Path:
    """A recording in a quiet room, with silence before and behind it."""
    room = np.random.default_rng(0).normal(0, 5e-4, 16_000).astype(np.float32)
    return write_wav(path, np.concatenate([room, load_audio(recording), room]))


def enroll(folder: Path) -> None:
    """Enrolls the demo's speaker with the command that a user types."""
    finished = voiceguard("enroll", "anna", "--from", *TAKES, "--yes", state=folder / "state")
    assert finished.returncode == 0, finished.stderr


@pytest.fixture
def pulse() -> Iterator[PulseServer]:
    with PulseServer() as server:
        yield server


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with mosquitto(tmp_path / "broker") as running:
        yield running


def state_of(listener: Consumer) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(listener.last(STATUS) or "{}")
    return payload


async def decide(listener: Consumer, pulse: PulseServer, wav: Path) -> dict[str, Any]:
    """Plays a WAV; returns the first final decision that it leads to."""
    before = len(listener.payloads(DECISION))
    await asyncio.to_thread(pulse.play, wav)
    await listener.until(lambda: len(listener.payloads(DECISION)) > before)
    decision: dict[str, Any] = json.loads(listener.payloads(DECISION)[before])
    return decision


async def test_from_microphone_to_subscriber_through_every_outage(
    tmp_path: Path, pulse: PulseServer, broker: Mosquitto
) -> None:
    """Accepts the enrolled voice, not the stranger; survives audio server and broker going away."""
    enroll(tmp_path)
    anna = spoken(tmp_path / "anna.wav", SPOKEN[0])
    stranger = spoken(tmp_path / "stranger.wav", STRANGERS[0])
    arguments = ("--source", "device:pulse", "--broker", f"mqtt://127.0.0.1:{broker.port}")
    async with running_daemon(tmp_path, *arguments, environment=pulse.env) as daemon:
        async with consumer(broker.port) as listener:
            await listener.until(lambda: state_of(listener).get("state") == "listening")
            assert listener.last(AVAILABILITY) == "online"
            decision = await decide(listener, pulse, anna)
            assert (decision["outcome"], decision["speaker"]) == ("accepted", "anna")
            decision = await decide(listener, pulse, stranger)
            assert decision["outcome"] != "accepted"

            pulse.kill()
            await listener.until(lambda: listener.last(AVAILABILITY) == "unavailable", 5.0)
            # The two are messages of their own, the status behind the availability.
            await listener.until(lambda: state_of(listener).get("state") == "unavailable", 5.0)
            pulse.start()
            await listener.until(lambda: listener.last(AVAILABILITY) == "online", 15.0)
            decision = await decide(listener, pulse, anna)
            assert (decision["outcome"], decision["speaker"]) == ("accepted", "anna")

        await broker.stop()
        await asyncio.sleep(1.0)
        await broker.start()
        async with consumer(broker.port) as listener:
            await listener.until(lambda: listener.last(AVAILABILITY) == "online", 15.0)
            assert not listener.payloads(DECISION), "an old decision was delivered after an outage"
            decision = await decide(listener, pulse, anna)
            assert decision["outcome"] == "accepted"

            assert await daemon.stop() < 2.0
            assert daemon.process.returncode == 0, daemon.log
            await listener.until(lambda: listener.last(AVAILABILITY) == "offline")


async def test_commands_disarm_and_arm_over_mqtt(
    tmp_path: Path, pulse: PulseServer, broker: Mosquitto
) -> None:
    """Disarmed it closes the microphone: what is said then is never decided."""
    arguments = ("--source", "device:pulse", "--broker", f"mqtt://127.0.0.1:{broker.port}")
    stranger = spoken(tmp_path / "stranger.wav", STRANGERS[0])
    async with (
        running_daemon(tmp_path, *arguments, environment=pulse.env),
        consumer(broker.port) as listener,
    ):
        await listener.until(lambda: state_of(listener).get("state") == "listening")
        await listener.client.publish("voiceguard/test/command", "disarm", qos=1)
        await listener.until(lambda: state_of(listener).get("state") == "disarmed")
        assert listener.last(AVAILABILITY) == "online"
        await asyncio.to_thread(pulse.play, stranger)
        assert not listener.payloads(DECISION)
        await listener.client.publish("voiceguard/test/command", "arm", qos=1)
        await listener.until(lambda: state_of(listener).get("state") == "listening")
        decision = await decide(listener, pulse, stranger)
        assert decision["outcome"] in {"unknown", "inconclusive"}
