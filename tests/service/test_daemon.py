"""The composition root: starting, ending, faults, commands; the real encoder, no broker."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.audio.fake_driver import FakeDriver
from tests.fakes import (
    NOON,
    CollectingSink,
    FakeClock,
    FakeSource,
    chunks,
    ended,
    listening,
    quiet,
    tone,
)
from tests.older_encoder import put_by
from tests.services import free_port
from voiceguard.audio import stdin
from voiceguard.decisions.history import History
from voiceguard.encoder.config import EncoderConfig
from voiceguard.encoder.library import DEFAULT_MODEL, calibration_path, stated_encoder_id
from voiceguard.errors import ConfigError, StateError, VoiceprintError
from voiceguard.mqtt.config import MqttConfig
from voiceguard.mqtt.topics import Command
from voiceguard.paths import history_file, state_dir
from voiceguard.people.config import PeopleConfig, Rule
from voiceguard.service.daemon import Daemon
from voiceguard.service.kit import assemble, open_store
from voiceguard.service.reporting.health import DaemonState
from voiceguard.settings import Settings, load_settings
from voiceguard.types import AudioChunk, Reason, SourceState, SourceStatus, Template, Voiceprint
from voiceguard.unlock.config import UnlockAction, UnlockConfig
from voiceguard.unlock.setup import make_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return load_settings(
        state_dir=str(tmp_path / "state"),
        mqtt={"broker": "none"},
        service={"voiceprint_poll_s": 0.1},
        vad={"backend": "energy"},  # tones are no speech to a speech model
    )


@asynccontextmanager
async def running(daemon: Daemon) -> AsyncIterator[asyncio.Task[None]]:
    """The daemon in the background; stopped at the end."""
    task = asyncio.create_task(daemon.run())
    try:
        yield task
    finally:
        daemon.stop()
        await asyncio.wait_for(task, 5)


async def until(condition: Callable[[], bool], *, task: asyncio.Task[None]) -> None:
    """Waits for something that the daemon does in its own time."""
    async with asyncio.timeout(20):
        while not condition():
            if task.done():
                await task
                raise AssertionError("the daemon has ended")
            await asyncio.sleep(0.02)


def holding() -> FakeSource:
    """A microphone in a quiet room."""
    return FakeSource([listening(), *chunks(quiet(1.0))], is_live=True, hold=True)


def enrol(settings: Settings, speaker: str) -> None:
    """Stores a voiceprint as another process would."""
    kit = assemble(settings)
    template = Template(
        embedding=kit.encoder.embed(tone(220, 3.0)), net_speech_s=3.0, snr_db=20.0, created_at=NOON
    )
    voiceprint = Voiceprint(
        speaker=speaker,
        display_name=speaker.title(),
        encoder_id=kit.encoder.info.encoder_id,
        templates=(template,),
        consent_at=NOON,
        created_at=NOON,
        updated_at=NOON,
    )
    open_store(settings).save(voiceprint)


async def test_it_ends_by_itself_when_all_files_have_ended(settings: Settings) -> None:
    sink = CollectingSink()
    audio = np.concatenate([tone(220, 2.0), quiet(1.0)])
    script: list[AudioChunk | SourceStatus] = [listening(), *chunks(audio), ended()]
    sources = [FakeSource(script, name="a"), FakeSource(script, name="b")]
    await asyncio.wait_for(Daemon(settings, sinks=[sink], sources=sources).run(), 20)
    assert {decision.stream for decision in sink.finals} == {"a", "b"}


async def test_it_says_ready_once_it_listens_and_stops_when_told(settings: Settings) -> None:
    ready = asyncio.Event()
    source = holding()
    daemon = Daemon(settings, sources=[source], on_ready=ready.set)
    async with running(daemon) as task:
        await until(ready.is_set, task=task)
        assert daemon.health.state is DaemonState.LISTENING
    assert source.closed.is_set()


async def test_its_status_names_the_encoder_and_whether_it_is_calibrated(
    settings: Settings, tmp_path: Path
) -> None:
    daemon = Daemon(settings, sources=[holding()])
    async with running(daemon) as task:
        await until(lambda: daemon.health.state is DaemonState.LISTENING, task=task)
        encoder = daemon.status()["encoder"]
    assert encoder == {
        "name": DEFAULT_MODEL,
        "encoder_id": stated_encoder_id("default"),
        "is_calibrated": True,
    }
    path = put_by(tmp_path)
    calibration_path(str(path)).unlink()
    bare = settings.model_copy(
        update={"encoder": EncoderConfig(model=str(path)), "state_dir": str(tmp_path / "other")}
    )
    daemon = Daemon(bare, sources=[holding()])
    with capture_logs() as logged:
        async with running(daemon) as task:
            await until(lambda: daemon.health.state is DaemonState.LISTENING, task=task)
            assert daemon.status()["encoder"]["is_calibrated"] is False
    (warning,) = (each for each in logged if each["event"] == "encoder_uncalibrated")
    assert "`voiceguard calibrate DIR`" in warning["hint"]


async def test_a_second_daemon_on_the_same_state_is_refused(settings: Settings) -> None:
    daemon = Daemon(settings, sources=[holding()])
    async with running(daemon) as task:
        await until(lambda: daemon.health.state is DaemonState.LISTENING, task=task)
        with pytest.raises(StateError, match="another voiceguard"):
            await Daemon(settings, sources=[holding()]).run()


async def test_a_speaker_enrolled_meanwhile_is_known_without_a_restart(settings: Settings) -> None:
    daemon = Daemon(settings, sources=[holding()])
    async with running(daemon) as task:
        await until(lambda: daemon.health.state is DaemonState.LISTENING, task=task)
        assert daemon.status()["speakers"] == []
        await asyncio.to_thread(enrol, settings, "anna")
        await until(lambda: daemon.status()["speakers"] == ["anna"], task=task)
        open_store(settings).remove("anna")
        await until(lambda: daemon.status()["speakers"] == [], task=task)


async def test_a_missing_key_makes_it_unavailable_until_it_is_back(settings: Settings) -> None:
    """Not an accept, not an exit: unavailable, with the reason, and well again by itself."""
    enrol(settings, "anna")
    key = open_store(settings).key_path
    secret = key.read_bytes()
    key.unlink()
    daemon = Daemon(settings, sources=[holding()])
    async with running(daemon) as task:
        await until(lambda: daemon.health.state is DaemonState.UNAVAILABLE, task=task)
        assert str(key) in daemon.health.reason
        key.touch(mode=0o600)
        key.write_bytes(secret)
        await until(lambda: daemon.health.state is DaemonState.LISTENING, task=task)


async def test_files_that_nobody_could_be_recognised_in_end_with_an_error(
    settings: Settings,
) -> None:
    """A script must not take "unavailable all along" for "it was a stranger"."""
    enrol(settings, "anna")
    open_store(settings).key_path.unlink()
    sink = CollectingSink()
    audio = np.concatenate([tone(220, 2.0), quiet(1.0)])
    source = FakeSource([listening(), *chunks(audio), ended()])
    with pytest.raises(VoiceprintError, match="nobody could be recognised: the key file"):
        await asyncio.wait_for(Daemon(settings, sinks=[sink], sources=[source]).run(), 20)
    assert {decision.reason for decision in sink.finals} == {Reason.NO_VOICEPRINTS}


async def test_a_lost_microphone_makes_it_unavailable(settings: Settings) -> None:
    lost = SourceStatus(state=SourceState.LOST, detail="unplugged")
    source = FakeSource([listening(), lost], is_live=True, hold=True)
    daemon = Daemon(settings, sources=[source])
    async with running(daemon) as task:
        await until(lambda: daemon.health.state is DaemonState.UNAVAILABLE, task=task)
        assert daemon.health.reason == "kitchen: unplugged"


async def test_what_the_driver_lost_is_in_the_status_and_in_the_history(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: the reader itself loses nothing."""
    clock = FakeClock()
    driver = FakeDriver(clock).install(monkeypatch)
    daemon = Daemon(settings, clock=clock)

    def counts() -> dict[str, Any]:
        counts: dict[str, Any] = daemon.status()["streams"]["microphone"]
        return counts

    async with running(daemon) as task:
        await until(lambda: bool(driver.streams), task=task)
        driver.deliver()
        driver.deliver(after_s=1.1, overflow=True)
        await until(lambda: counts()["samples_delivered"] == 3_200, task=task)
        driver.vanish()
        await until(lambda: counts()["state"] == SourceState.LOST, task=task)
        clock.now_s += 2.0
        await until(lambda: len(driver.streams) == 2, task=task)
        driver.deliver()
        await until(lambda: counts()["state"] == SourceState.LISTENING, task=task)
        lost = {name: counts()[name] for name in ("samples_lost", *LOSSES)}
    assert lost == {"samples_lost": 0, **LOSSES}
    history = History(history_file(state_dir(settings.state_dir)))
    (noted,) = history.diagnostics()
    history.close()
    assert noted.pop("stream") == "microphone"
    assert noted.pop("opened_at") < noted.pop("noted_at")
    assert noted == LOSSES


