"""What clients and upstreams must not do, and what becomes of it: an error, and the next turn."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from wyoming.audio import AudioChunk, AudioStart
from wyoming.client import AsyncTcpClient
from wyoming.event import Event

from tests.fakes import quiet, tone
from tests.pipeline.test_stream import ANNA_HZ
from tests.services import free_port
from tests.wyoming.bench import house, until
from tests.wyoming.peers import WORDS, SpeechToText, answers, serving, speak
from voiceguard.types import Outcome, SourceState
from voiceguard.wyoming import answers as answering
from voiceguard.wyoming import conversation, port, upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.wyoming.bench import House
    from voiceguard.types import Samples

ANNA = np.concatenate([quiet(0.5), tone(ANNA_HZ, 2.0), quiet(0.2)])
TCP_REPAIR = 19
"""A socket's option of Linux, which the module ``socket`` does not name."""
START = AudioStart(rate=16_000, width=2, channels=1).event()


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a machine that is busy with other tests."""
    monkeypatch.setattr(answering, "VERDICT_TIMEOUT_S", 5.0)


def line(**values: Any) -> bytes:  # noqa: ANN401
    return json.dumps(values).encode() + b"\n"


@pytest.fixture
async def kitchen() -> AsyncIterator[House]:
    async with serving(SpeechToText()) as behind, house(behind.uri, policy="gate") as home:
        yield home


async def told(home: House, *said: bytes) -> dict[str, Any]:
    """The error that a client gets for some bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", home.port)
    for each in said:
        writer.write(each)
    header = json.loads(await asyncio.wait_for(reader.readline(), 5))
    data: dict[str, Any] = json.loads(await reader.readexactly(header["data_length"]))
    assert header["type"] == "error"
    assert await asyncio.wait_for(reader.read(), 5) == b""  # and it is left
    writer.close()
    return data


BOMB = b'{"type":' + b"[" * 20_000 + b"]" * 20_000 + b"}\n"
STARTED = line(type="audio-start", data={"rate": 16_000, "width": 2, "channels": 1})
CHUNK = {"rate": 16_000, "width": 2, "channels": 1}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([b"GET / HTTP/1.1\r\n\r\n"], "can't be read: it is not JSON"),
        ([b"[]\n"], "must be one JSON object"),
        ([b"{}\n"], "has no type"),
        ([line(type="x" * 100)], "has no type"),
        ([line(type="describe", data=[1])], "is no object"),
        ([BOMB], "nested deeper"),
        ([b"x" * 100_000], "more than 65536 bytes"),
        ([line(type="audio-chunk", payload_length=2**40)], "1099511627776"),
        ([line(type="audio-chunk", payload_length=-1)], "whole number up to 1048576, not -1"),
        ([line(type="describe", data_length=2**40)], "1099511627776"),
        ([line(type="describe", data_length="9")], "not str"),
        ([line(type="describe", data_length=3), b"nul"], "can't be read"),
        ([line(type="audio-chunk", data=CHUNK, payload_length=2), b"\0\0"], "without an audio-st"),
        ([line(type="audio-start", data={**CHUNK, "rate": 0})], "rate must be 8000 to 192000 Hz"),
        ([line(type="audio-start", data={**CHUNK, "rate": 10**9})], "rate must be"),
        ([line(type="audio-start", data={**CHUNK, "width": 3})], "width must be 2 or 4 bytes"),
        ([line(type="audio-start", data={**CHUNK, "channels": 99})], "channels must be 1 to 8"),
        ([line(type="audio-start")], "rate must be 8000 to 192000 Hz, not NoneType"),
        (
            [STARTED, line(type="audio-chunk", data=CHUNK, payload_length=3), b"\0\0\0"],
            "3 bytes is no whole number of samples",
        ),
        (
            [STARTED, line(type="audio-chunk", data={**CHUNK, "rate": 8000})],
            "another format than at audio-start",
        ),
    ],
)
async def test_what_is_no_event_is_answered_by_an_error_and_the_next_turn_is_served(
    kitchen: House, said: list[bytes], words: str
) -> None:
    assert words in (await told(kitchen, *said))["text"]
    assert kitchen.status["events_refused"] == 1
    assert (await speak(kitchen.port, ANNA)).transcript["text"] == WORDS


async def test_48_khz_is_judged_as_it_is_and_passed_on_untouched(kitchen: House) -> None:
    t = np.arange(3 * 48_000) / 48_000
    syllables = 0.55 - 0.45 * np.cos(2 * np.pi * 4.0 * t)
    noise = np.random.default_rng(0).normal(0, 1e-4, len(t))
    voice = (0.2 * syllables * np.sin(2 * np.pi * ANNA_HZ * t) + noise).astype(np.float32)
    samples = np.concatenate([np.random.default_rng(1).normal(0, 1e-4, 24_000), voice])
    heard = await speak(kitchen.port, samples.astype(np.float32), rate_hz=48_000)
    assert heard.transcript["text"] == WORDS
    assert kitchen.finals[0].speaker == "anna"


