"""Records microphones in a process of its own and tells on standard output what happens.

PortAudio reads its environment once, so a test that captures from its private PulseAudio starts
this program with that environment. A line on standard input closes the microphones.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import structlog

from voiceguard.audio.config import AudioConfig
from voiceguard.audio.microphone import Microphone
from voiceguard.clock import SystemClock
from voiceguard.errors import VoiceguardError
from voiceguard.types import AudioChunk

if TYPE_CHECKING:
    from types import TracebackType

    from voiceguard.types import Samples


def _tell(**fields: Any) -> None:  # noqa: ANN401
    print(json.dumps(fields | {"at_s": time.monotonic()}), flush=True)


async def _record(microphone: Microphone, out: Path) -> None:
    chunks: list[Samples] = []
    name = microphone.name
    try:
        async for event in microphone.events():
            if isinstance(event, AudioChunk):
                if not chunks or event.after_gap:
                    _tell(
                        stream=name,
                        first_s=event.first_sample / event.rate_hz,
                        after_gap=event.after_gap,
                        late_s=time.monotonic() - event.delivered_at_s,
                    )
                chunks.append(event.samples)
            else:
                _tell(stream=name, state=event.state.value, detail=event.detail)
    except VoiceguardError as error:
        _tell(stream=name, error=str(error), hint=error.hint, kind=type(error).__name__)
    samples = np.concatenate(chunks) if chunks else np.zeros((0, 1), dtype=np.float32)
    np.save(out / f"{name}.npy", samples)


async def _main(streams: dict[str, str | int | None], config: AudioConfig, out: Path) -> None:
    executor = ThreadPoolExecutor(len(streams) + 2)
    microphones = [
        Microphone(name, dev, config, executor, clock=SystemClock())
        for name, dev in streams.items()
    ]
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def wait_for_a_line() -> None:
        sys.stdin.readline()
        loop.call_soon_threadsafe(asked.set)

    threading.Thread(target=wait_for_a_line, daemon=True).start()
    recording = asyncio.gather(*(_record(microphone, out) for microphone in microphones))
    closing = asyncio.ensure_future(asked.wait())
    either: set[asyncio.Future[Any]] = {recording, closing}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    asked_s, asked_cpu_s = time.monotonic(), time.process_time()
    for microphone in microphones:
        await microphone.close()
    closed_s = time.monotonic()
    await recording
    _tell(
        closed_in_s=closed_s - asked_s,
        ended_in_s=time.monotonic() - asked_s,
        cpu_s=asked_cpu_s,
        statistics=[asdict(microphone.statistics()) for microphone in microphones],
    )


@dataclass
class Recorder:
    """The test's side: starts the program, waits for what it tells, closes it."""

    env: dict[str, str]
    out: Path
    streams: dict[str, str | int | None]
    config: dict[str, Any] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        arguments = [json.dumps(self.streams), json.dumps(self.config), str(self.out)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.recorder", *arguments],
            cwd=Path(__file__).parents[2],
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._collect)
        self._reader.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()

    def expect(self, timeout_s: float = 10.0, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
        """Waits for the next report with these fields; those before it are passed over."""
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while True:
                while self.told:
                    report = self.told.pop(0)
                    if fields.items() <= report.items():
                        return report
                remaining_s = deadline_s - time.monotonic()
                assert remaining_s > 0, f"no report of {fields} within {timeout_s} s"
                self._changed.wait(remaining_s)

    def close(self) -> dict[str, Any]:
        """Asks for the end; the last report: how long it took, and the statistics."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        while True:
            report = self.expect()
            if "closed_in_s" in report:
                return report

    def samples(self, stream: str = "mic") -> Samples:
        """What was recorded, gaps closed up; after ``close``."""
        recorded: Samples = np.load(self.out / f"{stream}.npy")
        return recorded

    def _collect(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.told.append(json.loads(line))
                self._changed.notify_all()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(sys.stderr))
    asyncio.run(
        _main(json.loads(sys.argv[1]), AudioConfig(**json.loads(sys.argv[2])), Path(sys.argv[3]))
    )
    os._exit(0)  # a thread may be stuck in PortAudio, whose server hangs
