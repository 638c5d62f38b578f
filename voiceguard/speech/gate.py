"""Hop 2 of 6, third part: lets speech through and nothing else.

On the caller's thread; pure numpy, no clock. In: mono 16 kHz blocks of any size. Out: events, which
together say what the stretches of speech ("segments") are and hand over their audio. However the
input is cut into blocks, the events' audio, marks and ends are the same.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np

from voiceguard.speech.conditioning import OffsetRemover, level_gain
from voiceguard.speech.levels import LevelMeter, NoiseMeter, sanitise, snr_db
from voiceguard.speech.recorded import blocks_of
from voiceguard.types import (
    FRAME_S,
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    EndCause,
    GateEvent,
    Samples,
    SpeechAudio,
    SpeechEnd,
)
from voiceguard.validation.ranges import Between, SettingsTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voiceguard.protocols import VoiceActivityDetector
    from voiceguard.types import Recorded

SNR_BAND_HZ = (100.0, 7600.0)
"""Levels for the signal-to-noise ratio: all that the encoder hears, without DC and mains hum."""

MAX_DROPOUT_FRAMES = 10
"""A beginning may have holes this long (a stop consonant) before it counts as a click."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig(SettingsTable):
    """When speech begins and ends, the [gate] table of voiceguard.toml."""

    min_speech_s: Annotated[float, Between(FRAME_S, 1)] = 0.15
    """Speech frames before a segment opens, so that clicks and knocks don't."""
    hangover_s: Annotated[float, Between(0.1, 5)] = 0.5
    """A pause this long ends a segment."""
    pre_roll_s: Annotated[float, Between(0, 1)] = 0.2
    """Audio kept from before the first speech frame: soft beginnings of words."""
    max_speech_s: Annotated[float, Between(2, 60)] = 10.0
    """Net speech after which a segment is cut: a television never pauses."""


class _Frame(NamedTuple):
    samples: Samples
    is_speech: bool
    power: float
    noise_power: float


