"""A whole daemon for as long as there is time: it decides, and grows in nothing.

``voiceguard run`` on standard input in real time, by a real mosquitto: two who are enrolled and a
stranger speak by turns. Memory, descriptors and threads are in the end those of the beginning, but
for the first minute (or fifth of the time).
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil  # type: ignore[import-untyped]

from tests.campaign.protocol import ViolationError
from tests.integration.mosquitto import Consumer, Mosquitto, consumer, mosquitto
from tests.pinned.product import MODEL, copy_of_state, environment, voiceguard
from tests.pinned.sounds import RATE_HZ, SPEAKERS, pcm, utterance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.campaign.protocol import Campaign, Figure

BASE = "voiceguard/den"
MAX_GROWTH_MB = 20.0
MAX_GROWTH_MB_PER_H = 10.0
_WARM_S = 60.0
_SETTINGS = {
    "VOICEGUARD_MQTT__NODE_ID": "den",
    "VOICEGUARD_POLICY__P_FA": "0.05",
    "VOICEGUARD_SERVICE__VOICEPRINT_POLL_S": "1",
    "VOICEGUARD_LOG__LEVEL": "warning",
}


def run(seconds: float, seed: int) -> Mapping[str, Figure]:
    """Ten seconds at least are heard."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_soak(seconds, random.Random(seed), Path(folder)))


async def _soak(seconds: float, dice: random.Random, folder: Path) -> dict[str, Figure]:
    state = copy_of_state(folder)
    for name in ("eve", "cleo", "dora"):
        await asyncio.to_thread(voiceguard, "voiceprints", "remove", name, "--yes", state=state)
    async with mosquitto(folder / "broker") as broker, consumer(broker.port) as listener:
        process = await _started(state, broker)
        try:
            await listener.until(lambda: _status(listener).get("state") == "listening", 120.0)
            watched = psutil.Process(process.pid)
            speaking = asyncio.create_task(_speak(process, dice), name="campaign voices")
            try:
                figures = await _watched(watched, seconds, listener)
            finally:
                speaking.cancel()
                await asyncio.wait({speaking})
            status = _status(listener)
        finally:
            process.kill()
            await process.wait()
    if status.get("state") != "listening":
        raise ViolationError(f"in the end it was {status}")
    lost = status["streams"]["kitchen"]["samples_lost"]
    return {
        **figures,
        "samples_lost": lost,
        "decisions_dropped": status["mqtt"]["decisions_dropped"],
    }


async def _started(state: Path, broker: Mosquitto) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voiceguard", "run", "--source", "kitchen=stdin"),
        *("--model", str(MODEL), "--broker", f"mqtt://127.0.0.1:{broker.port}"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment(state, **_SETTINGS),
    )


async def _speak(process: asyncio.subprocess.Process, dice: random.Random) -> None:
    """In real time, a tenth of a second at once."""
    assert process.stdin is not None
    began_s, num_bytes, number = time.monotonic(), 0, 0
    step = RATE_HZ // 10 * 2
    while True:
        number += 1
        speaker = SPEAKERS[dice.choice(["ada", "ben", "eve"])]
        spoken = pcm(utterance(speaker, number % 50, dice.uniform(1.0, 4.0)))
        spoken += bytes(2 * round(dice.uniform(0.5, 2.0) * RATE_HZ))
        for first in range(0, len(spoken), step):
            process.stdin.write(spoken[first : first + step])
            await process.stdin.drain()
            num_bytes += len(spoken[first : first + step])
            ahead_s = num_bytes / (2 * RATE_HZ) - (time.monotonic() - began_s)
            await asyncio.sleep(max(0.0, ahead_s))


async def _watched(
    process: psutil.Process, seconds: float, listener: Consumer
) -> dict[str, Figure]:
    """Looks at it each second; the listener's memory is its own affair and is emptied."""
    began_s, num_decisions = time.monotonic(), 0
    warm_s = min(_WARM_S, seconds / 5)
    samples: list[tuple[float, float, int, int]] = []
    while (now_s := time.monotonic() - began_s) < max(10.0, seconds):
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            raise ViolationError(f"it ended after {now_s:.0f} s")
        memory_mb = process.memory_info().rss / 1e6
        samples.append((now_s, memory_mb, process.num_fds(), process.num_threads()))
        num_decisions += len(listener.payloads(f"{BASE}/decision"))
        about = [each for each in listener.messages if str(each.topic) == f"{BASE}/status"]
        listener.messages[:] = about[-1:]
        await asyncio.sleep(1.0)
    warm = [each for each in samples if each[0] >= warm_s]
    first, last = warm[: max(1, len(warm) // 5)], warm[-max(1, len(warm) // 5) :]
    grown_mb = max(each[1] for each in last) - max(each[1] for each in first)
    allowed_mb = max(MAX_GROWTH_MB, MAX_GROWTH_MB_PER_H * seconds / 3600)
    if grown_mb > allowed_mb:
        raise ViolationError(f"{grown_mb:.0f} MB more in {seconds:.0f} s")
    for place, what in ((2, "descriptors"), (3, "threads")):
        before, after = max(each[place] for each in first), min(each[place] for each in last)
        if after > before:
            raise ViolationError(f"{after} {what}, and {before} in the beginning")
    if not num_decisions:
        raise ViolationError(f"nothing was decided in {seconds:.0f} s")
    return {
        "heard_s": round(samples[-1][0]),
        "num_decisions": num_decisions,
        "memory_mb": round(max(each[1] for each in samples)),
        "grown_mb": round(grown_mb, 1),
        "num_descriptors": max(each[2] for each in last),
        "num_threads": max(each[3] for each in last),
    }


def _status(listener: Consumer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(listener.last(f"{BASE}/status") or "{}")
    return found


CAMPAIGNS: Final[Mapping[str, Campaign]] = {"soak: a whole daemon": run}
