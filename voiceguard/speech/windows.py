"""Hop 2 of 6, fourth part: cuts each segment of speech into windows to embed.

On the caller's thread; pure numpy, no clock. In: the gate's events. Out: windows that grow with the
segment and then slide, probes for a change of speaker, and one SegmentEnd per segment. However
the audio was cut into events, what comes out is the same.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np

from voiceguard.speech.conditioning import LEVEL_FRAMES, level_gain
from voiceguard.speech.levels import snr_db
from voiceguard.types import (
    FRAME_S,
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    EndCause,
    Samples,
    SegmentEnd,
    SpeechEnd,
    Window,
)
from voiceguard.validation.ranges import Between, SettingsTable, check_range, check_ranges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voiceguard.types import GateEvent, SpeechAudio

MAX_WINDOW_S = 10.0

REACH_FRAMES = round(2 * MAX_WINDOW_S / FRAME_S)
"""How much of a segment is kept (1.3 MB): a change of speaker is noticed one probe and one
inference late, and the audio since then becomes the beginning of the next segment."""

MIN_PROBE_SPEECH = 0.5
"""A probe that is mostly pause says nothing about a voice, and is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowConfig(SettingsTable):
    """How speech is cut for the encoder, the [windows] table of voiceguard.toml."""

    min_s: float = 0.8
    """Net speech before the first window: less says too little about a voice."""
    max_s: Annotated[float, Between(1, MAX_WINDOW_S)] = 4.0
    """Windows grow to this length, pauses included, and then slide."""
    hop_s: Annotated[float, Between(0.1, 5)] = 0.5
    """Net speech between windows: work is in proportion to speech."""
    probe_s: Annotated[float, Between(0.5, MAX_WINDOW_S, or_zero=True)] = 2.0
    """Length of the disjoint stretches compared to notice a change of speaker; 0: none."""

    def __post_init__(self) -> None:
        check_ranges(self)
        check_range("min_s", self.min_s, Between(0.3, self.max_s))


class _Totals(NamedTuple):
    """Sums over a segment's speech frames up to some place."""

    num_speech: int = 0
    power: float = 0.0
    noise_power: float = 0.0

    def since(self, start: _Totals) -> _Totals:
        return _Totals(
            self.num_speech - start.num_speech,
            self.power - start.power,
            self.noise_power - start.noise_power,
        )

    @property
    def speech_s(self) -> float:
        return self.num_speech * FRAME_SAMPLES / SAMPLE_RATE_HZ

    @property
    def snr_db(self) -> float:
        count = max(1, self.num_speech)
        return snr_db(self.power / count, self.noise_power / count)


class _Frame(NamedTuple):
    samples: Samples
    is_speech: bool
    power: float
    noise_power: float
    before: _Totals