LOSSES = {
    "samples_missed": 3 * 16_000,
    "num_overflows": 1,
    "overflow_s": 1.0,
    "num_reopened": 1,
    "outage_s": 2.0,
}


async def test_disarming_closes_the_device_and_lasts_over_a_restart(settings: Settings) -> None:
    source = holding()
    daemon = Daemon(settings, sources=[source])
    async with running(daemon) as task:
        await until(lambda: daemon.health.state is DaemonState.LISTENING, task=task)
        daemon.obey(Command.DISARM)
        await until(lambda: daemon.health.state is DaemonState.DISARMED, task=task)
        assert source.closed.is_set()
    again = holding()
    daemon = Daemon(settings, sources=[again])
    async with running(daemon) as task:
        await until(lambda: daemon.health.state is DaemonState.DISARMED, task=task)
        daemon.obey(Command.ARM)
        await until(lambda: daemon.health.state is DaemonState.LISTENING, task=task)


def broken(name: str, error: Exception, *, is_live: bool = False) -> FakeSource:
    """A source that breaks when it is read."""

    def fail() -> None:
        raise error

    return FakeSource([listening(), fail], name=name, is_live=is_live)


async def test_a_stream_that_breaks_ends_no_other_and_is_lost(settings: Settings) -> None:
    """Whatever breaks it; who listens to the status knows which one, and why."""
    sources = [
        holding(),
        broken("file", StateError("the file is broken")),
        broken("bug", RecursionError("too deep")),
    ]
    daemon = Daemon(settings, sources=sources)
    async with running(daemon) as task:
        await until(lambda: "too deep" in daemon.health.reason, task=task)
        await until(lambda: "the file is broken" in daemon.health.reason, task=task)
        assert daemon.health.state is DaemonState.LISTENING
        streams = daemon.status()["streams"]
        assert streams["kitchen"]["state"] == SourceState.LISTENING
        assert {streams[name]["state"] for name in ("file", "bug")} == {SourceState.LOST}


