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

from tests.audio.sound_files import tone, write_audio
from voiceguard.audio import stdin
from voiceguard.audio.config import AudioConfig
from voiceguard.audio.sniffing import NEEDED_MPEG_BYTES, kind_of
from voiceguard.audio.stdin import StandardInput, Taken
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
    chunk = await asyncio.wait_for(anext(events), 10.0)
    assert isinstance(chunk, AudioChunk)
    assert chunk.samples.shape == (320, 1)
    waiting = asyncio.ensure_future(anext(events, None))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await source.close()
    assert await asyncio.wait_for(waiting, 10.0) is None


CONTAINERS = {
    "a.wav": ("pcm_s16le", "s16"),
    "a.flac": ("flac", "s16"),
    "a.opus": ("libopus", "flt"),
    "a.mp3": ("libmp3lame", "fltp"),
    "a.aac": ("aac", "fltp"),
    "a.mka": ("flac", "s16"),
}


@pytest.mark.parametrize("name", CONTAINERS)
async def test_a_container_is_known_by_its_first_bytes_and_decoded(
    name: str, pipe: tuple[int, int], executor: ThreadPoolExecutor, tmp_path: Path
) -> None:
    """In pieces, as a program writes it; its own rate and channels count, not the settings'."""
    codec, sample_format = CONTAINERS[name]
    sent = tone(1.0, 48_000, channels=2)
    options = {"write_xing": "0", "id3v2_version": "0"} if name == "a.mp3" else {}
    path = write_audio(
        tmp_path / name, sent, 48_000, codec=codec, sample_format=sample_format, options=options
    )
    content = path.read_bytes()
    assert kind_of(content[:NEEDED_MPEG_BYTES]) is not None

    def write() -> None:
        for first in range(0, len(content), 1_013):
            os.write(pipe[1], content[first : first + 1_013])
        os.close(pipe[1])

    thread = threading.Thread(target=write)
    thread.start()
    source = StandardInput("s", AudioConfig(), executor, clock=SystemClock(), descriptor=pipe[0])
    events = await everything(source)
    thread.join()
    read = joined(events)
    assert read.shape[1] == 2
    assert len(read) == pytest.approx(48_000, abs=4_000)
    spectrum = np.abs(np.fft.rfft(read[4_000:40_000, 0]))
    assert np.argmax(spectrum) == pytest.approx(440 * 36_000 / 48_000, abs=1)
    assert isinstance(events[-1], SourceStatus)
    assert events[-1].state is SourceState.ENDED


async def test_a_container_that_cannot_be_read_from_a_pipe_is_refused_by_name(
    pipe: tuple[int, int], executor: ThreadPoolExecutor
) -> None:
    os.write(pipe[1], b"RIFF\x24\x00\x00\x00WAVEfmt \xff\xff" + bytes(30))
    os.close(pipe[1])
    source = StandardInput("s", AudioConfig(), executor, clock=SystemClock(), descriptor=pipe[0])
    with pytest.raises(AudioError, match=r"standard input \(WAV\)"):
        await everything(source)


async def test_a_container_whose_writer_stops_midway_does_not_hold_up_closing(
    pipe: tuple[int, int], executor: ThreadPoolExecutor, tmp_path: Path
) -> None:
    path = write_audio(tmp_path / "a.wav", tone(2.0, 16_000), 16_000)
    os.write(pipe[1], path.read_bytes()[:40_000])
    source = StandardInput("s", AudioConfig(), executor, clock=SystemClock(), descriptor=pipe[0])
    reading = asyncio.ensure_future(everything(source))
    await asyncio.sleep(0.3)
    await source.close()
    assert await asyncio.wait_for(reading, 10.0)


async def test_what_was_said_while_nobody_read_is_passed_over(
    pipe: tuple[int, int], executor: ThreadPoolExecutor
) -> None:
    """Armed again after hours: what stands in the pipe, and before it, is as old as that."""
    before, old, fresh = (np.full(8_000, n * 0x0101, "<i2").tobytes() for n in (1, 2, 3))
    taken = Taken()

    def opened() -> StandardInput:
        return StandardInput(
            "s", AudioConfig(), executor, clock=SystemClock(), descriptor=pipe[0], taken=taken
        )

    first = opened()
    os.write(pipe[1], before[:-1])  # half of the last sample is still to come
    async for event in first.events():
        if isinstance(event, AudioChunk):
            await first.close()
    taken.leave(time.monotonic() - 60.0)
    os.write(pipe[1], before[-1:] + old)

    def write_on() -> None:
        """A program that held 5 s, and goes on as it hears."""
        os.write(pipe[1], 10 * old)
        for start in range(0, 3 * len(fresh), 800):
            time.sleep(0.025)
            os.write(pipe[1], (3 * fresh)[start : start + 800])
        os.close(pipe[1])

    source = opened()
    writer = threading.Thread(target=write_on)
    writer.start()
    heard = await everything(source)
    writer.join()
    assert set(np.round(joined(heard).ravel() * 32768).tolist()) == {0x0303}, "and no half samples"
    counts = source.statistics()
    assert 0 < counts.samples_delivered < 3 * 8_000
    assert counts.samples_missed == 0, "nobody was to hear it"
    assert taken.left_at_s is None