class _Segment:
    """The open segment: its latest REACH_FRAMES frames, and totals over all. Counts in frames."""

    def __init__(self, number: int, first_sample: int) -> None:
        self.number = number
        self.first_sample = first_sample
        self.num_frames = 0
        self.speech_end = 0
        """One past the last speech frame."""
        self.probe_start = 0
        self.windows: list[tuple[int, int]] = []
        """Where each window so far ended, and the speech frames until there."""
        self._kept: deque[_Frame] = deque(maxlen=REACH_FRAMES)
        self._totals = _Totals()
        self._first_powers: list[float] = []
        """Of the first LEVEL_FRAMES speech frames."""

    @cached_property
    def gain(self) -> np.float32:
        """By the speech until it is first asked for: the same for all of the segment's windows."""
        return level_gain(self._first_powers)

    @property
    def kept_from(self) -> int:
        return self.num_frames - len(self._kept)

    def append(
        self, samples: Samples, power: float, noise_power: float, *, is_speech: bool
    ) -> None:
        self._kept.append(_Frame(samples, is_speech, power, noise_power, self._totals))
        self.num_frames += 1
        if is_speech:
            self.speech_end = self.num_frames
            if len(self._first_powers) < LEVEL_FRAMES:
                self._first_powers.append(power)
            num_speech, total, noise_total = self._totals
            self._totals = _Totals(num_speech + 1, total + power, noise_total + noise_power)

    def totals(self, end: int) -> _Totals:
        """Over the frames before ``end``."""
        if end == self.num_frames:
            return self._totals
        return self._kept[end - self.kept_from].before

    def audio(self, start: int, end: int) -> Samples:
        """A read-only copy, at the level that encoders are given."""
        kept = islice(self._kept, start - self.kept_from, end - self.kept_from)
        samples = self.gain * np.concatenate([frame.samples for frame in kept])
        samples.flags.writeable = False
        return samples

    def split_off(self, boundary: int) -> list[_Frame]:
        """Takes away the frames from ``boundary`` on.

        Returns:
            Those frames; none, and nothing is changed, where that would leave no speech on one
            side or where the boundary lies too far back.
        """
        if not self.kept_from < boundary < self.num_frames:
            return []
        kept = list(self._kept)
        first, second = kept[: boundary - self.kept_from], kept[boundary - self.kept_from :]
        if not any(frame.is_speech for frame in second):
            return []
        spoken = [i for i, frame in enumerate(first) if frame.is_speech]
        if not spoken:
            return []
        self.speech_end = self.kept_from + spoken[-1] + 1
        self.windows = [(end, net) for end, net in self.windows if end <= boundary]
        self._totals = self.totals(boundary)
        self._kept = deque(first, maxlen=REACH_FRAMES)
        self.num_frames = boundary
        return second


