"""One take: it ends when the sentence does, and a microphone in trouble is never a take."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console

from tests.fakes import FakeSource, chunks, hears_tones, listening, quiet, tone
from voiceguard.cli.people.recording import END_PAUSE_S, Meter, Progress, record_take, render
from voiceguard.errors import DeviceError
from voiceguard.speech.gate import GateConfig, SpeechGate
from voiceguard.types import AudioChunk, Samples, SourceState, SourceStatus

if TYPE_CHECKING:
    from voiceguard.types import Channel

SENTENCE = np.concatenate((quiet(1.0), tone(500, 3.0), quiet(5.0, seed=2)))


async def record(
    source: FakeSource, channel: Channel = "downmix"
) -> tuple[Samples, list[Progress]]:
    gate = SpeechGate(hears_tones(), GateConfig(hangover_s=END_PAUSE_S))
    progress: list[Progress] = []
    samples = await record_take(source, channel, gate, progress.append)
    assert source.closed.is_set()
    return samples, progress


async def test_a_take_ends_with_the_pause_after_the_sentence() -> None:
    samples, progress = await record(FakeSource([listening(), *chunks(SENTENCE)], hold=True))
    assert 1.0 + 3.0 + END_PAUSE_S - 0.2 < len(samples) / 16_000 < 1.0 + 3.0 + END_PAUSE_S + 0.6
    np.testing.assert_array_equal(samples, SENTENCE[: len(samples)])
    assert progress[-1].speech_s == pytest.approx(3.0, abs=0.5)
    counted = [each.speech_s for each in progress]
    assert counted == sorted(counted)
    assert any(each.is_speaking for each in progress)


async def test_a_short_pause_does_not_end_it() -> None:
    audio = np.concatenate((tone(500, 2.0), quiet(0.8), tone(500, 2.0), quiet(4.0)))
    samples, _ = await record(FakeSource(chunks(audio), hold=True))
    assert len(samples) / 16_000 > 4.8


async def test_a_cough_is_not_a_take() -> None:
    audio = np.concatenate((quiet(0.5), tone(500, 0.4), quiet(2.5), SENTENCE))
    samples, progress = await record(FakeSource(chunks(audio), hold=True))
    assert progress[-1].speech_s > 2.5
    assert len(samples) / 16_000 > 7.0


@pytest.mark.parametrize("before_s", [0.0, 0.5])
async def test_nobody_who_speaks_ends_it_too(before_s: float) -> None:
    audio = np.concatenate((tone(500, before_s), quiet(30.0)))
    samples, _ = await record(FakeSource(chunks(audio), hold=True))
    assert 7.9 < len(samples) / 16_000 < 10.5


async def test_somebody_who_never_stops_ends_after_twenty_seconds() -> None:
    samples, _ = await record(FakeSource(chunks(tone(500, 40.0)), hold=True))
    assert len(samples) / 16_000 < 20.5


async def test_after_a_gap_the_take_begins_again() -> None:
    first, rest = chunks(SENTENCE)[:25], chunks(SENTENCE)
    broken = AudioChunk(
        samples=rest[0].samples, rate_hz=16_000, first_sample=0, delivered_at_s=0, after_gap=True
    )
    samples, _ = await record(FakeSource([*first, broken, *rest[1:]], hold=True))
    np.testing.assert_array_equal(samples, SENTENCE[: len(samples)])


async def test_the_channel_asked_for_is_recorded_at_16_khz() -> None:
    at_48_khz = np.repeat(SENTENCE, 3)
    stereo = [
        AudioChunk(
            samples=np.hstack((np.zeros_like(chunk.samples), chunk.samples)),
            rate_hz=48_000,
            first_sample=chunk.first_sample,
            delivered_at_s=0,
        )
        for chunk in chunks(at_48_khz, rate_hz=48_000)
    ]
    samples, _ = await record(FakeSource(stereo, hold=True), channel=1)
    assert 5.0 < len(samples) / 16_000 < 6.0
    assert np.abs(samples).max() > 0.1


@pytest.mark.parametrize("state", [SourceState.LOST, SourceState.STALLED, SourceState.MUTED])
async def test_a_microphone_in_trouble_is_an_error(state: SourceState) -> None:
    trouble = SourceStatus(state=state, detail="its plug was pulled")
    source = FakeSource([*chunks(SENTENCE)[:10], trouble, *chunks(SENTENCE)])
    with pytest.raises(DeviceError, match="its plug was pulled"):
        await record(source)
    assert source.closed.is_set()


def test_the_meter_shows_level_and_speech() -> None:
    text = render(Progress(peak_db=-20.0, speech_s=3.25, is_speaking=True)).plain
    assert "-20 dB" in text
    assert "3.2 s of speech" in text
    assert "too loud" in render(Progress(peak_db=-1.0, speech_s=0, is_speaking=True)).plain
    assert "no signal" in render(Progress(peak_db=-np.inf, speech_s=0, is_speaking=False)).plain


def test_the_meter_is_silent_where_there_is_no_terminal() -> None:
    written = {}
    for is_terminal in (False, True):
        console = Console(file=io.StringIO(), force_terminal=is_terminal)
        with Meter(console) as meter:
            meter.show(Progress(peak_db=-20.0, speech_s=3.25, is_speaking=True))
        written[is_terminal] = console.file.getvalue()  # type: ignore[attr-defined]
    assert written[False].strip() == ""
    assert "3.2 s of speech" in written[True]
