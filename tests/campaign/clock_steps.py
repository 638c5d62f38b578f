"""The wall clock is set back and forward while the broker is away.

A link to a real mosquitto runs in a process of its own, under a preload of our own that shifts
CLOCK_REALTIME alone. It makes an accept each half second; this process, whose clock nobody sets,
hears how old each one is when it arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.campaign.protocol import ViolationError
from tests.integration.mosquitto import Consumer, Mosquitto, consumer, mosquitto, until
from tests.integration.test_mosquitto import BASE, make_config, running
from tests.mqtt.decisions import make_decision
from voiceguard.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.campaign.protocol import Campaign, Figure

LIFE_S = 3.0
HOLD_S = 4.0
SLACK_S = 1.5
"""A message expiry counts whole seconds, and a loaded machine hears late."""
SHIFTS_S: Final = (-3600, 60, -86_400, 3600, -7, 86_400, -60, 7)


def compiled(folder: Path) -> Path | None:
    """The preload; None where nobody can compile it."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library = folder / "wall_clock.so"
    source = Path(__file__).with_name("wall_clock.c")
    command = (compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, source)
    subprocess.run((*command, "-ldl"), check=True)
    return library


def _set_clock(shift: Path, shift_s: int) -> None:
    """From now on, in the process that was started with that file."""
    shift.write_text(str(shift_s))


async def be_the_daemon(broker: str) -> None:
    """Accepts alice each half second until standard input ends; the moment is in the name."""
    loop = asyncio.get_running_loop()
    config = make_config(broker, occupancy_hold_s=HOLD_S)
    told = loop.run_in_executor(None, sys.stdin.readline)
    async with running(config, is_connected=False) as link:
        for number in range(1_000_000):
            if told.done():
                if not told.result():
                    return
                told = loop.run_in_executor(None, sys.stdin.readline)
                # Silence for as long as somebody counts as present, and some more.
                await asyncio.sleep(HOLD_S + SLACK_S + 2.0)
            name = f"{time.monotonic():.3f}-{number}"
            now = SystemClock().utc()
            link.publish(make_decision(name, at=now, expires_in_s=LIFE_S, segment=number))
            await asyncio.sleep(0.5)


@contextlib.asynccontextmanager
async def daemon(
    broker: Mosquitto, library: Path, shift: Path
) -> AsyncIterator[asyncio.StreamWriter]:
    """Its process, told by a line to be silent for a while."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, broker.url),
        stdin=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "LD_PRELOAD": str(library),
            "SHIFT_FILE": str(shift),
        },
    )
    assert process.stdin is not None
    try:
        yield process.stdin
    finally:
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 20.0)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _round(
    broker: Mosquitto, shift: Path, shift_s: int, away_s: float, seen: list[tuple[float, float]]
) -> None:
    """The broker goes, the clock is set, the broker comes back; what is heard then is fresh."""
    await broker.stop()
    await asyncio.sleep(away_s / 2)
    _set_clock(shift, shift_s)
    await asyncio.sleep(away_s / 2)
    await broker.start()
    async with consumer(broker.port, f"{BASE}/decision") as listener:
        began_s = time.monotonic()
        while time.monotonic() < began_s + 4.0:
            await asyncio.sleep(0.01)
            _hear(listener, shift_s, seen)
    if not seen:
        raise ViolationError(f"nothing was heard after a step of {shift_s} s")


def _hear(listener: Consumer, shift_s: int, seen: list[tuple[float, float]]) -> None:
    """Age, and what is left by the clock that was set, of every decision that has come."""
    now_s = time.monotonic()
    for message in listener.messages:
        assert isinstance(message.payload, bytes)
        payload = json.loads(message.payload)
        age_s = now_s - float(payload["decision_id"].partition("-")[0])
        expiry_s = vars(message.properties).get("MessageExpiryInterval", 0)
        there = datetime.now(UTC) + timedelta(seconds=shift_s)
        left_s = (datetime.fromisoformat(payload["expires_at"]) - there).total_seconds()
        if age_s > LIFE_S + SLACK_S:
            raise ViolationError(f"step {shift_s} s: an accept {age_s:.1f} s old, as if fresh")
        if not 0 < expiry_s <= LIFE_S:
            raise ViolationError(f"step {shift_s} s: a message expiry of {expiry_s} s")
        if not -SLACK_S < left_s <= LIFE_S + SLACK_S:
            raise ViolationError(f"step {shift_s} s: expires_at is {left_s:.1f} s from now")
        seen.append((age_s, left_s))
    listener.messages.clear()


async def _occupancy_ends(
    broker: Mosquitto, shift: Path, shift_s: int, stdin: asyncio.StreamWriter
) -> float:
    """Nobody speaks any more, and the clock is set: how long ``ON`` stays."""
    async with consumer(broker.port, f"{BASE}/occupancy/alice") as listener:
        await until(lambda: listener.last(f"{BASE}/occupancy/alice") == "ON")
        stdin.write(b"silence\n")
        await stdin.drain()
        began_s = time.monotonic()
        _set_clock(shift, shift_s)
        await until(
            lambda: listener.last(f"{BASE}/occupancy/alice") == "OFF", HOLD_S + SLACK_S + 1.0
        )
        return time.monotonic() - began_s


def run(seconds: float, seed: int) -> Mapping[str, Figure]:
    """All steps in turn, back and forward, until the time is over; at least two."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = compiled(folder)
        if library is None:
            return {"SKIPPED": "there is no C compiler called cc"}
        return asyncio.run(_campaign(seconds, random.Random(seed), folder, library))


async def _campaign(
    seconds: float, dice: random.Random, folder: Path, library: Path
) -> dict[str, Figure]:
    shift = folder / "shift"
    _set_clock(shift, 0)
    seen: list[tuple[float, float]] = []
    held_s: list[float] = []
    num_steps, end_s = 0, time.monotonic() + seconds
    async with (
        mosquitto(folder / "broker") as broker,
        daemon(broker, library, shift) as stdin,
    ):
        async with consumer(broker.port) as listener:
            await until(lambda: listener.last(f"{BASE}/availability") == "online", 30.0)
        while num_steps < 2 or time.monotonic() < end_s:
            shift_s = SHIFTS_S[num_steps // 2 % len(SHIFTS_S)]
            await _round(broker, shift, shift_s, dice.uniform(2.0, 8.0), seen)
            held_s.append(await _occupancy_ends(broker, shift, -shift_s, stdin))
            num_steps += 2
            await asyncio.sleep(2.5)  # it speaks again
    return {
        "num_steps": num_steps,
        "num_accepts_heard": len(seen),
        "num_stale": 0,
        "oldest_s": round(max(age_s for age_s, _ in seen), 2),
        "occupancy_ended_after_max_s": round(max(held_s), 2),
    }


CAMPAIGNS: Final[Mapping[str, Campaign]] = {"clock: steps while the broker is away": run}

if __name__ == "__main__":
    asyncio.run(be_the_daemon(sys.argv[1]))
