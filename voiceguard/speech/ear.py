"""Hop 2 of 6, the whole of it: audio becomes windows to embed, and the ends of speech.

Pure and without I/O or clock, on the caller's thread (the event loop in the daemon). In: samples
as a device or file has them. Inside: one channel, 16 kHz (``resampling``), speech and nothing
else (``gate``), windows (``windows``). Out: ``Window`` and ``SegmentEnd``, in order. However the
audio was cut into pushes, what comes out is the same.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, TypeAlias

import structlog

from voiceguard.speech.levels import sanitise, to_db
from voiceguard.speech.mixing import MonoMixer
from voiceguard.speech.recorded import blocks_of
from voiceguard.speech.resampling import StreamResampler, position_at_16_khz
from voiceguard.types import SAMPLE_RATE_HZ, SegmentEnd, SpeechAudio, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from voiceguard.speech.gate import SpeechGate
    from voiceguard.speech.windows import WindowCutter
    from voiceguard.types import AudioChunk, Channel, GateEvent, Recorded, Samples

LEVEL_FRAMES = 50
"""Of speech, before its level is judged."""
SOFT_DB = -65.0
"""Mean level below full scale. Measured on a take with 16-bit samples: at a peak of -40 dB (mean
-60) its embedding still has a cosine of 0.93 to the one at full scale, at -60 (mean -80) 0.71."""

_log = structlog.get_logger()

Heard: TypeAlias = Window | SegmentEnd


class Ear:
    """Hears one stream or one recording.

    ``push``, ``gap`` and ``finish`` are lazy: iterate each to its end before the next call. Between
    two items ``split`` may be called.

    Args:
        gate: Fresh.
        cutter: Fresh.
        channel: Which channel to listen to, or their mean.
    """

    def __init__(
        self, gate: SpeechGate, cutter: WindowCutter, channel: Channel = "downmix"
    ) -> None:
        self.num_not_finite = 0
        """Samples that were NaN or infinite, and taken for silence."""
        self.speech_is_soft = False
        """Whether a second of speech was found to be hardly louder than a sample's last bit."""
        self._num_speech = 0
        self._speech_power = 0.0
        self._gate = gate
        self._cutter = cutter
        self._mixer = MonoMixer(channel)
        self._resampler: StreamResampler | None = None

    @property
    def max_window_samples(self) -> int:
        """Length of the longest window."""
        return self._cutter.max_samples

    @property
    def hears_speech(self) -> bool:
        """Whether somebody is speaking, the hangover included."""
        return self._gate.is_open

    @property
    def min_window_speech_s(self) -> float:
        """Net speech in the shortest window; a segment with less has none."""
        return self._cutter.min_speech_s

    def push(self, samples: Samples, rate_hz: int = SAMPLE_RATE_HZ) -> Iterator[Heard]:
        """Hears what comes next, at the same rate as before unless after a ``gap``.

        Args:
            samples: ``(num_samples, channels)`` or mono ``(num_samples,)`` float32.
            rate_hz: Theirs.

        Raises:
            AudioError: There is no such channel.
        """
        if self._resampler is None:
            self._resampler = StreamResampler(rate_hz)
        assert self._resampler.in_rate_hz == rate_hz, "another rate begins with a gap"
        mono = samples if samples.ndim == 1 else self._mixer.push(samples)
        mono, num_not_finite = sanitise(mono)
        self.num_not_finite += num_not_finite
        yield from self._cut(self._gate.push(self._resampler.push(mono)))

    def follows(self, chunk: AudioChunk) -> bool:
        """Whether a chunk goes on where the last one ended; else a ``gap`` comes before it."""
        rate_hz = chunk.rate_hz if self._resampler is None else self._resampler.in_rate_hz
        return not chunk.after_gap and chunk.rate_hz == rate_hz

    def gap(self, before: AudioChunk | None = None) -> Iterator[Heard]:
        """Ends the open segment: what comes next does not follow on what came before.

        Args:
            before: The chunk that comes next, to whose position the timeline jumps; None: it is
                not known yet.
        """
        yield from self._flush_resampler()
        position = self._gate.position
        resume_at = (
            position if before is None else position_at_16_khz(before.first_sample, before.rate_hz)
        )
        yield from self._cut(self._gate.mark_gap(max(0, resume_at - position)))

    def finish(self) -> Iterator[Heard]:
        """Ends the open segment at the end of the audio."""
        yield from self._flush_resampler()
        yield from self._cut(self._gate.flush())

    def hear(self, recording: Recorded) -> Iterator[Heard]:
        """A whole recording, a block of it at a time: memory doesn't grow with its length."""
        for block in blocks_of(recording):
            if block.after_gap:
                yield from self.gap()
            yield from self.push(block.samples)
        yield from self.finish()

    def split(self, segment: int, at_sample: int) -> list[Heard]:
        """Ends an open segment where another voice took over, as ``WindowCutter.split``."""
        return self._cutter.split(segment, at_sample)

    def _flush_resampler(self) -> Iterator[Heard]:
        if self._resampler is not None:
            rest = self._resampler.flush()
            self._resampler = None
            yield from self._cut(self._gate.push(rest))

    def _cut(self, events: Iterable[GateEvent]) -> Iterator[Heard]:
        for event in events:
            if isinstance(event, SpeechAudio) and not self.speech_is_soft:
                self._note_level(event)
            yield from self._cutter.push(event)

    def _note_level(self, speech: SpeechAudio) -> None:
        powers = list(compress(speech.powers, speech.is_speech))
        self._num_speech += len(powers)
        self._speech_power += sum(powers)
        if self._num_speech < LEVEL_FRAMES:
            return
        level_db = to_db(self._speech_power / self._num_speech)
        self._num_speech, self._speech_power = 0, 0.0
        if level_db < SOFT_DB:
            self.speech_is_soft = True
            _log.warning(
                "speech_too_soft",
                level_db=round(level_db),
                hint="16-bit samples have little left of it: turn the microphone's level up",
            )
