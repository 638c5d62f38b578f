"""Records one enrollment take from a microphone, with a level meter and a count of speech.

Event loop; the source brings its own threads. In: an AudioSource. Out: the take's audio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from rich.live import Live
from rich.text import Text

from voiceguard.errors import DeviceError
from voiceguard.speech.mixing import to_mono
from voiceguard.speech.resampling import StreamResampler
from voiceguard.types import (
    FRAME_S,
    SAMPLE_RATE_HZ,
    AudioChunk,
    Samples,
    SourceState,
    SourceStatus,
    SpeechAudio,
    SpeechEnd,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from rich.console import Console

    from voiceguard.protocols import AudioSource
    from voiceguard.speech.gate import SpeechGate
    from voiceguard.types import Channel

END_PAUSE_S = 1.2
"""A pause this long ends a take: longer than one between the parts of a sentence."""
MIN_SPEECH_S = 1.5
"""With less speech than this a pause ends nothing: somebody cleared their throat."""
NO_SPEECH_S = 8.0
"""So long without speech ends a take, however little there was."""
MAX_TAKE_S = 20.0

_METER_CELLS = 30
_METER_LOW_DB = -60.0
_LOUD_DB = -3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a take has so far."""

    peak_db: float
    """Of the latest audio, dB full scale; -inf for exact zeros."""
    speech_s: float
    is_speaking: bool


async def record_take(
    source: AudioSource, channel: Channel, gate: SpeechGate, on_progress: Callable[[Progress], None]
) -> Samples:
    """Listens until somebody has read a sentence, has stayed silent, or for 20 s at most.

    Args:
        source: Fresh; closed when this returns.
        channel: Which one to take, or their mean.
        gate: Fresh, with a hangover of ``END_PAUSE_S``; only tells when to stop.
        on_progress: Called with every block.

    Returns:
        ``(num_samples,)`` mono 16 kHz, silence included. After a gap only what follows it.

    Raises:
        DeviceError: The microphone went away, stalled or is muted.
    """
    take = _Take(gate)
    try:
        async for event in source.events():
            if isinstance(event, SourceStatus):
                _check(event)
            elif isinstance(event, AudioChunk):
                take.push(event, channel)
                on_progress(take.progress)
                if take.is_over:
                    break
    finally:
        await source.close()
    return take.samples


async def watch_level(
    source: AudioSource,
    channel: Channel,
    gate: SpeechGate,
    on_progress: Callable[[Progress], None],
    is_enough: threading.Event,
) -> None:
    """Shows what a microphone hears until that is enough.

    Args:
        source: Fresh; closed when this returns.
        channel: Which one to take, or their mean.
        gate: Fresh.
        on_progress: Called with every block.
        is_enough: Set by another thread.

    Raises:
        DeviceError: The microphone can't be opened or went away.
    """
    level = _Take(gate)
    try:
        async for event in source.events():
            if isinstance(event, SourceStatus):
                _check(event)
            elif isinstance(event, AudioChunk):
                level.push(event, channel)
                on_progress(level.progress)
            if is_enough.is_set():
                break
    finally:
        await source.close()


class _Take:
    def __init__(self, gate: SpeechGate) -> None:
        self._gate = gate
        self._resampler: StreamResampler | None = None
        self._restart()

    def _restart(self) -> None:
        self._parts: list[Samples] = []
        self._num_samples = 0
        self._peak = 0.0
        self._speech_s = 0.0
        self._heard_at = 0
        self._has_paused = False

    def push(self, chunk: AudioChunk, channel: Channel) -> None:
        if (
            self._resampler is None
            or chunk.after_gap
            or self._resampler.in_rate_hz != chunk.rate_hz
        ):
            self._resampler = StreamResampler(chunk.rate_hz)
            self._gate.mark_gap()
            self._restart()
        mono = to_mono(chunk.samples, channel)
        self._peak = float(np.abs(mono).max(initial=0.0))
        samples = self._resampler.push(mono)
        self._parts.append(samples)
        self._num_samples += len(samples)
        for event in self._gate.push(samples):
            self._heard_at = self._num_samples
            self._has_paused = isinstance(event, SpeechEnd)
            if isinstance(event, SpeechAudio):
                self._speech_s += sum(event.is_speech) * FRAME_S

    @property
    def samples(self) -> Samples:
        return np.concatenate((np.empty(0, dtype=np.float32), *self._parts))

    @property
    def progress(self) -> Progress:
        return Progress(
            peak_db=20 * math.log10(self._peak) if self._peak > 0 else -math.inf,
            speech_s=self._speech_s,
            is_speaking=self._gate.is_open,
        )

    @property
    def is_over(self) -> bool:
        return (
            self._num_samples >= MAX_TAKE_S * SAMPLE_RATE_HZ
            or (self._has_paused and self._speech_s >= MIN_SPEECH_S)
            or self._num_samples - self._heard_at >= NO_SPEECH_S * SAMPLE_RATE_HZ
        )


def _check(status: SourceStatus) -> None:
    if status.state in {SourceState.LOST, SourceState.STALLED, SourceState.MUTED}:
        raise DeviceError(
            f"the microphone is {status.state}: {status.detail}",
            hint="`voiceguard devices` lists microphones; choose one with --source device:NAME",
        )


class Meter:
    """A line on the terminal that follows the take; nothing where there is no terminal.

    A context manager: the line is there from enter to exit.
    """

    def __init__(self, console: Console) -> None:
        self._live = Live(
            Text("listening ..."), console=console, refresh_per_second=12, transient=True
        )
        self._is_shown = console.is_terminal

    def show(self, progress: Progress) -> None:
        """Draws the level and counts the speech."""
        self._live.update(render(progress))

    def __enter__(self) -> Self:
        if self._is_shown:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


def render(progress: Progress) -> Text:
    """The level as a bar, and the seconds of speech so far."""
    share = (progress.peak_db - _METER_LOW_DB) / -_METER_LOW_DB
    num_lit = round(_METER_CELLS * min(max(share, 0.0), 1.0))
    is_loud = progress.peak_db > _LOUD_DB
    line = Text("  ")
    line.append("█" * num_lit, style="bold red" if is_loud else "green")
    line.append("·" * (_METER_CELLS - num_lit), style="dim")
    level = f"{progress.peak_db:4.0f} dB" if math.isfinite(progress.peak_db) else "  no signal"
    line.append(f" {level}  ")
    line.append(
        f"{progress.speech_s:4.1f} s of speech", style="bold" if progress.is_speaking else "dim"
    )
    if is_loud:
        line.append("  too loud: lower the microphone's level", style="red")
    return line