class SpeechGate:
    """Cuts one stream into segments of speech: hysteresis, pre-roll, hangover, longest length.

    Args:
        vad: Scores the frames; this gate becomes its only user.
        config: Timing.
    """

    def __init__(self, vad: VoiceActivityDetector, config: GateConfig | None = None) -> None:
        config = config or GateConfig()
        self._vad = vad
        self._min_frames = max(1, round(config.min_speech_s / FRAME_S))
        self._hangover_frames = round(config.hangover_s / FRAME_S)
        self._pre_roll_frames = round(config.pre_roll_s / FRAME_S)
        self._max_frames = round(config.max_speech_s / FRAME_S)
        self._meter = LevelMeter(low_hz=SNR_BAND_HZ[0], high_hz=SNR_BAND_HZ[1])
        self._noise = NoiseMeter()
        self._offset = OffsetRemover()
        self._position = 0
        self._skip = 0
        self._unscored: Samples = np.empty(0, dtype=np.float32)
        self._unscored_powers: deque[float] = deque()
        self._held: deque[_Frame] = deque()
        """Open: frames to hand over. Closed: a possible beginning, with its pre-roll."""
        self._held_first = 0
        self._pause: deque[_Frame] = deque(maxlen=self._pre_roll_frames)
        """Open: the latest frames since the last speech frame."""
        self._is_open = False
        self._num_scored = self._opened_at = 0
        """Frames since the detector was last reset, and of them those before this segment."""
        self._start_candidate(None)

    @property
    def position(self) -> int:
        """Samples pushed and lost so far: where the next sample belongs."""
        return self._position

    @property
    def is_open(self) -> bool:
        """Whether somebody is speaking, hangover included."""
        return self._is_open

    def push(self, samples: Samples) -> list[GateEvent]:
        """Takes the next samples, ``(num_samples,)``; returns what became of the complete frames.

        What is no number is silence (``levels.sanitise``).
        """
        self._position += len(samples)
        skip = min(self._skip, len(samples))
        self._skip -= skip
        samples = samples[skip:]
        samples, _ = sanitise(samples)
        samples = self._offset.push(samples)
        self._unscored = np.concatenate((self._unscored, samples))
        self._unscored_powers.extend(self._meter.push(samples).tolist())
        return self._scored(self._vad.push(samples))

    def _scored(self, scores: list[float]) -> list[GateEvent]:
        """What became of the oldest frames."""
        end = len(scores) * FRAME_SAMPLES
        frames = self._unscored[:end].reshape(-1, FRAME_SAMPLES)
        self._unscored = self._unscored[end:]
        events: list[GateEvent] = []
        for frame, score in zip(frames, scores, strict=True):
            self._num_scored += 1
            power = self._unscored_powers.popleft()
            is_speech = score >= self._vad.exit_score
            noise_power = self._noise.push(power, is_speech=is_speech)
            self._held.append(_Frame(frame, is_speech, power, noise_power))
            if self._is_open:
                self._continue_segment(events)
            else:
                self._await_speech(score)
        if self._is_open:
            self._release(events)
        return events

    def mark_gap(self, num_lost_samples: int = 0) -> list[GateEvent]:
        """Audio was lost, or its source changed: nothing may span this place.

        Args:
            num_lost_samples: By how much the timeline jumps ahead.
        """
        events = [*self._scored(self._vad.finish()), *self._close(EndCause.GAP)]
        self._position += num_lost_samples
        self._forget_audio()
        return events

    def flush(self) -> list[GateEvent]:
        """Ends the segment that is open at the end of the stream."""
        events = [*self._scored(self._vad.finish()), *self._close(EndCause.END_OF_STREAM)]
        self._forget_audio()
        return events

    def _forget_audio(self) -> None:
        self._vad.reset()
        self._num_scored = 0
        self._meter.reset()
        self._offset.reset()
        self._skip = -self._position % FRAME_SAMPLES  # back onto the grid
        self._unscored = np.empty(0, dtype=np.float32)
        self._unscored_powers.clear()
        self._held.clear()
        self._held_first = self._position + self._skip
        self._pause.clear()

    def _start_candidate(self, num_held_before: int | None) -> None:
        """A possible beginning of speech; ``num_held_before`` None: there is none."""
        self._candidate = num_held_before
        self._num_speech = 0
        self._num_quiet = 0

    def _await_speech(self, score: float) -> None:
        frame = self._held[-1]
        if self._candidate is None and score >= self._vad.enter_score:
            self._start_candidate(len(self._held) - 1)
        if self._candidate is None:
            self._drop_held(len(self._held) - self._pre_roll_frames)
            return
        self._count(frame)
        if self._num_quiet > MAX_DROPOUT_FRAMES:
            self._start_candidate(None)
            self._drop_held(len(self._held) - self._pre_roll_frames)
        elif self._num_speech >= self._min_frames:
            self._is_open = True
            # Speech begins where the candidate does: nothing in the pre-roll counts as speech.
            for i in range(self._candidate):
                self._held[i] = self._held[i]._replace(is_speech=False)
            self._drop_held(self._candidate - self._pre_roll_frames)
            self._opened_at = self._num_scored - len(self._held)

    def _continue_segment(self, events: list[GateEvent]) -> None:
        self._count(self._held[-1])
        if self._num_quiet >= self._hangover_frames:
            events += self._close(EndCause.SILENCE)
            # The next segment's pre-roll may reach back to this one's last speech frame.
            self._held.extend(self._pause)
            self._held_first -= len(self._held) * FRAME_SAMPLES
        else:
            self._cut_if_long(events)

    def _cut_if_long(self, events: list[GateEvent]) -> None:
        if self._num_speech >= self._max_frames:
            events += self._close(EndCause.MAX_LENGTH)
            # Speech goes on: the next segment begins with the next frame.
            self._start_candidate(0)

    def _count(self, frame: _Frame) -> None:
        if frame.is_speech:
            self._num_speech += 1
            self._num_quiet = 0
            self._pause.clear()
        else:
            self._num_quiet += 1
            self._pause.append(frame)

    def _close(self, cause: EndCause) -> list[GateEvent]:
        events: list[GateEvent] = []
        if self._is_open:
            self._release(events)
            events.append(SpeechEnd(cause, self._clear_share(cause)))
        self._is_open = False
        self._start_candidate(None)
        return events

    def _clear_share(self, cause: EndCause) -> float | None:
        """Of the segment that ends here. Where speech goes on, the detector isn't done with it."""
        if cause is EndCause.MAX_LENGTH:
            return None
        num_clear = self._vad.take_clear(self._opened_at, self._num_scored - self._num_quiet)
        return None if num_clear is None else min(1.0, num_clear / self._num_speech)

    def _release(self, events: list[GateEvent]) -> None:
        """Hands over the frames held."""
        if self._held:
            audio, is_speech, powers, noise_powers = zip(*self._held, strict=True)
            events.append(
                SpeechAudio(
                    first_sample=self._held_first,
                    samples=np.concatenate(audio),
                    is_speech=is_speech,
                    powers=powers,
                    noise_powers=noise_powers,
                )
            )
            self._drop_held(len(self._held))

    def _drop_held(self, num_frames: int) -> None:
        for _ in range(num_frames):
            self._held.popleft()
            self._held_first += FRAME_SAMPLES


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimmedSpeech:
    """The speech of a recording, its silence cut away."""

    segments: tuple[Samples, ...]
    """Each continuous, from its pre-roll to its last speech frame; oldest first."""
    net_speech_s: float
    snr_db: float
    """NaN where there is no speech."""

    @property
    def samples(self) -> Samples:
        """All segments spliced, ``(num_samples,)``."""
        return np.concatenate((np.empty(0, dtype=np.float32), *self.segments))


