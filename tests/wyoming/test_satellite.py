"""A satellite that serves us alone: its voices are decided on, and why it is not heard is said."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from wyoming.audio import AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.ping import Ping

from tests.fakes import quiet, tone
from tests.pipeline.test_stream import ANNA_HZ
from tests.wyoming.bench import house, until
from tests.wyoming.peers import SpeechToText, serving
from tests.wyoming.satellites import FakeSatellite, satellite
from voiceguard.types import Outcome, SourceState
from voiceguard.wyoming import satellite as ours
from voiceguard.wyoming.config import Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.wyoming.bench import House

ANNA = np.concatenate([quiet(0.5), tone(ANNA_HZ, 2.0), quiet(2.0)])


@pytest.fixture(autouse=True)
def _haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "TRY_AGAIN_S", (0.05, 0.1))
    monkeypatch.setattr(ours, "PING_S", 0.1)


@pytest.fixture
async def hall() -> AsyncIterator[FakeSatellite]:
    async with satellite(FakeSatellite()) as running:
        yield running


async def is_heard(home: House) -> None:
    await until(lambda: home.streams["hall"].status.state is SourceState.LISTENING)


async def why_not(home: House, words: str) -> str:
    """Why the hall can't be heard, once it says so."""
    stream = home.streams["hall"]
    await until(lambda: stream.status.state is SourceState.LOST and words in stream.status.detail)
    return stream.status.detail


async def test_one_that_streams_always_is_a_stream(
    hall: FakeSatellite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "SILENT_S", 30.0)  # as on a machine that is not busy
    async with house(satellite=hall.place) as home:
        await until(lambda: hall.runs)
        await hall.stream(ANNA)
        await until(lambda: len(home.finals) == 1)
        await hall.stream(ANNA)
        await until(lambda: len(home.finals) == 2)
        counted = home.rooms.statistics()["hall"]
        assert hall.types == ["run-satellite"], "nobody has woken it"
    assert [(each.stream, each.speaker) for each in home.finals] == [("hall", "anna")] * 2
    assert counted == {"turns": 1, "turns_unjudged": 0, "connections": 1, "failures": 0}


async def test_one_that_was_woken_goes_back_to_its_wake_word_when_it_was_decided(
    hall: FakeSatellite,
) -> None:
    async with house(satellite=hall.place) as home:
        for _ in range(2):
            await until(lambda: hall.runs)
            told = len(hall.types)
            await hall.wake()
            await hall.stream(ANNA)
            await until(lambda: hall.types[told:] == ["transcript"])  # noqa: B023 - used at once
        assert [each.outcome for each in home.finals] == [Outcome.ACCEPTED] * 2
        assert len({each.turn_id for each in home.finals}) == 2
        assert hall.types == ["run-satellite", "transcript", "transcript"]
    assert [each.data["text"] for each in hall.told if each.type == "transcript"] == ["", ""]


async def test_one_that_was_woken_by_mistake_goes_back_as_well(
    hall: FakeSatellite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "WOKEN_S", 0.3)
    async with house(satellite=hall.place) as home:
        await until(lambda: hall.runs)
        await hall.wake()
        await hall.stream(quiet(0.5))
        await until(lambda: "transcript" in hall.types)
        assert home.finals == []


async def test_stretches_of_speech_are_turns(hall: FakeSatellite) -> None:
    """As of one with a voice detector of its own; the second at another rate."""
    async with house(satellite=hall.place) as home:
        await until(lambda: hall.runs)
        await hall.stream(ANNA[:-31_000])
        await hall.say(AudioStop().event())
        await until(lambda: len(home.finals) == 1)
        await hall.stream(np.repeat(ANNA, 3), rate_hz=48_000)
        await until(lambda: len(home.finals) == 2)
    assert {each.speaker for each in home.finals} == {"anna"}
    assert len({each.turn_id for each in home.finals}) == 2