async def test_a_million_tiny_chunks_starve_nobody(kitchen: House) -> None:
    """40,000 here, a million in the campaign: another client is answered meanwhile."""
    one = line(type="audio-chunk", data=CHUNK, payload_length=2) + b"\0\0"
    reader, writer = await asyncio.open_connection("127.0.0.1", kitchen.port)
    writer.write(STARTED + one * 40_000)
    waits_s = []
    async with AsyncTcpClient("127.0.0.1", kitchen.port) as other:
        for _ in range(5):
            began_s = time.monotonic()
            await other.write_event(Event("describe"))
            assert (await other.read_event()) is not None
            waits_s.append(time.monotonic() - began_s)
    writer.close()
    assert max(waits_s) < 1.0
    await until(lambda: kitchen.status["num_clients"] <= 1)
    del reader
    assert (await speak(kitchen.port, ANNA)).transcript["text"] in {WORDS, ""}


async def test_a_client_that_leaves_in_mid_turn_ends_its_turn(kitchen: House) -> None:
    async with AsyncTcpClient("127.0.0.1", kitchen.port) as client:
        await client.write_event(START)
        pcm = (ANNA * 32767).astype("<i2").tobytes()
        await client.write_event(AudioChunk(audio=pcm, rate=16_000, width=2, channels=1).event())
    await until(lambda: len(kitchen.finals) == 1)
    assert kitchen.finals[0].outcome is Outcome.ACCEPTED
    assert (await speak(kitchen.port, ANNA)).transcript["text"] == WORDS


async def test_more_clients_than_there_is_room_for_are_left_at_once(kitchen: House) -> None:
    waiting = [await asyncio.open_connection("127.0.0.1", kitchen.port) for _ in range(17)]
    reader, _ = waiting[-1]
    assert await asyncio.wait_for(reader.read(), 5) == b""
    assert kitchen.status["clients_refused"] == 1
    for _, writer in waiting:
        writer.close()
    await until(lambda: kitchen.status["num_clients"] == 0)


async def test_a_client_that_vanishes_without_a_word_gives_its_place_back(
    monkeypatch: pytest.MonkeyPatch, kitchen: House
) -> None:
    monkeypatch.setattr(port, "VANISHED_S", (1, 1, 1))
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", kitchen.port))
        await until(lambda: kitchen.status["num_clients"] == 1)
        try:
            client.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)  # leaves without a FIN
        except PermissionError:
            pytest.skip("only root can leave a connection without saying so")
    await until(lambda: kitchen.status["num_clients"] == 0)


async def test_a_port_that_is_taken_is_named_and_taken_once_it_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(port, "TRY_AGAIN_S", 0.1)
    holder = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    number = holder.sockets[0].getsockname()[1]
    async with house(port=number) as home:
        stream = home.streams["kitchen"]
        await until(lambda: stream.status.state is SourceState.LOST)
        assert f"can't listen on tcp://127.0.0.1:{number}" in stream.status.detail
        assert "in use" in stream.status.detail
        holder.close()
        await until(lambda: stream.status.state is SourceState.LISTENING)


# --- the upstream -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behind", "code", "words"),
    [
        (SpeechToText(fault="dies"), "upstream-gone", "has closed the connection"),
        (SpeechToText(fault="dies-early"), "upstream-gone", "has closed the connection"),
        (SpeechToText(fault="stalls"), "upstream-slow", "has not answered for 0.3 s"),
        (SpeechToText(garbage=b"<html>\n"), "upstream-garbage", "answers no Wyoming"),
        (
            SpeechToText(garbage=line(type="transcript", data_length=2**40)),
            "upstream-garbage",
            "answers no Wyoming",
        ),
    ],
)
async def test_an_upstream_that_fails_is_named_to_the_client(
    monkeypatch: pytest.MonkeyPatch, behind: SpeechToText, code: str, words: str
) -> None:
    monkeypatch.setattr(conversation, "ANSWER_TIMEOUT_S", 0.3)
    monkeypatch.setattr(upstream, "ANSWER_TIMEOUT_S", 0.3)
    async with house(behind.uri, policy="gate") as home:
        async with serving(behind):
            error = (await speak(home.port, ANNA, pace=0.05)).error
        assert error["code"] == code
        assert words in error["text"]
        assert behind.uri in error["text"]
        assert home.status["upstream"] == error["text"]
        if behind.fault != "dies-early":  # judged all the same
            await until(lambda: len(home.finals) == 1)

        well = SpeechToText(port=behind.port)
        async with serving(well):
            assert (await speak(home.port, ANNA)).transcript["text"] == WORDS
        assert home.status["upstream"] == "well"
        assert home.status["upstream_failures"] == 1