class SpeechSegment(NamedTuple):
    """One stretch of speech of a recording."""

    samples: Samples
    """``(num_samples,)`` mono 16 kHz, from its pre-roll to its last speech frame, at the level that
    encoders are given."""
    powers: list[float]
    """Of its speech frames as they were."""
    noise_powers: list[float]
    """Under them."""


def speech_segments(
    recording: Recorded, vad: VoiceActivityDetector, config: GateConfig | None = None
) -> Iterator[SpeechSegment]:
    """Finds the speech in a recording, a stretch at a time.

    Args:
        recording: Mono 16 kHz.
        vad: A fresh detector.
        config: Timing.
    """
    gate = SpeechGate(vad, config)
    audio: list[SpeechAudio] = []
    for event in _gated(recording, gate):
        if isinstance(event, SpeechAudio):
            audio.append(event)
            continue
        is_speech = [mark for part in audio for mark in part.is_speech]
        powers = [power for part in audio for power in part.powers]
        noise_powers = [power for part in audio for power in part.noise_powers]
        num_frames = max(i for i, mark in enumerate(is_speech) if mark) + 1
        samples = np.concatenate([part.samples for part in audio])
        speech_powers = list(compress(powers, is_speech))
        yield SpeechSegment(
            level_gain(speech_powers) * samples[: num_frames * FRAME_SAMPLES],
            speech_powers,
            list(compress(noise_powers, is_speech)),
        )
        audio = []


def _gated(recording: Recorded, gate: SpeechGate) -> Iterator[GateEvent]:
    for block in blocks_of(recording):
        if block.after_gap:
            yield from gate.mark_gap()
        yield from gate.push(block.samples)
    yield from gate.flush()


class SpeechFigures:
    """What is said of all of a recording's speech, taken stretch by stretch."""

    def __init__(self) -> None:
        self._num_frames = 0
        self._power = 0.0
        self._noise_power = 0.0

    def add(self, segment: SpeechSegment) -> None:
        """Takes in the next stretch."""
        self._num_frames += len(segment.powers)
        self._power = sum(segment.powers, self._power)
        self._noise_power = sum(segment.noise_powers, self._noise_power)

    @property
    def net_speech_s(self) -> float:
        return self._num_frames * FRAME_SAMPLES / SAMPLE_RATE_HZ

    @property
    def snr_db(self) -> float:
        """NaN without speech."""
        if not self._num_frames:
            return float("nan")
        return snr_db(self._power / self._num_frames, self._noise_power / self._num_frames)


def trim_to_speech(
    recording: Recorded, vad: VoiceActivityDetector, config: GateConfig | None = None
) -> TrimmedSpeech:
    """All the speech in a recording.

    Args:
        recording: Mono 16 kHz.
        vad: A fresh detector.
        config: Timing.
    """
    figures = SpeechFigures()
    segments: list[Samples] = []
    for segment in speech_segments(recording, vad, config):
        figures.add(segment)
        segments.append(segment.samples)
    return TrimmedSpeech(
        segments=tuple(segments), net_speech_s=figures.net_speech_s, snr_db=figures.snr_db
    )