class WindowCutter:
    """Cuts one stream's segments into windows, and numbers them.

    Args:
        config: How.
        keep_audio: Whether ends of segments bring all of the segment's audio.
    """

    def __init__(self, config: WindowConfig | None = None, *, keep_audio: bool = False) -> None:
        config = config or WindowConfig()
        self._keep_audio = keep_audio
        self._min_frames = round(config.min_s / FRAME_S)
        self._max_frames = round(config.max_s / FRAME_S)
        self._hop_frames = round(config.hop_s / FRAME_S)
        self._probe_frames = round(config.probe_s / FRAME_S)
        self._num_segments = 0
        self._open: _Segment | None = None

    @property
    def min_speech_s(self) -> float:
        """Net speech in the shortest window; a segment with less has none."""
        return self._min_frames * FRAME_S

    @property
    def max_samples(self) -> int:
        """Length of the longest window."""
        return self._max_frames * FRAME_SAMPLES

    def push(self, event: GateEvent) -> Iterator[Window | SegmentEnd]:
        """Takes the gate's next event; yields what it completes, in order.

        Lazy: iterate to the end before the next event. ``split`` may be called in between.
        """
        if isinstance(event, SpeechEnd):
            while (segment := self._open) is not None:
                if (window := self._last_window(segment)) is not None:
                    yield window
                else:
                    yield self._end(segment, event.cause, event.clear_share)
        else:
            yield from self._push_audio(event)

    def split(self, segment: int, at_sample: int) -> list[Window | SegmentEnd]:
        """Ends an open segment where another voice took over, and begins the next one there.

        Args:
            segment: The segment's number.
            at_sample: The next segment's first sample; rounded down to the frame grid.

        Returns:
            The old segment's last window (unless one that ended there was given out before) and
            end, then the new segment's windows so far. Windows of the old segment that reach
            beyond ``at_sample``, given out earlier, are void. Empty, and nothing is changed, if
            that segment is over, has no speech on one side, or the place lies more than 20 s back.
        """
        old = self._open
        if old is None or old.number != segment:
            return []
        boundary = (at_sample - old.first_sample) // FRAME_SAMPLES
        frames = old.split_off(boundary)
        if not frames:
            return []
        items: list[Window | SegmentEnd] = []
        if (window := self._last_window(old)) is not None:
            items.append(window)
        items.append(self._end(old, EndCause.SPEAKER_CHANGE))
        new = self._begin(old.first_sample + boundary * FRAME_SAMPLES)
        for frame in frames:
            new.append(frame.samples, frame.power, frame.noise_power, is_speech=frame.is_speech)
            while (item := self._due(new)) is not None:
                items.append(item)
        return items

    def _push_audio(self, event: SpeechAudio) -> Iterator[Window]:
        if self._open is None:
            self._begin(event.first_sample)
        frames = event.samples.reshape(-1, FRAME_SAMPLES)
        marks = zip(frames, event.is_speech, event.powers, event.noise_powers, strict=True)
        for samples, is_speech, power, noise_power in marks:
            assert self._open is not None
            self._open.append(samples, power, noise_power, is_speech=is_speech)
            # Looked up anew each time: whoever took the last item may have split the segment.
            while (window := self._due(self._open)) is not None:
                yield window

    def _begin(self, first_sample: int) -> _Segment:
        self._open = _Segment(self._num_segments, first_sample)
        self._num_segments += 1
        return self._open

    def _end(
        self, segment: _Segment, cause: EndCause, clear_share: float | None = None
    ) -> SegmentEnd:
        self._open = None
        totals = segment.totals(segment.num_frames)
        return SegmentEnd(
            segment=segment.number,
            first_sample=segment.first_sample,
            end_sample=segment.first_sample + segment.speech_end * FRAME_SAMPLES,
            net_speech_s=totals.speech_s,
            snr_db=totals.snr_db,
            cause=cause,
            clear_share=clear_share,
            samples=self._all_of(segment),
        )

    def _all_of(self, segment: _Segment) -> Samples | None:
        """What is kept of a segment up to its last speech frame, where it is to be decided on."""
        if not (self._keep_audio and segment.windows):
            return None
        return segment.audio(segment.kept_from, segment.speech_end)

    def _due(self, segment: _Segment) -> Window | None:
        """What the latest frame completes, one item per call."""
        if segment.speech_end != segment.num_frames:
            return None  # in a pause: everything ends at or before a speech frame
        while self._probe_frames and segment.num_frames - segment.probe_start >= self._probe_frames:
            start = segment.probe_start
            end = segment.probe_start = start + self._probe_frames
            speech = segment.totals(end).since(segment.totals(start))
            if speech.num_speech >= MIN_PROBE_SPEECH * self._probe_frames:
                return self._cut(segment, start, end, is_probe=True)
        num_speech = segment.totals(segment.num_frames).num_speech
        if segment.windows and num_speech - segment.windows[-1][1] < self._hop_frames:
            return None
        return self._window_to(segment, segment.num_frames)

    def _last_window(self, segment: _Segment) -> Window | None:
        """A window up to the last speech frame, if it has new speech in it."""
        if segment.windows and segment.windows[-1][0] == segment.speech_end:
            return None
        return self._window_to(segment, segment.speech_end)

    def _window_to(self, segment: _Segment, end: int) -> Window | None:
        start = max(0, end - self._max_frames)
        totals = segment.totals(end)
        if totals.since(segment.totals(start)).num_speech < self._min_frames:
            return None
        segment.windows.append((end, totals.num_speech))
        return self._cut(segment, start, end)

    def _cut(self, segment: _Segment, start: int, end: int, *, is_probe: bool = False) -> Window:
        totals = segment.totals(end)
        inside = totals.since(segment.totals(start))
        return Window(
            segment=segment.number,
            first_sample=segment.first_sample + start * FRAME_SAMPLES,
            samples=segment.audio(start, end),
            net_speech_s=inside.speech_s,
            segment_speech_s=totals.speech_s,
            snr_db=inside.snr_db,
            is_probe=is_probe,
        )