async def test_an_upstream_that_is_not_there_is_named_to_the_client() -> None:
    async with house(f"tcp://127.0.0.1:{free_port()}") as home:
        error = (await speak(home.port, ANNA)).error
    assert error["code"] == "upstream-unreachable"
    assert "can't be reached" in error["text"]


async def test_an_upstream_that_takes_no_audio_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "TAKE_TIMEOUT_S", 0.3)
    held: list[asyncio.StreamWriter] = []
    stuck = await asyncio.start_server(lambda _r, w: held.append(w), "127.0.0.1", 0, limit=1024)
    number = stuck.sockets[0].getsockname()[1]
    async with (
        house(f"tcp://127.0.0.1:{number}") as home,
        AsyncTcpClient("127.0.0.1", home.port) as client,
    ):
        await client.write_event(START)
        chunk = AudioChunk(audio=bytes(1 << 20), rate=16_000, width=2, channels=1).event()
        sending = asyncio.create_task(_send_many(client, chunk))
        (error,) = await answers(client)
        sending.cancel()
        await asyncio.wait({sending})
    stuck.close()
    for each in held:
        each.transport.abort()
    await asyncio.sleep(0.01)
    assert error.data["code"] == "upstream-slow"
    assert "takes no audio" in error.data["text"]


async def _send_many(client: AsyncTcpClient, chunk: Event) -> None:
    for _ in range(40):
        await client.write_event(chunk)


async def test_a_circle_is_noticed_when_it_closes() -> None:
    """Behind a name, say, that the configuration could not see through."""
    number = free_port()
    async with house(f"tcp://127.0.0.1:{number}") as home:
        (room,) = home.rooms._proxies
        object.__setattr__(room.config, "upstream", f"tcp://127.0.0.1:{home.port}")
        error = (await speak(home.port, ANNA)).error
        await until(lambda: home.status["num_clients"] == 0)
    assert "voiceguard itself" in error["text"]


async def test_a_gate_holds_back_no_more_than_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "MAX_HELD_BYTES", 200)
    behind = SpeechToText(streams=True, text="word " * 50)
    async with serving(behind), house(behind.uri, policy="gate") as home:
        error = (await speak(home.port, ANNA)).error
    assert error["code"] == "too-much"


# --- a port alone -----------------------------------------------------------------------------


async def test_whoever_streams_audio_to_a_port_without_an_upstream_is_a_stream() -> None:
    async with house() as home:
        async with AsyncTcpClient("127.0.0.1", home.port) as client:
            await client.write_event(Event("ping"))
            assert (await client.read_event()).type == "pong"
            await client.write_event(Event("describe"))
            assert (await client.read_event()).type == "info"
            pcm = (np.concatenate([ANNA, quiet(2.0)]) * 32767).astype("<i2").tobytes()
            form = {"rate": 16_000, "width": 2, "channels": 1}
            for i in range(0, len(pcm), 2048):
                await client.write_event(AudioChunk(audio=pcm[i : i + 2048], **form).event())
            await until(lambda: len(home.finals) == 1)
        assert home.finals[0].speaker == "anna"
        assert home.status["upstream"] == "none"


async def test_who_streams_on_while_it_is_disarmed_is_heard_again_when_it_is_armed() -> None:
    """And not in between: no listener gets what is said then."""
    chunk = AudioChunk(audio=bytes(32_000), rate=16_000, width=2, channels=1).event()
    heard: list[str] = []

    class Recorder:
        def hear(self, turn_id: str, samples: Samples, rate_hz: int) -> None:
            del samples, rate_hz
            heard.append(turn_id)

        def end(self, turn_id: str) -> None:
            del turn_id

    async with house() as home, AsyncTcpClient("127.0.0.1", home.port) as client:
        (room,) = home.rooms._proxies
        room.listeners.append(Recorder())
        await client.write_event(chunk)
        await until(lambda: len(heard) == 1)
        await home.streams["kitchen"].close()
        for _ in range(20):  # seconds
            await client.write_event(chunk)
        await client.write_event(Event("ping"))
        assert (await client.read_event()) is not None, "the connection stands"
        assert (len(heard), home.status["turns"]) == (1, 1)

        room.open_source()
        await client.write_event(chunk)
        await until(lambda: len(heard) == 2)
        assert heard[0] != heard[1]
        assert (home.status["turns"], home.status["turns_unjudged"]) == (2, 0)
