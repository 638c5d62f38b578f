"""A real daemon watched and told over its control socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.cli.command import voiceguard
from tests.fakes import FakeSource, chunks, listening, quiet
from tests.recordings import SPOKEN
from tests.service.test_daemon import enrol, running, until
from voiceguard.audio import stdin
from voiceguard.audio.files import load_audio
from voiceguard.control.client import ControlClient
from voiceguard.control.protocol import RequestError
from voiceguard.mqtt.topics import Command
from voiceguard.service.daemon import Daemon
from voiceguard.service.reporting.health import DaemonState
from voiceguard.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return load_settings(
        state_dir=str(tmp_path / "state"),
        mqtt={"broker": "none"},
        service={"voiceprint_poll_s": 0.1},
    )


def events_until(client: ControlClient, last: str) -> list[dict[str, Any]]:
    """What is told, up to the first final event of that name."""
    seen = []
    for event in client.events():
        seen.append(event)
        if event["event"] == last and event.get("is_final", True):
            return seen
    raise AssertionError


async def test_level_progress_and_decision_are_told_as_they_happen(
    settings: Settings, tmp_path: Path
) -> None:
    enrol(settings, "anna")
    speak = asyncio.Event()
    audio = np.concatenate([quiet(0.5), load_audio(SPOKEN[0]), quiet(3.0)])

    class Waiting(FakeSource):
        async def events(self) -> Any:  # noqa: ANN401
            yield listening()
            await speak.wait()
            async for event in super().events():
                yield event

    source = Waiting(chunks(audio), is_live=True, hold=True)
    daemon = Daemon(settings, sources=[source])
    async with running(daemon) as task:
        await until(lambda: daemon.health.state is DaemonState.LISTENING, task=task)
        with ControlClient(tmp_path / "state") as client:
            await asyncio.to_thread(client.call, "watch")
            speak.set()
            seen = await asyncio.to_thread(events_until, client, "decision")
    levels = [each for each in seen if each["event"] == "level"]
    assert {each["is_speech"] for each in levels} == {False, True}
    assert all(each["level_db"] < each["peak_db"] < 0 for each in levels)
    progress = [each for each in seen if each["event"] == "progress"]
    assert [each["scores"][0]["speaker"] for each in progress] == ["anna"] * len(progress)
    assert progress
    assert sorted(each["speech_s"] for each in progress) == [e["speech_s"] for e in progress]
    assert seen[-1]["stream"] == "kitchen"
    assert seen[-1]["segment"] == progress[-1]["segment"]


async def test_it_can_be_asked_and_switched(settings: Settings, tmp_path: Path) -> None:
    source = FakeSource([listening(), *chunks(quiet(1.0))], is_live=True, hold=True)
    daemon = Daemon(settings, sources=[source])
    async with running(daemon) as task:
        await until(lambda: daemon.health.state is DaemonState.LISTENING, task=task)
        told = await asyncio.to_thread(voiceguard, "status", state=tmp_path / "state")
        assert told.returncode == 0, told.stderr
        assert told.stdout.splitlines()[0] == "listening"
        assert "kitchen listening: 0 s of speech in 0 segment(s)" in told.stdout
        assert "enrolled: nobody" in told.stdout
        with ControlClient(tmp_path / "state") as client:
            await asyncio.to_thread(client.call, "disarm")
            await until(lambda: daemon.health.state is DaemonState.DISARMED, task=task)
            status = await asyncio.to_thread(client.call, "status")
        assert status["state"] == "disarmed"
        assert status["control"] == {"num_clients": 1, "clients_refused": 0, "events_dropped": 0}


async def test_a_restart_is_refused_in_words_where_it_cannot_go_well(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdin, "OF_PROCESS", stdin.Taken(num_bytes=9_000, kind="WAV"))
    source = FakeSource([listening()], is_live=True, hold=True)
    daemon = Daemon(settings, sources=[source], can_restart=True)
    async with running(daemon) as task:
        await until(lambda: daemon.health.state is DaemonState.LISTENING, task=task)
        with ControlClient(tmp_path / "state") as client:
            with pytest.raises(RequestError, match=r"holds a container \(WAV\), which can't be"):
                await asyncio.to_thread(client.call, "restart")
            daemon.obey(Command.RESTART)  # over MQTT nobody hears why
            assert not daemon.wants_restart
            monkeypatch.setattr(stdin, "OF_PROCESS", stdin.Taken(num_bytes=9_000))
            await asyncio.to_thread(client.call, "restart")
        await task
    assert daemon.wants_restart


def test_without_a_daemon_status_says_so(tmp_path: Path) -> None:
    told = voiceguard("status", state=tmp_path)
    assert told.returncode == 1
    assert f"no voiceguard is running on {tmp_path}" in told.stderr
    assert "`voiceguard run` starts one" in told.stderr