async def test_a_bad_file_is_the_result_once_the_others_are_decided(settings: Settings) -> None:
    sink = CollectingSink()
    audio = np.concatenate([tone(220, 2.0), quiet(1.0)])
    good = FakeSource([listening(), *chunks(audio), ended()], name="good")
    sources = [broken("bad", StateError("the file is broken")), good]
    with pytest.raises(StateError, match="the file is broken"):
        await asyncio.wait_for(Daemon(settings, sinks=[sink], sources=sources).run(), 20)
    assert [decision.stream for decision in sink.finals] == ["good"]


async def test_a_live_stream_that_broke_is_opened_anew(settings: Settings) -> None:
    clock = FakeClock()
    source = broken("hall", RuntimeError("a bug"), is_live=True)
    daemon = Daemon(settings, sources=[holding(), source], clock=clock)
    async with running(daemon) as task:
        await until(lambda: "a bug" in daemon.health.reason, task=task)
        source.script, source.hold = [listening()], True
        source.closed.clear()
        clock.now_s += 11.0
        await until(lambda: daemon.health.reason == "", task=task)
        assert daemon.status()["streams"]["hall"]["state"] == SourceState.LISTENING


async def test_disarmed_it_keeps_nothing_of_what_it_heard_for_challenges(
    settings: Settings,
) -> None:
    door = UnlockAction(speakers=("anna",), level="challenge")
    locks = UnlockConfig(speech_to_text="tcp://127.0.0.1:1", actions={"door": door})
    broker = MqttConfig(broker=f"mqtt://127.0.0.1:{free_port()}")
    make_key(state_dir(settings.state_dir))
    daemon = Daemon(
        settings.model_copy(update={"unlock": locks, "mqtt": broker}), sources=[holding()]
    )

    def keeps_audio() -> bool:
        desk = daemon._parts.desk
        return desk is not None and desk.hearing is not None and bool(desk.hearing._kept)

    async with running(daemon) as task:
        await until(keeps_audio, task=task)
        daemon.obey(Command.DISARM)
        await until(lambda: not keeps_audio(), task=task)


