"""Files of every kind as a stream and as a whole, and what is said of those that are none."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import av
import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.audio.sound_files import tone, write_audio
from voiceguard.audio.files import AudioFile, load_audio
from voiceguard.clock import SystemClock
from voiceguard.errors import AudioError
from voiceguard.types import AudioChunk, SourceState, SourceStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

P = ParamSpec("P")
T = TypeVar("T")

FORMATS = {
    "wav16": ("a.wav", "pcm_s16le", "s16", 1e-4),
    "wav24": ("a.wav", "pcm_s24le", "s32", 1e-6),
    "float": ("a.wav", "pcm_f32le", "flt", 1e-7),
    "flac": ("a.flac", "flac", "s16", 1e-4),
    "m4a": ("a.m4a", "aac", "fltp", 0.5),
    "mp3": ("a.mp3", "libmp3lame", "fltp", 0.05),
    "opus": ("a.opus", "libopus", "flt", 0.05),
}


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


async def everything(source: AudioFile) -> tuple[list[AudioChunk], list[SourceStatus]]:
    events = [event async for event in source.events()]
    return (
        [event for event in events if isinstance(event, AudioChunk)],
        [event for event in events if isinstance(event, SourceStatus)],
    )


@pytest.mark.parametrize("kind", FORMATS)
async def test_every_container_gives_its_audio(
    kind: str, tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    name, codec, sample_format, tolerance = FORMATS[kind]
    samples = tone(1.3, 48_000, channels=2)
    path = write_audio(tmp_path / name, samples, 48_000, codec=codec, sample_format=sample_format)
    chunks, statuses = await everything(
        AudioFile("f", path, executor, paced=False, clock=SystemClock())
    )
    read = np.concatenate([chunk.samples for chunk in chunks])
    assert {chunk.rate_hz for chunk in chunks} == {48_000}
    assert read.shape[1] == 2
    assert read.dtype == np.float32
    assert abs(len(read) - len(samples)) < 2_500  # what a codec pads
    inner, expected = read[4_000:50_000], samples[4_000:50_000]
    assert np.abs(inner - expected).max() < tolerance
    for channel in (0, 1):  # none is shifted, none takes the other's place
        assert np.corrcoef(inner[:, channel], expected[:, channel])[0, 1] > 0.99
    assert [status.state for status in statuses] == [SourceState.LISTENING, SourceState.ENDED]


@pytest.mark.parametrize(("rate_hz", "channels"), [(8_000, 1), (16_000, 2), (96_000, 1)])
def test_a_whole_file_is_mono_16_khz_at_any_rate(
    rate_hz: int, channels: int, tmp_path: Path
) -> None:
    path = write_audio(tmp_path / "a.wav", tone(1.0, rate_hz, channels), rate_hz)
    loaded = load_audio(path, channel=0)
    assert loaded.dtype == np.float32
    assert loaded.shape == (16_000,)
    np.testing.assert_allclose(loaded[100:-100], tone(1.0, 16_000)[100:-100, 0], atol=2e-3)


def test_a_whole_file_is_downmixed_unless_a_channel_is_asked_for(tmp_path: Path) -> None:
    stereo = tone(0.5, 16_000, channels=2)
    path = write_audio(tmp_path / "a.wav", stereo, 16_000)
    np.testing.assert_allclose(load_audio(path), stereo.mean(axis=1), atol=1e-4)
    np.testing.assert_allclose(load_audio(path, channel=1), stereo[:, 1], atol=1e-4)
    with pytest.raises(AudioError, match="channel 2"):
        load_audio(path, channel=2)


async def test_chunks_are_numbered_without_a_hole_and_counted(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    samples = tone(1.7, 22_050)
    source = AudioFile(
        "f",
        write_audio(tmp_path / "a.wav", samples, 22_050),
        executor,
        paced=False,
        clock=SystemClock(),
    )
    position = 0
    async for event in source.events():
        if isinstance(event, AudioChunk):
            assert event.first_sample == position
            assert not event.after_gap
            position += len(event.samples)
            counts = source.statistics()
            assert counts.samples_delivered == position
            assert counts.samples_captured == position + counts.samples_buffered
            assert counts.samples_lost == 0
    assert position == len(samples)


async def test_a_paced_file_takes_as_long_as_it_sounds_even_for_a_slow_reader(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    path = write_audio(tmp_path / "a.wav", tone(1.0, 16_000), 16_000)
    source = AudioFile("f", path, executor, paced=True, clock=SystemClock())
    started_s = time.monotonic()
    num_samples = 0
    async for event in source.events():
        if isinstance(event, AudioChunk):
            num_samples += len(event.samples)
            assert len(event.samples) <= 0.05 * 16_000
            assert event.delivered_at_s - started_s >= num_samples / 16_000 - 0.001
            await asyncio.sleep(0.03)  # pauses instead of a schedule would add up to 0.75 s
    assert num_samples == 16_000
    assert 0.99 < time.monotonic() - started_s < 1.7


async def test_a_closed_file_gives_nothing_more(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    path = write_audio(tmp_path / "a.wav", tone(5.0, 16_000), 16_000)
    source = AudioFile("f", path, executor, paced=True, clock=SystemClock())
    num_chunks = 0
    async for event in source.events():
        if isinstance(event, AudioChunk):
            num_chunks += 1
            await source.close()
            await source.close()
    assert num_chunks == 1


async def test_a_cancelled_reader_leaves_no_decoder_behind(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    """Closing waits for the read that the executor is in; else FFmpeg would crash."""
    path = write_audio(tmp_path / "a.flac", tone(20.0, 48_000), 48_000, codec="flac")
    for delay_s in (0.0, 0.001, 0.003, 0.01):
        source = AudioFile("f", path, executor, paced=False, clock=SystemClock())
        reading = asyncio.create_task(everything(source))
        await asyncio.sleep(delay_s)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


class LateExecutor(ThreadPoolExecutor):
    """Does what it is told when it is released, and keeps what came of it."""

    def __init__(self) -> None:
        super().__init__(1)
        self.has_begun, self.is_released = threading.Event(), threading.Event()
        self.made: list[object] = []

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        def late() -> T:
            self.has_begun.set()
            self.is_released.wait()
            made = fn(*args, **kwargs)
            self.made.append(made)
            return made

        return super().submit(late)


def test_a_decoder_that_opens_after_the_event_loop_has_ended_is_closed(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", tone(1.0, 16_000), 16_000)

    async def listen_and_leave() -> None:
        source = AudioFile("f", path, late, paced=False, clock=SystemClock())
        reading = asyncio.create_task(everything(source))
        await asyncio.to_thread(late.has_begun.wait)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    with LateExecutor() as late:
        asyncio.run(listen_and_leave())
        late.is_released.set()
    assert len(late.made) == 1
    open_files = [each.resolve() for each in Path("/proc/self/fd").iterdir()]
    assert path not in open_files


def test_a_file_cut_off_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", tone(2.0, 16_000), 16_000)
    path.write_bytes(path.read_bytes()[: 16_000 * 2 + 44])
    with capture_logs() as logs:
        loaded = load_audio(path)
    assert len(loaded) == pytest.approx(16_000, abs=100)
    assert [(log["event"], log["file"]) for log in logs] == [("file_truncated", str(path))]


async def test_a_stream_of_a_file_cut_off_ends_and_says_so(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    path = write_audio(tmp_path / "a.flac", tone(2.0, 16_000), 16_000, codec="flac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    _, statuses = await everything(AudioFile("f", path, executor, paced=False, clock=SystemClock()))
    assert statuses[-1].state is SourceState.ENDED
    assert "broke off" in statuses[-1].detail


def test_a_whole_file_is_not_called_truncated(tmp_path: Path) -> None:
    with capture_logs() as logs:
        for name, codec, sample_format, _ in FORMATS.values():
            samples = tone(1.0, 48_000)
            path = tmp_path / name
            load_audio(write_audio(path, samples, 48_000, codec=codec, sample_format=sample_format))
    assert logs == []


def _missing(path: Path) -> None:
    assert not path.exists()


def _directory(path: Path) -> None:
    path.mkdir()


def _empty(path: Path) -> None:
    path.touch()


def _text(path: Path) -> None:
    path.write_text("these are words, not sounds\n" * 50)


def _header_only(path: Path) -> None:
    write_audio(path, tone(1.0, 16_000), 16_000)
    path.write_bytes(path.read_bytes()[:46])


def _m4a_without_its_index(path: Path) -> None:
    m4a = path.with_suffix(".m4a")
    write_audio(m4a, tone(1.0, 16_000), 16_000, codec="aac", sample_format="fltp")
    path.write_bytes(m4a.read_bytes()[: m4a.stat().st_size // 2])


def _not_a_number(path: Path) -> None:
    samples = tone(1.0, 16_000)
    samples[8_000] = np.nan
    write_audio(path, samples, 16_000, codec="pcm_f32le", sample_format="flt")


def _picture(path: Path) -> None:
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), dtype=np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_missing, "does not exist"),
        (_directory, "is a directory"),
        (_empty, "is empty"),
        (_text, "not a readable audio file"),
        (_header_only, "not a readable audio file"),
        (_m4a_without_its_index, "not a readable audio file"),
        (_not_a_number, "not finite numbers near 0.5 s"),
        (_picture, "has no audio"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_what_is_not_audio_is_named_with_what_to_do(
    make: object, words: str, tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    path = tmp_path / "speech.wav"
    assert callable(make)
    make(path)
    with pytest.raises(AudioError, match=words) as caught:
        load_audio(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint
    with pytest.raises(AudioError, match=words):
        await everything(AudioFile("f", path, executor, paced=False, clock=SystemClock()))
