"""Raw PCM through a pipe, and through a redirected file."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from structlog.testing import capture_logs

from voiceguard.audio.config import AudioConfig
from voiceguard.audio.stdin import StandardInput
from voiceguard.clock import SystemClock
from voiceguard.errors import AudioError
from voiceguard.types import AudioChunk, SourceState, SourceStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        try:
            os.close(end)
        except OSError:  # closed by the test
            continue


async def everything(source: StandardInput) -> list[AudioChunk | SourceStatus]:
    return [event async for event in source.events()]


def joined(
    events: list[AudioChunk | SourceStatus],
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    chunks = [event for event in events if isinstance(event, AudioChunk)]
    position = 0
    for chunk in chunks:
        assert chunk.first_sample == position
        position += len(chunk.samples)
    return np.concatenate([chunk.samples for chunk in chunks])


async def test_pcm_is_read_however_the_pipe_cuts_it_and_waits_for_its_reader(
    pipe: tuple[int, int], executor: ThreadPoolExecutor
) -> None:
    """Odd pieces cut samples in two; 400 kB is more than a pipe holds."""
    reader, writer = pipe
    sent = np.random.default_rng(1).integers(-32_768, 32_767, (100_000, 2)).astype("<i2")
    data = sent.tobytes()

    def write() -> None:
        for first in range(0, len(data), 9_973):
            os.write(writer, data[first : first + 9_973])
        os.close(writer)

    thread = threading.Thread(target=write)
    thread.start()
    config = AudioConfig(stdin_channels=2, stdin_rate_hz=44_100)
    source = StandardInput("s", config, executor, clock=SystemClock(), descriptor=reader)
    events = await everything(source)
    thread.join()
    np.testing.assert_array_equal(joined(events), sent.astype(np.float32) / 32_768)
    assert source.statistics().samples_delivered == len(sent)
    statuses = [event.state for event in events if isinstance(event, SourceStatus)]
    assert statuses == [SourceState.LISTENING, SourceState.ENDED]


async def test_floats_from_a_redirected_file(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    sent = np.random.default_rng(1).standard_normal(40_000).astype("<f4")
    (tmp_path / "raw").write_bytes(sent.tobytes())
    with (tmp_path / "raw").open("rb") as file:
        config = AudioConfig(stdin_format="f32le")
        source = StandardInput("s", config, executor, clock=SystemClock(), descriptor=file.fileno())
        np.testing.assert_array_equal(joined(await everything(source))[:, 0], sent)


async def test_a_partial_sample_at_the_end_is_dropped_and_logged(
    pipe: tuple[int, int], executor: ThreadPoolExecutor
) -> None:
    os.write(pipe[1], b"\x00\x40\x01")
    os.close(pipe[1])
    with capture_logs() as logs:
        events = await everything(
            StandardInput("s", AudioConfig(), executor, clock=SystemClock(), descriptor=pipe[0])
        )
    assert joined(events).tolist() == [[0.5]]
    assert logs[0]["event"] == "partial_frame_dropped"


async def test_a_chunk_comes_when_it_is_written_and_close_ends_the_wait(
    pipe: tuple[int, int], executor: ThreadPoolExecutor
) -> None:
    source = StandardInput("s", AudioConfig(), executor, clock=SystemClock(), descriptor=pipe[0])
    events = aiter(source.events())
    assert await anext(events) == SourceStatus(state=SourceState.LISTENING)
    os.write(pipe[1], bytes(640))
    chunk = await asyncio.wait_for(anext(events), 1.0)
    assert isinstance(chunk, AudioChunk)
    assert chunk.samples.shape == (320, 1)
    waiting = asyncio.ensure_future(anext(events, None))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await source.close()
    assert await asyncio.wait_for(waiting, 0.5) is None


async def test_nothing_at_all_is_an_error(
    pipe: tuple[int, int], executor: ThreadPoolExecutor
) -> None:
    os.close(pipe[1])
    with pytest.raises(AudioError, match="without a single sample"):
        await everything(
            StandardInput("s", AudioConfig(), executor, clock=SystemClock(), descriptor=pipe[0])
        )


async def test_a_terminal_is_an_error_that_shows_how_to_pipe(executor: ThreadPoolExecutor) -> None:
    leader, follower = pty.openpty()
    try:
        with pytest.raises(AudioError, match="terminal") as caught:
            await everything(
                StandardInput(
                    "s", AudioConfig(), executor, clock=SystemClock(), descriptor=follower
                )
            )
    finally:
        os.close(leader)
        os.close(follower)
    assert "arecord" in caught.value.hint


def test_a_silent_pipe_does_not_keep_the_process_from_exiting() -> None:
    script = """
import asyncio
from concurrent.futures import ThreadPoolExecutor
from voiceguard.audio.config import AudioConfig
from voiceguard.audio.stdin import StandardInput
from voiceguard.clock import SystemClock

async def main():
    source = StandardInput("s", AudioConfig(), ThreadPoolExecutor(1), clock=SystemClock())
    async for event in source.events():
        print("listening", flush=True)
        asyncio.get_running_loop().call_later(0.1, lambda: asyncio.ensure_future(source.close()))

asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"listening\n"
        begun_s = time.monotonic()
        assert process.wait(timeout=10) == 0
        assert time.monotonic() - begun_s < 2.0