async def test_its_pings_are_answered(hall: FakeSatellite) -> None:
    async with house(satellite=hall.place):
        await until(lambda: hall.runs)
        await hall.say(Ping().event())
        await until(lambda: "pong" in hall.types)


async def test_one_that_serves_another_is_named_and_taken_when_it_is_free(
    hall: FakeSatellite,
) -> None:
    async with AsyncTcpClient(hall.place.host, hall.place.port) as other:
        await other.write_event(Event("run-satellite"))
        await until(lambda: hall.runs)
        async with house(satellite=hall.place) as home:
            detail = await why_not(home, "serves another client")
            assert str(hall.place) in detail
            assert "where Home Assistant has it, use a [[wyoming.proxy]] instead" in detail
            await other.disconnect()
            await is_heard(home)


async def test_one_that_restarts_is_heard_again(hall: FakeSatellite) -> None:
    async with house(satellite=hall.place) as home:
        for _ in range(3):
            await until(lambda: hall.runs)
            await is_heard(home)
            await hall.hang_up()
            await why_not(home, "has closed the connection; trying again")
        await until(lambda: hall.runs)
        await hall.stream(ANNA)
        await until(lambda: len(home.finals) == 1)
        assert home.rooms.statistics()["hall"]["failures"] == 3


async def test_one_that_says_nothing_any_more_is_left(
    hall: FakeSatellite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "GONE_S", 0.3)
    async with house(satellite=hall.place) as home:
        await until(lambda: hall.runs)
        hall.is_mute = True
        await why_not(home, "has said nothing for 0.3 s")
        hall.is_mute = False
        await is_heard(home)


@pytest.mark.parametrize(
    ("of", "words"),
    [
        ({"is_mute": True}, "is connected and does not answer"),
        ({"garbage": b"HTTP/1.1 400\r\n"}, "can't be read: it is not JSON"),
        ({"garbage": b'{"type":"info","data_length":1099511627776}\n'}, "data_length"),
        ({"garbage": b'{"type":"info","data":{"satellite":null}}\n'}, "no satellite"),
    ],
    ids=["mute", "http", "huge", "no satellite"],
)
async def test_what_is_no_satellite_is_named(
    of: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "ANSWER_TIMEOUT_S", 0.2)
    there = FakeSatellite(**of)  # now: its port is free for as long as nobody else takes it
    async with satellite(there), house(satellite=there.place) as home:
        assert "trying again" in await why_not(home, words)


async def test_a_speech_to_text_is_no_satellite_and_nobody_there_is_said() -> None:
    async with (
        serving(SpeechToText()) as other,
        house(satellite=Address("127.0.0.1", other.port)) as home,
    ):
        await why_not(home, f"at {other.uri} there is Wyoming, but no satellite")
    async with house(satellite=FakeSatellite().place) as home:
        await why_not(home, "can't be reached: Connection refused")


async def test_bad_audio_ends_the_connection_and_nothing_else(hall: FakeSatellite) -> None:
    form = {"rate": 16_000, "width": 2, "channels": 1}
    async with house(satellite=hall.place) as home:
        for data, payload in (({**form, "rate": 0}, b"\0\0"), (form, b"\0\0\0")):
            await until(lambda: hall.runs)
            await hall.say(Event("audio-chunk", data, payload))
            hall.runs = False
            await why_not(home, "rate must be" if not data["rate"] else "no whole number")
        await until(lambda: hall.runs)
        await hall.stream(ANNA)
        await until(lambda: len(home.finals) == 1)


async def test_disarmed_it_is_told_to_pause(hall: FakeSatellite) -> None:
    async with house(satellite=hall.place) as home:
        await until(lambda: hall.runs)
        await hall.stream(ANNA[:16_000])
        await until(lambda: home.rooms.statistics()["hall"]["turns"] == 1)
        await home.streams["hall"].close()
        await until(lambda: "pause-satellite" in hall.types)
        await hall.stream(ANNA)  # on its way when it was told
        await asyncio.sleep(0.05)
        assert home.rooms.statistics()["hall"]["turns"] == 1