async def test_no_more_is_passed_over_than_was_left_unread(
    pipe: tuple[int, int], executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast it comes: a recording that is poured into the pipe, say."""
    monkeypatch.setattr(stdin, "_MAX_PIPE_BYTES", 0)
    taken = Taken(left_at_s=time.monotonic() - 1.0)
    source = StandardInput(
        "s", AudioConfig(), executor, clock=SystemClock(), descriptor=pipe[0], taken=taken
    )

    def pour() -> None:
        os.write(pipe[1], bytes(2 * 48_000))
        os.close(pipe[1])

    writer = threading.Thread(target=pour)
    writer.start()
    await everything(source)
    writer.join()
    assert 26_000 < source.statistics().samples_delivered < 32_000


@pytest.mark.parametrize("name", ["a.wav", "a.raw"])
async def test_a_file_does_not_grow_old(
    name: str, executor: ThreadPoolExecutor, tmp_path: Path
) -> None:
    path = write_audio(tmp_path / "a.wav", tone(1.0, 16_000), 16_000)
    if name == "a.raw":
        path = tmp_path / "a.raw"
        path.write_bytes(bytes(32_000))
    with path.open("rb") as file:
        source = StandardInput(
            "s",
            AudioConfig(),
            executor,
            clock=SystemClock(),
            descriptor=file.fileno(),
            taken=Taken(left_at_s=0.0),
        )
        assert len(joined(await everything(source))) == 16_000


@pytest.mark.parametrize(
    ("taken", "num_bytes"), [(Taken(left_at_s=0.0), 0), (Taken(num_bytes=99, kind="WAV"), 99)]
)
async def test_a_container_that_nobody_has_read_is_not_taken_for_raw_samples(
    taken: Taken,
    num_bytes: int,
    pipe: tuple[int, int],
    executor: ThreadPoolExecutor,
    tmp_path: Path,
) -> None:
    """Neither one that was left in the middle, nor one that was begun before it was armed."""
    content = write_audio(tmp_path / "a.wav", tone(1.0, 16_000), 16_000).read_bytes()
    os.write(pipe[1], content[num_bytes:])
    source = StandardInput(
        "s", AudioConfig(), executor, clock=SystemClock(), descriptor=pipe[0], taken=taken
    )
    with pytest.raises(AudioError, match=r"a container \(WAV\), which can't be taken up") as raised:
        await everything(source)
    assert "raw PCM" in raised.value.hint


async def test_a_reader_that_leaves_before_a_container_is_open_holds_up_nobody_else(
    pipe: tuple[int, int], tmp_path: Path
) -> None:
    path = write_audio(tmp_path / "a.wav", tone(1.0, 16_000), 16_000)
    os.write(pipe[1], path.read_bytes()[:40])  # its header goes on
    with ThreadPoolExecutor(1) as pool:
        source = StandardInput("s", AudioConfig(), pool, clock=SystemClock(), descriptor=pipe[0])
        reading = asyncio.ensure_future(everything(source))
        await asyncio.sleep(0.2)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        try:
            assert pool.submit(lambda: "free").result(timeout=5) == "free"
        finally:
            await source.close()


@pytest.mark.parametrize("start", [b"\xff\xff\xfe\xff", b"\xff\xfb\x90\x64", b"\xff\xf1\x50\x80"])
async def test_soft_samples_are_no_mpeg_audio(
    start: bytes, pipe: tuple[int, int], executor: ThreadPoolExecutor
) -> None:
    """They begin like it; what follows tells."""
    noise = np.random.default_rng(0).integers(-9, 9, 3_000).astype("<i2").tobytes()
    os.write(pipe[1], start + noise)
    os.close(pipe[1])
    source = StandardInput("s", AudioConfig(), executor, clock=SystemClock(), descriptor=pipe[0])
    assert len(joined(await everything(source))) == 3_000 + len(start) // 2


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
from tests.audio.sound_files import tone, write_audio
from voiceguard.audio.config import AudioConfig
from voiceguard.audio.sniffing import NEEDED_MPEG_BYTES, kind_of
from voiceguard.audio.stdin import StandardInput, Taken
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
        assert process.wait(timeout=20) == 0


async def test_no_standard_input_is_not_whatever_file_has_its_number(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started with it closed (`<&-`), the first file that a process opens gets number 0."""
    monkeypatch.setattr("sys.__stdin__", None)
    source = StandardInput("s", AudioConfig(), executor, clock=SystemClock())
    with pytest.raises(AudioError, match="standard input is closed") as caught:
        await everything(source)
    assert "arecord" in caught.value.hint


async def test_a_standard_input_that_can_only_be_written_to_is_an_error_in_words(
    executor: ThreadPoolExecutor, tmp_path: Path
) -> None:
    with (tmp_path / "out").open("wb") as file:
        source = StandardInput(
            "s", AudioConfig(), executor, clock=SystemClock(), descriptor=file.fileno()
        )
        with pytest.raises(AudioError, match="can't be read: Bad file descriptor"):
            await everything(source)


def test_a_process_that_begins_anew_goes_on_in_the_middle_of_its_input() -> None:
    code = (
        "import os, sys\n"
        "from voiceguard.audio import stdin\n"
        "print(stdin.OF_PROCESS.num_bytes, stdin.OF_PROCESS.kind, flush=True)\n"
        "if not stdin.OF_PROCESS.num_bytes:\n"
        "    stdin.OF_PROCESS.num_bytes = 4097\n"
        "    stdin.carry_over()\n"
        "    os.execv(sys.executable, sys.orig_argv)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stdout.splitlines() == ["0 None", "4097 None"]
