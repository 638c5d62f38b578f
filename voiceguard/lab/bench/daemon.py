"""Measures this machine: the encoder alone, and the whole daemon as a user runs it.

The daemon is a process of its own, fed with real-time audio on standard input, and publishes to
a broker; latency is taken at a subscriber, CPU time and memory from the kernel. Nothing here is
used by the daemon itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import statistics
import sys
import tempfile
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt
import numpy as np

from voiceguard.audio.config import AudioConfig
from voiceguard.errors import BrokerError, StateError
from voiceguard.lab.bench.memory import peak_memory_mb
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from voiceguard.encoder.config import EncoderConfig
    from voiceguard.protocols import Encoder
    from voiceguard.types import Samples

BLOCK_S = AudioConfig().block_ms / 1000
"""As a microphone delivers it."""
WINDOWS_S = (1.0, 2.0, 3.0, 4.0)
NUM_REPEATS = 30
START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderTiming:
    """Milliseconds per window of each length, features included; medians."""

    window_s: float
    median_ms: float
    min_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonTiming:
    """One run of the daemon."""

    start_to_ready_s: float
    num_decisions: int
    latency_p50_ms: float
    latency_p99_ms: float
    """Last sample delivered to the daemon until the final decision is received over MQTT."""
    cpu_speech_percent: float
    """Of one core, while somebody speaks without a pause."""
    cpu_silence_percent: float
    memory_mb: float
    """Resident, the highest seen."""
    seconds: float
    broker: str


def time_encoder(
    encoder: Encoder, *, windows_s: Sequence[float] = WINDOWS_S, num_repeats: int = NUM_REPEATS
) -> list[EncoderTiming]:
    """Embeds noise of every window length over and over."""
    rng = np.random.default_rng(0)
    timings = []
    for window_s in windows_s:
        samples = rng.normal(0, 0.1, round(window_s * SAMPLE_RATE_HZ)).astype(np.float32)
        encoder.embed(samples)
        runs_ms = []
        for _ in range(num_repeats):
            began = time.perf_counter()
            encoder.embed(samples)
            runs_ms.append((time.perf_counter() - began) * 1e3)
        timings.append(
            EncoderTiming(
                window_s=window_s,
                median_ms=round(statistics.median(runs_ms), 2),
                min_ms=round(min(runs_ms), 2),
            )
        )
    return timings


@dataclass(slots=True)
class _Heard:
    """What the subscriber has received."""

    latencies_ms: list[float] = field(default_factory=list)


async def time_daemon(
    speech: Samples,
    *,
    seconds: float,
    encoder: EncoderConfig | None = None,
    on_progress: Callable[[str, float], None] = lambda _phase, _done: None,
) -> DaemonTiming:
    """Runs the daemon for a while on speech without pauses, on utterances, and on silence.

    Args:
        speech: ``(num_samples,)`` mono 16 kHz, repeated as often as needed.
        seconds: In all, a third for each phase.
        encoder: The daemon's, its model by name or as a path, for the state directory is another;
            None: the default one.
        on_progress: Told the phase, and what share of it is done.

    Raises:
        BrokerError: No broker could be started or reached.
        StateError: The daemon did not start.
    """
    heard = _Heard()
    with tempfile.TemporaryDirectory(prefix="voiceguard-bench-") as directory:
        async with _broker(Path(directory)) as (port, broker_name):
            subscriber = asyncio.create_task(_subscribe(port, heard), name="subscriber")
            try:
                async with _daemon(Path(directory), port, encoder) as (process, start_to_ready_s):
                    phases = await _feed(process, speech, seconds / 3, on_progress)
                    memory_mb = peak_memory_mb(process.pid)
            finally:
                subscriber.cancel()
                with suppress(asyncio.CancelledError):
                    await subscriber
    if not heard.latencies_ms:
        raise BrokerError("the daemon published no decision", hint="run `voiceguard doctor`")
    return DaemonTiming(
        start_to_ready_s=round(start_to_ready_s, 2),
        num_decisions=len(heard.latencies_ms),
        latency_p50_ms=round(float(np.percentile(heard.latencies_ms, 50)), 1),
        latency_p99_ms=round(float(np.percentile(heard.latencies_ms, 99)), 1),
        cpu_speech_percent=round(phases["speech"] * 100, 2),
        cpu_silence_percent=round(phases["silence"] * 100, 2),
        memory_mb=round(memory_mb, 1),
        seconds=seconds,
        broker=broker_name,
    )


# --- the parts of a run ---------------------------------------------------------------------


@asynccontextmanager
async def _broker(directory: Path) -> AsyncIterator[tuple[int, str]]:
    """A real mosquitto where there is one, else the embedded broker in this process."""
    mosquitto = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if mosquitto is None:
        from voiceguard.mqtt.embedded import embedded_broker  # noqa: PLC0415  # an extra

        async with embedded_broker() as address:
            yield address.port, "embedded (amqtt)"
        return
    port = _free_port()
    config = directory / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    process = await asyncio.create_subprocess_exec(
        mosquitto, "-c", str(config), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _wait_for_port(port)
        yield port, "mosquitto"
    finally:
        process.terminate()
        await process.wait()


async def _subscribe(port: int, heard: _Heard) -> None:
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("voiceguard/bench/decision", qos=1)
        async for message in client.messages:
            received_at_s = time.time()
            payload = json.loads(bytes(message.payload))
            delivered_at = datetime.fromisoformat(payload["delivered_at"])
            heard.latencies_ms.append((received_at_s - delivered_at.timestamp()) * 1e3)


@asynccontextmanager
async def _daemon(
    directory: Path, port: int, encoder: EncoderConfig | None
) -> AsyncIterator[tuple[asyncio.subprocess.Process, float]]:
    """The daemon as its own process; yields it and how long it took to be ready."""
    address = str(directory / "notify")
    log = directory / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, log.open("wb") as log_file:
        notify.bind(address)
        notify.setblocking(False)  # noqa: FBT003  # socket's own signature
        began_s = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "voiceguard", "run", "--source", "stdin"),
            *("--broker", f"mqtt://127.0.0.1:{port}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=log_file,
            env={
                **os.environ,
                "NOTIFY_SOCKET": address,
                "VOICEGUARD_STATE_DIR": str(directory / "state"),
                "VOICEGUARD_MQTT__NODE_ID": "bench",
                "VOICEGUARD_LOG__LEVEL": "warning",
                **({} if encoder is None else _environment(encoder)),
            },
        )
        try:
            await _wait_until_ready(notify, process, log)
            yield process, time.monotonic() - began_s
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


def _environment(encoder: EncoderConfig) -> dict[str, str]:
    return {
        "VOICEGUARD_ENCODER__MODEL": encoder.model,
        "VOICEGUARD_ENCODER__DEVICE": encoder.device,
        "VOICEGUARD_ENCODER__RUNTIME": encoder.runtime,
        "VOICEGUARD_ENCODER__NUM_THREADS": str(encoder.num_threads),
    }


async def _wait_until_ready(
    notify: socket.socket, process: asyncio.subprocess.Process, log: Path
) -> None:
    loop = asyncio.get_running_loop()
    with suppress(TimeoutError):
        async with asyncio.timeout(START_TIMEOUT_S):
            while process.returncode is None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        if b"READY=1" in await loop.sock_recv(notify, 4096):
                            return
    said = log.read_text()[-2000:]  # noqa: ASYNC240  # a short file, and nothing runs any more
    raise StateError(
        f"the daemon was not ready within {START_TIMEOUT_S:.0f} s: {said}",
        hint="run `voiceguard doctor`",
    )


async def _feed(
    process: asyncio.subprocess.Process,
    speech: Samples,
    phase_s: float,
    on_progress: Callable[[str, float], None],
) -> dict[str, float]:
    """Plays the three phases in real time; returns each one's CPU seconds per second."""
    rng = np.random.default_rng(0)
    room = rng.normal(0, 1e-4, 5 * SAMPLE_RATE_HZ).astype(np.float32)
    pause = room[: round(1.2 * SAMPLE_RATE_HZ)]
    num_utterances = max(1, len(speech) // (3 * SAMPLE_RATE_HZ))
    parts = np.array_split(speech, num_utterances)
    utterances = np.concatenate([np.concatenate([part, pause]) for part in parts])
    shares = {}
    for name, audio in (("silence", room), ("speech", speech), ("utterances", utterances)):
        cpu_s, began_s = _cpu_s(process.pid), time.monotonic()
        await _play(process, audio, phase_s, partial(on_progress, name))
        shares[name] = (_cpu_s(process.pid) - cpu_s) / (time.monotonic() - began_s)
    return shares


async def _play(
    process: asyncio.subprocess.Process,
    audio: Samples,
    seconds: float,
    on_progress: Callable[[float], None],
) -> None:
    assert process.stdin is not None
    pcm = (np.clip(audio, -1, 1) * 32767).astype("<i2")
    block = round(BLOCK_S * SAMPLE_RATE_HZ)
    began_s = time.monotonic()
    num_blocks = round(seconds / BLOCK_S)
    for number in range(num_blocks):
        first = number * block
        part = np.take(pcm, range(first, first + block), mode="wrap")
        process.stdin.write(part.tobytes())
        await process.stdin.drain()
        on_progress((number + 1) / num_blocks)
        await asyncio.sleep(max(0.0, began_s + (number + 1) * BLOCK_S - time.monotonic()))


def _cpu_s(pid: int) -> float:
    """User and system time of a process so far; Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _wait_for_port(port: int) -> None:
    for _ in range(100):
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
            return
        await asyncio.sleep(0.05)
    raise BrokerError(f"mosquitto did not listen on port {port}", hint="is it installed whole?")


def as_dict(value: Any) -> dict[str, Any]:  # noqa: ANN401  # a dataclass of this module
    """For ``--json``."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
