"""Wyoming: mutated events from both sides, a million tiny chunks; what a proxy adds to a turn."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from typing import TYPE_CHECKING, Any, Final

from structlog.testing import capture_logs

from tests.campaign.broker import percentile
from tests.campaign.protocol import ViolationError
from tests.pipeline.test_stream import ANNA_HZ
from tests.wyoming.bench import house
from tests.wyoming.mutated import FORM, mutated
from tests.wyoming.peers import WORDS, SpeechToText, serving, speak
from tests.wyoming.test_policies import said
from voiceguard.wyoming import satellite
from voiceguard.wyoming.config import Address

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from tests.campaign.protocol import Campaign, Figure


async def fuzz(
    seconds: float, dice: random.Random, *, most: int | None = None
) -> dict[str, Figure]:
    """Clients and a speech-to-text that send mutated events; between them a turn that is served."""
    end_s, counts = time.monotonic() + seconds, {"num_events": 0, "num_connections": 0}
    garbage = SpeechToText()
    well = SpeechToText()
    with capture_logs() as logged:
        async with house(well.uri, policy="gate") as home, house(garbage.uri) as other:
            while time.monotonic() < end_s and (most is None or counts["num_events"] < most):
                async with serving(well), serving(garbage):
                    for _ in range(20):
                        garbage.garbage = b"".join(mutated(dice) for _ in range(20))
                        counts["num_events"] += 20 + await _pester(home.port, dice)
                        counts["num_events"] += await _pester(other.port, dice)
                        counts["num_connections"] += 2
                    heard = await speak(home.port, said(ANNA_HZ))
                    if heard.transcript["text"] not in {WORDS, ""}:
                        raise ViolationError(f"after {counts} a turn was answered {heard}")
            status = home.status
    crashes = [each for each in logged if each["log_level"] in {"error", "critical"}]
    if crashes:
        raise ViolationError(f"after {counts}: {crashes[0]}")
    return {**counts, "num_refused": status["events_refused"], "num_crashes": len(crashes)}


async def _pester(port: int, dice: random.Random) -> int:
    """One connection's worth of events; how many."""
    num = dice.randrange(1, 60)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError, TimeoutError):
        for _ in range(num):
            writer.write(mutated(dice))
        async with asyncio.timeout(2.0):
            await writer.drain()
            writer.write_eof()
            while await reader.read(1 << 16):
                pass
    writer.transport.abort()
    return num


async def fuzz_satellite(seconds: float, dice: random.Random) -> dict[str, Figure]:
    """A satellite that sends mutated events once it is connected, and leaves."""
    counts = {"num_events": 0, "num_connections": 0}
    served = asyncio.Event()

    async def pester(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        counts["num_connections"] += 1
        with contextlib.suppress(ConnectionError):
            if dice.random() < 0.9:
                writer.write(
                    b'{"type":"info","data":{"satellite":{"name":"x"}}}\n{"type":"pong"}\n'
                )
            for _ in range(dice.randrange(1, 60)):
                counts["num_events"] += 1
                writer.write(mutated(dice))
            await writer.drain()
        writer.close()
        served.set()

    server = await asyncio.start_server(pester, "127.0.0.1", 0)
    place, end_s = Address(*server.sockets[0].getsockname()[:2]), time.monotonic() + seconds
    before_s, satellite.TRY_AGAIN_S = satellite.TRY_AGAIN_S, (0.001, 0.001)
    try:
        with capture_logs() as logged:
            async with server, house(satellite=place):
                while time.monotonic() < end_s:
                    served.clear()
                    async with asyncio.timeout(60.0):  # it comes again whatever it was told
                        await served.wait()
    finally:
        satellite.TRY_AGAIN_S = before_s
    crashes = [each for each in logged if each["log_level"] in {"error", "critical"}]
    if crashes:
        raise ViolationError(f"after {counts}: {crashes[0]}")
    return {**counts, "num_crashes": 0}


async def tiny_chunks(seconds: float, dice: random.Random) -> dict[str, Figure]:
    """A million samples, each an event of its own; another client meanwhile."""
    del dice
    header = {"type": "audio-chunk", "data": FORM, "payload_length": 2}
    one = json.dumps(header).encode() + b"\n\0\0"
    start = json.dumps({"type": "audio-start", "data": FORM}).encode() + b"\n"
    end_s, num, waits_s = time.monotonic() + seconds, 0, list[float]()
    async with serving(SpeechToText()) as upstream, house(upstream.uri) as home:
        reader, writer = await asyncio.open_connection("127.0.0.1", home.port)
        writer.write(start)

        async def pour() -> None:
            nonlocal num
            while num < 1_000_000 and time.monotonic() < end_s:
                writer.write(one * 1000)
                await writer.drain()
                num += 1000

        pouring = asyncio.create_task(pour())
        while not pouring.done():
            other_reader, other = await asyncio.open_connection("127.0.0.1", home.port)
            began_s = time.monotonic()
            other.write(b'{"type":"describe"}\n')
            await other_reader.readline()
            waits_s.append(time.monotonic() - began_s)
            other.close()
            await asyncio.sleep(0.05)
        await pouring
        writer.transport.abort()
        del reader
    if max(waits_s) > 2.0:
        raise ViolationError(f"another client waited {max(waits_s):.2f} s")
    return {"num_chunks": num, "others_wait_p99_s": round(percentile(waits_s, 0.99), 4)}


def _campaign(work: Any) -> Campaign:  # noqa: ANN401 - one of the above
    def run(seconds: float, seed: int) -> Mapping[str, Figure]:
        doing: Coroutine[Any, Any, dict[str, Figure]] = work(seconds, random.Random(seed))
        return asyncio.run(doing)

    return run


CAMPAIGNS: Final[Mapping[str, Campaign]] = {
    "wyoming: mutated events": _campaign(fuzz),
    "wyoming: mutated satellites": _campaign(fuzz_satellite),
    "wyoming: a million tiny chunks": _campaign(tiny_chunks),
}