async def test_disarmed_it_knows_that_standard_input_grows_old(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdin, "OF_PROCESS", stdin.Taken())
    daemon = Daemon(settings, sources=[holding()])
    async with running(daemon) as task:
        await until(lambda: daemon.health.state is DaemonState.LISTENING, task=task)
        assert stdin.OF_PROCESS.left_at_s is None
        daemon.obey(Command.DISARM)
        await until(lambda: stdin.OF_PROCESS.left_at_s is not None, task=task)


async def test_it_stops_at_once_while_it_is_still_loading(settings: Settings) -> None:
    """The thread that loads can't be stopped; a service manager's patience is not spent on it."""
    daemon = Daemon(settings, sources=[holding()])
    loading = threading.Event()
    daemon._parts.inference.submit(loading.wait, 20)
    task = asyncio.create_task(daemon.run())
    await asyncio.sleep(0.05)
    daemon.stop()
    await asyncio.wait_for(task, 10.0)  # half as long as it loads
    loading.set()


async def test_rules_that_name_what_there_is_not_stop_it_at_the_start(settings: Settings) -> None:
    people = PeopleConfig(rules={"a": Rule(streams=("attic",))})
    with pytest.raises(ConfigError, match="'attic' is no stream; known are: kitchen"):
        Daemon(settings.model_copy(update={"people": people}), sources=[holding()])
    people = PeopleConfig(rules={"a": Rule(actions=("front-door",))})
    with pytest.raises(ConfigError, match="'front-door' is no action; known are: none"):
        Daemon(settings.model_copy(update={"people": people}), sources=[holding()])


async def test_a_rule_that_names_nobody_makes_it_unavailable_until_they_are_enrolled(
    settings: Settings,
) -> None:
    people = PeopleConfig(child=("mia",), rules={"children": Rule(who=("child",), days="mon")})
    ruled = settings.model_copy(update={"people": people})
    daemon = Daemon(ruled, sources=[holding()])
    async with running(daemon) as task:
        await until(lambda: daemon.health.state is DaemonState.UNAVAILABLE, task=task)
        assert daemon.health.reason == "people.child: 'mia' is not enrolled; known are: none"
        enrol(ruled, "mia")
        await until(lambda: daemon.health.state is DaemonState.LISTENING, task=task)
