"""Faults of the broker and of the way to it: restarts, a bad line, floods."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiomqtt

from tests.campaign.protocol import ViolationError
from tests.integration.flooding import flood
from tests.integration.mosquitto import Mosquitto, consumer, mosquitto, until
from tests.integration.test_mosquitto import BASE, decision_ids, make_config, running
from tests.mqtt.decisions import fresh_decision

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from tests.campaign.protocol import Campaign, Figure
    from voiceguard.mqtt.client import MqttLink

_LIFE_S = 5.0
_TURNS = 3
_NOTICEABLE_S = 0.1
"""Twice next to nothing is no fault: below this the polling of these tests is what is measured."""


def percentile(values: list[float], share: float) -> float:
    """The value below which that share lies; 0 without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class Ears:
    """A consumer that connects again whenever the broker went away, and what it heard when."""

    def __init__(self, port: int) -> None:
        self.heard_s: dict[str, float] = {}
        self._port = port

    async def listen(self) -> None:
        while True:
            # A garbled decision is no JSON.
            with contextlib.suppress(aiomqtt.MqttError, AssertionError, ValueError):
                async with consumer(self._port, f"{BASE}/decision") as listener:
                    is_connected = True
                    while is_connected:  # once more after the end: what came last counts
                        is_connected = not listener.client._disconnected.done()
                        await asyncio.sleep(0.01)
                        for name in decision_ids(listener):
                            self.heard_s.setdefault(name, time.monotonic())
                        listener.messages.clear()
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def listening(port: int) -> AsyncIterator[Ears]:
    """Ears for as long as the block."""
    ears = Ears(port)
    task = asyncio.create_task(ears.listen(), name="campaign ears")
    try:
        yield ears
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _restarts(seconds: float, dice: random.Random, broker: Mosquitto) -> dict[str, Figure]:
    """Up for 1 to 4 s, away for up to 1.5 s; a decision every second or so."""
    made_s: dict[str, float] = {}
    first_delays_s: list[float] = []
    end_s, num_restarts = time.monotonic() + seconds, 0
    async with running(make_config(broker.url)) as link, listening(broker.port) as ears:

        async def decide() -> None:
            while time.monotonic() < end_s:
                name = f"d{len(made_s)}"
                made_s[name] = time.monotonic()
                link.publish(fresh_decision(name, segment=len(made_s), expires_in_s=_LIFE_S))
                await asyncio.sleep(dice.uniform(0.5, 1.5))

        deciding = asyncio.create_task(decide(), name="campaign decisions")
        while time.monotonic() < end_s:
            await asyncio.sleep(dice.uniform(1.0, 4.0))
            await broker.stop(dice.choice([signal.SIGTERM, signal.SIGKILL]))
            await asyncio.sleep(dice.uniform(0.0, 1.5))
            waiting = link.statistics().decisions_pending
            before = link.statistics().decisions_delivered
            await broker.start()
            up_s, num_restarts = time.monotonic(), num_restarts + 1
            if waiting:
                await until(lambda n=before: link.statistics().decisions_delivered > n)  # type: ignore[misc]
                first_delays_s.append(time.monotonic() - up_s)
        await deciding
        await until(lambda: link.statistics().decisions_pending == 0)
        await asyncio.sleep(0.5)
        statistics = link.statistics()
    if statistics.decisions_delivered != len(made_s):
        raise ViolationError(f"of {len(made_s)} decisions some were lost: {statistics}")
    # Acknowledged, and killed before it passed them on: that is the broker's, and rare.
    unpassed = made_s.keys() - ears.heard_s.keys()
    if len(unpassed) > max(1, num_restarts // 20):
        raise ViolationError(f"{len(unpassed)} of {len(made_s)} were acknowledged, never passed on")
    p99_s = percentile(first_delays_s, 0.99)
    if p99_s > 2.0:
        raise ViolationError(f"after a restart the first decision took {p99_s:.2f} s (p99)")
    return {
        "num_restarts": num_restarts,
        "num_decisions": len(made_s),
        "num_lost": 0,
        "num_not_passed_on": len(unpassed),
        "first_publish_p50_s": round(percentile(first_delays_s, 0.5), 3),
        "first_publish_p99_s": round(p99_s, 3),
    }


async def _floods(seconds: float, dice: random.Random, broker: Mosquitto) -> dict[str, Figure]:
    """With and without 5,000 commands a second, by turns, so that both have the same machine."""
    del dice
    delays_s: dict[bool, list[float]] = {False: [], True: []}
    num_flooding = num_connections = 0
    turn_s = seconds / (2 * _TURNS)
    async with running(make_config(broker.url, timeout_s=5.0)) as link, listening(broker.port) as e:
        await asyncio.sleep(1.0)
        for turn in range(2 * _TURNS):
            is_flooded = turn % 2 == 1
            flooding = (
                asyncio.create_task(flood(broker.port, f"{BASE}/command", turn_s))
                if is_flooded
                else None
            )
            await _time_decisions(f"f{turn}", turn_s, link, e, delays_s[is_flooded])
            num_flooding += await flooding if flooding is not None else 0
        statistics = link.statistics()
        num_connections = statistics.num_connections
    if num_connections > 1:
        raise ViolationError(f"{num_connections} connections in a flood")
    num_made = sum(map(len, delays_s.values()))
    if statistics.decisions_delivered != num_made:
        raise ViolationError(f"of {num_made} decisions some were lost: {statistics}")
    quiet_s, flooded_s = (percentile(delays_s[which], 0.99) for which in (False, True))
    if flooded_s > max(2 * quiet_s, _NOTICEABLE_S):
        raise ViolationError(f"p99 is {flooded_s:.3f} s in a flood and {quiet_s:.3f} s without")
    return {
        "num_decisions": num_made,
        "num_lost": 0,
        "num_commands_per_s": round(num_flooding / (seconds / 2)),
        "quiet_p50_s": round(percentile(delays_s[False], 0.5), 4),
        "flooded_p50_s": round(percentile(delays_s[True], 0.5), 4),
        "quiet_p99_s": round(quiet_s, 4),
        "flooded_p99_s": round(flooded_s, 4),
    }


async def _time_decisions(
    name: str, seconds: float, link: MqttLink, ears: Ears, delays_s: list[float]
) -> None:
    """One after the other, each until it is heard."""
    end_s, index = time.monotonic() + seconds, 0
    while time.monotonic() < end_s:
        each, began_s = f"{name}-{index}", time.monotonic()
        link.publish(fresh_decision(each, segment=index, expires_in_s=_LIFE_S))
        await until(lambda n=each: n in ears.heard_s, 20.0, link.statistics)  # type: ignore[misc]
        delays_s.append(ears.heard_s[each] - began_s)
        index += 1
        await asyncio.sleep(0.05)


class Line:
    """A TCP line to the broker that delays, stalls, cuts and garbles as the dice say."""

    def __init__(self, port: int, dice: random.Random) -> None:
        self.fault = ""
        self.port = 0
        self._broker_port = port
        self._dice = dice
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._broker_port)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, back}
        ways = [
            asyncio.create_task(self._carry(reader, back)),
            asyncio.create_task(self._carry(there, writer)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)
        for each in (writer, back):
            each.close()
            self._writers.discard(each)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                while self.fault == "stalled":  # noqa: ASYNC110  # the dice decide, no event
                    await asyncio.sleep(0.05)
                if self.fault == "slow":
                    await asyncio.sleep(self._dice.uniform(0.0, 0.3))
                if self.fault == "garbled":
                    place = self._dice.randrange(len(data))
                    data = data[:place] + self._dice.randbytes(1) + data[place + 1 :]
                if self.fault == "cut":
                    writer.write(data[: self._dice.randrange(len(data))])
                    return
                writer.write(data)
                await writer.drain()


async def _bad_line(seconds: float, dice: random.Random, broker: Mosquitto) -> dict[str, Figure]:
    """A fault for some seconds, then a good line, on which everything must be well again."""
    line = Line(broker.port, dice)
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    end_s, num_faults, well_after_s = time.monotonic() + seconds, 0, []
    async with (
        server,
        running(make_config(f"mqtt://127.0.0.1:{line.port}")) as link,
        listening(broker.port) as ears,
    ):
        while time.monotonic() < end_s:
            line.fault = dice.choice(["stalled", "slow", "garbled", "cut"])
            for _ in range(dice.randrange(1, 4)):
                link.publish(fresh_decision(f"b{dice.random()}", expires_in_s=1.0))
                await asyncio.sleep(dice.uniform(0.1, 1.0))
            fault, line.fault = line.fault, ""
            num_faults += 1
            well_s = time.monotonic()
            while True:  # what was garbled may have counted as delivered: the next one must arrive
                name = f"w{num_faults}-{time.monotonic()}"
                link.publish(fresh_decision(name, segment=num_faults, expires_in_s=_LIFE_S))
                with contextlib.suppress(AssertionError):
                    await until(lambda n=name: n in ears.heard_s, timeout_s=_LIFE_S + 1)  # type: ignore[misc]
                    break
                if time.monotonic() - well_s > 30.0:
                    raise ViolationError(f"fault {num_faults} ({fault}) was never got over")
            well_after_s.append(time.monotonic() - well_s)
    return {
        "num_faults": num_faults,
        "well_after_p50_s": round(percentile(well_after_s, 0.5), 3),
        "well_after_max_s": round(max(well_after_s), 3),
    }


def _campaign(
    work: Callable[[float, random.Random, Mosquitto], Coroutine[Any, Any, dict[str, Figure]]],
) -> Campaign:
    def run(seconds: float, seed: int) -> Mapping[str, Figure]:
        async def with_broker() -> dict[str, Figure]:
            with tempfile.TemporaryDirectory() as folder:
                async with mosquitto(Path(folder) / "broker") as broker:
                    return await work(seconds, random.Random(seed), broker)

        return asyncio.run(with_broker())

    return run


CAMPAIGNS: Final[Mapping[str, Campaign]] = {
    "broker: restarts": _campaign(_restarts),
    "broker: a bad line": _campaign(_bad_line),
    "broker: command floods": _campaign(_floods),
}
