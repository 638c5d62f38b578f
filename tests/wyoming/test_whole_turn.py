"""A turn as a home has it: client, daemon, speech-to-text and broker, all of them real."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe

from tests.cli.command import voiceguard
from tests.integration.mosquitto import mosquitto, until
from tests.recordings import SPOKEN, STRANGERS, TAKES
from tests.service.test_daemon import running
from tests.services import free_port
from tests.wyoming.peers import WORDS, SpeechToText, serving, speak
from voiceguard.audio.files import load_audio
from voiceguard.service.daemon import Daemon
from voiceguard.service.reporting.health import DaemonState
from voiceguard.settings import load_settings
from voiceguard.wyoming import answers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.mosquitto import Mosquitto

ANNA, STRANGER = (load_audio(each[0]) for each in (SPOKEN, STRANGERS))


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with mosquitto(tmp_path / "broker") as running:
        yield running


def enroll(folder: Path) -> None:
    finished = voiceguard(
        *("enroll", "anna", "--from", *TAKES, "--yes", "--display-name", "Anna"),
        state=folder / "state",
    )
    assert finished.returncode == 0, finished.stderr


@asynccontextmanager
async def daemon_with(folder: Path, broker: Mosquitto, **room: str) -> AsyncIterator[Daemon]:
    """A daemon with one kitchen, ready, connected to the broker."""
    settings = load_settings(
        state_dir=str(folder / "state"),
        audio={"sources": ()},
        mqtt={"broker": broker.url, "node_id": "test"},
        television={"topics": ("kitchen=home/tv/state",)},
        wyoming={"announce": False, "proxy": ({"name": "kitchen", **room},)},
    )
    daemon = Daemon(settings)
    async with running(daemon) as task:
        async with asyncio.timeout(60):
            await listening(daemon, task)
        await until(lambda: is_connected(daemon))
        yield daemon


async def listening(daemon: Daemon, task: asyncio.Task[None]) -> None:
    while daemon.health.state is not DaemonState.LISTENING:
        assert not task.done()
        await asyncio.sleep(0.05)


def is_connected(daemon: Daemon) -> bool:
    return daemon._parts.link is not None and daemon._parts.link.statistics().is_connected


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For a machine that is busy with other tests; test_policies has the 250 ms."""
    monkeypatch.setattr(answers, "VERDICT_TIMEOUT_S", 5.0)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


async def test_one_room_observed(tmp_path: Path, broker: Mosquitto) -> None:
    """The decision is at a subscriber before the transcript is at the client."""
    enroll(tmp_path)
    port = free_port()
    async with serving(SpeechToText(streams=True)) as upstream:
        room = {"listen": f"tcp://127.0.0.1:{port}", "upstream": upstream.uri}
        async with daemon_with(tmp_path, broker, **room) as daemon, broker_ears(broker) as ears:
            async with AsyncTcpClient("127.0.0.1", port) as client:
                await client.write_event(Describe().event())
                described = await client.read_event()
            assert described is not None
            (program,) = described.data["asr"]
            assert program["name"] == "whisper (kitchen)"
            assert program["models"][0]["languages"] == ["en", "de"]

            heard = await speak(port, ANNA)
            decided = [payload for payload in ears.decisions if payload["is_final"]]
            assert heard.transcript == {"text": WORDS, "language": "en"}
            chunks = ["transcript-chunk"] * len(WORDS.split())
            whole = ["transcript-start", *chunks, "transcript", "transcript-stop"]
            assert heard.types == whole
            assert [each["speaker"] for each in decided] == ["anna"] * len(decided) != []
            assert None not in {each["turn_id"] for each in decided}
            assert upstream.num_bytes == 2 * len(ANNA)

            async with aiomqtt.Client("127.0.0.1", broker.port) as player:
                await player.publish("home/tv/state", "playing", qos=1, retain=True)
            await until(lambda: daemon._parts.television.plays("kitchen"))
            await speak(port, ANNA)
            assert {each["raised_by"] for each in decided} == {None}
            assert (ears.decisions[-1]["raised_by"], ears.decisions[-1]["p_fa"]) == (
                "television",
                0.001,
            )


class Ears:
    """Every decision as soon as it is heard."""

    def __init__(self) -> None:
        self.decisions: list[dict[str, Any]] = []


@asynccontextmanager
async def broker_ears(broker: Mosquitto) -> AsyncIterator[Ears]:
    ears = Ears()
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe("voiceguard/test/decision", qos=1)

        async def listen() -> None:
            async for message in client.messages:
                ears.decisions.append(json.loads(message.payload))

        task = asyncio.create_task(listen())
        try:
            yield ears
        finally:
            task.cancel()
            await asyncio.wait({task})


async def test_a_gated_room_with_its_broker_away_and_back(
    tmp_path: Path, broker: Mosquitto
) -> None:
    """Who is enrolled passes, a stranger never; without a broker nobody does, and it says so."""
    enroll(tmp_path)
    port = free_port()
    async with serving(SpeechToText(streams=True)) as upstream:
        room = {"listen": f"tcp://127.0.0.1:{port}", "upstream": upstream.uri}
        async with daemon_with(tmp_path, broker, **room, policy="gate") as daemon:
            assert (await speak(port, ANNA)).transcript["text"] == WORDS
            assert (await speak(port, STRANGER)).transcript["text"] == ""
            await broker.stop()
            assert (await speak(port, ANNA)).transcript["text"] == ""
            await broker.start()
            await until(lambda: is_connected(daemon), 15.0)  # nothing waits, so it may be 10 s
            assert (await speak(port, ANNA)).transcript["text"] == WORDS
            told = daemon.status()["wyoming"]["kitchen"]
    del told["num_clients"]
    counted = {key: value for key, value in told.items() if isinstance(value, int) and value}
    assert counted == {"turns": 4, "transcripts": 4, "transcripts_gated": 2, "transcripts_late": 1}
    assert (told["policy"], told["fails"], told["upstream"]) == ("gate", "closed", "well")
