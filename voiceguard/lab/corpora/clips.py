"""Test material: speech cut to stated net lengths, as a room would deliver it to the daemon.

Pure numpy. In: one session's recordings. Out: ``Clip``s: room tone, speech, room tone, with noise
at a stated level on top. Speech is what the gate says it is, and utterances of one session are
joined, because many are shorter than the lengths that are asked about.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.types import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, SpeechAudio

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from voiceguard.speech.gate import SpeechGate
    from voiceguard.types import GateEvent, Samples

LEAD_SAMPLES = 2 * SAMPLE_RATE_HZ
"""The room before anybody speaks. In 1 s the gate learns its noise floor, as a daemon's has long
done; where the room is loud it takes that second for speech, and half a second more to let go."""
TRAIL_SAMPLES = 3 * SAMPLE_RATE_HZ // 4
"""Longer than the gate's hangover, so that segments end by silence."""

MAX_PAUSE_FRAMES = 20
"""Kept after the last word of an utterance that is joined to another: a short breath."""

_PIECE_SAMPLES = 10 * SAMPLE_RATE_HZ
_QUIET_SHARE = 0.05
_MIN_QUIET_RMS = 1e-4  # -80 dB: above the gate's idea of digital silence


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """Speech without the silence around it."""

    samples: Samples
    """``(num_frames * FRAME_SAMPLES,)``."""
    is_speech: NDArray[np.bool_]
    """``(num_frames,)``: pauses between words are in it, and don't count as net speech."""
    quiet_rms: float
    """How loud the room is when nobody speaks."""

    @property
    def net_s(self) -> float:
        return float(np.count_nonzero(self.is_speech)) * FRAME_S

    def between(self, start_s: float, end_s: float) -> Speech:
        """The part from one net position to another; whole frames, from speech to speech."""
        spoken = np.flatnonzero(self.is_speech)
        first = spoken[round(start_s / FRAME_S)]
        last = spoken[round(end_s / FRAME_S) - 1]
        return Speech(
            self.samples[first * FRAME_SAMPLES : (last + 1) * FRAME_SAMPLES],
            self.is_speech[first : last + 1],
            self.quiet_rms,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """What is played to the daemon."""

    samples: Samples
    """``(num_samples,)`` mono 16 kHz."""
    start_s: float
    """Where the speech begins in it."""
    end_s: float


def quiet_rms(samples: Samples) -> float:
    """The level of a recording's quietest twentieth."""
    frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    if not len(frames):
        return _MIN_QUIET_RMS
    rms = np.sqrt(np.mean(np.square(frames, dtype=np.float64), axis=1))
    return max(float(np.quantile(rms, _QUIET_SHARE)), _MIN_QUIET_RMS)


def in_a_room(samples: Samples, level_rms: float, rng: np.random.Generator) -> Clip:
    """Puts room tone before and after: white noise, as loud as the recording's own quiet."""

    def tone(num_samples: int) -> Samples:
        return (level_rms * rng.standard_normal(num_samples)).astype(np.float32)

    whole = np.concatenate((tone(LEAD_SAMPLES), samples, tone(TRAIL_SAMPLES)))
    start_s = LEAD_SAMPLES / SAMPLE_RATE_HZ
    return Clip(whole, start_s, start_s + len(samples) / SAMPLE_RATE_HZ)


def speech_of(samples: Samples, gate: SpeechGate, rng: np.random.Generator) -> Speech:
    """What a fresh gate calls speech in a recording, its segments spliced."""
    quiet = quiet_rms(samples)
    clip = in_a_room(samples, quiet, rng)
    parts: list[Samples] = []
    marks: list[NDArray[np.bool_]] = []
    audio: list[SpeechAudio] = []
    for event in _events(gate, clip.samples):
        if isinstance(event, SpeechAudio):
            audio.append(event)
            continue
        # A segment that began before the recording is room tone to begin with.
        first = max(0, LEAD_SAMPLES - audio[0].first_sample) // FRAME_SAMPLES
        is_speech = np.concatenate([part.is_speech for part in audio])
        spoken = np.flatnonzero(is_speech[first:]) + first
        if len(spoken):
            kept = slice(spoken[0], min(spoken[-1] + 1 + MAX_PAUSE_FRAMES, len(is_speech)))
            frames = np.concatenate([part.samples for part in audio]).reshape(-1, FRAME_SAMPLES)
            parts.append(frames[kept].ravel())
            marks.append(is_speech[kept])
        audio = []
    return _joined(parts, marks, quiet)


def _events(gate: SpeechGate, samples: Samples) -> Iterator[GateEvent]:
    """Piece by piece: what a gate holds of five minutes is five times as large as they are."""
    for first in range(0, len(samples), _PIECE_SAMPLES):
        yield from gate.push(samples[first : first + _PIECE_SAMPLES])
    yield from gate.flush()


def join(speeches: Iterable[Speech]) -> Speech:
    """Utterances of one session, one after the other."""
    listed = list(speeches)
    return _joined(
        [speech.samples for speech in listed],
        [speech.is_speech for speech in listed],
        float(np.median([speech.quiet_rms for speech in listed])),
    )


def _joined(parts: list[Samples], marks: list[NDArray[np.bool_]], quiet: float) -> Speech:
    return Speech(
        np.concatenate((np.empty(0, dtype=np.float32), *parts)),
        np.concatenate((np.empty(0, dtype=np.bool_), *marks)),
        quiet,
    )


def nested(
    speech: Speech, lengths_s: Sequence[float], *, max_places: int, shorten: bool = False
) -> Iterator[dict[float, Speech]]:
    """Crops of every length, all from the same places: the same trials at every length.

    Args:
        speech: Of one session.
        lengths_s: Net speech.
        max_places: More would add trials of the same two people, and little knowledge.
        shorten: Whether speech that is shorter than the greatest length has crops of the others.

    Yields:
        For every disjoint stretch of the greatest length, its beginnings of each length.
    """
    if shorten:
        lengths_s = [each for each in lengths_s if each <= speech.net_s + 1e-9]
    longest_s = max(lengths_s, default=np.inf)
    for number in range(min(max_places, int(speech.net_s / longest_s + 1e-9))):
        start_s = number * longest_s
        yield {length_s: speech.between(start_s, start_s + length_s) for length_s in lengths_s}


def add_noise(
    clip: Clip, speech_rms: float, noise: Samples, snr_db: float, rng: np.random.Generator
) -> Clip:
    """Lets noise sound over the whole clip, the room tone before and after included.

    Args:
        clip: Without noise.
        speech_rms: Level of its speech, pauses not counted.
        noise: ``(num_samples,)``, of any length, repeated as needed.
        snr_db: Level of the speech over the noise's mean level in the stretch that is taken.
        rng: Chooses the stretch.
    """
    num_samples = len(clip.samples)
    start = int(rng.integers(len(noise)))
    repeated = np.tile(noise, 1 + (start + num_samples) // len(noise))[start : start + num_samples]
    noise_rms = float(np.sqrt(np.mean(np.square(repeated, dtype=np.float64))))
    gain = speech_rms / (max(noise_rms, 1e-9) * 10 ** (snr_db / 20))
    mixed = clip.samples + np.float32(gain) * repeated
    # A mixture louder than full scale is turned down as a whole: clipping is another experiment.
    loudest = float(np.max(np.abs(mixed)))
    return Clip(
        (mixed / max(1.0, loudest)).astype(np.float32, copy=False), clip.start_s, clip.end_s
    )


def speech_rms(speech: Speech) -> float:
    """Root mean square over the speech frames."""
    frames = speech.samples.reshape(-1, FRAME_SAMPLES)[speech.is_speech]
    return float(np.sqrt(np.mean(np.square(frames, dtype=np.float64))))


def seeded(*names: int | str) -> np.random.Generator:
    """The same draws for the same names, whatever else is drawn."""
    return np.random.default_rng(zlib.crc32(repr(names).encode()))
