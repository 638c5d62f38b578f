"""Energy detector: decibels above a noise floor that follows the room (hop 2 of 6).

Pure numpy, on the caller's thread. In: mono 16 kHz blocks of any size. Out: one score per 10 ms
frame.

The floor is a minimum over a few seconds (in the spirit of R. Martin, "Noise power spectral
density estimation based on optimal smoothing and minimum statistics", IEEE TSAP 9(5), 2001, with
his sub-windows), which survives continuous speech but would let a fan that starts hold the gate
open for as long. So one property of speech is used besides: within a second its level swings by
more than 10 dB, and a fan's does not. After a second that swung less, the floor jumps to that
second's mean.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from voiceguard.speech.levels import DIGITAL_SILENCE_DB, SILENCE_POWER, LevelMeter, to_db

if TYPE_CHECKING:
    from voiceguard.types import Samples

BAND_HZ = (300.0, 4000.0)
"""Where speech swings most and fans least: measured against the whole band and six narrow ones."""

SMOOTH_FRAMES = 5
"""Each level is a mean over 50 ms, so that noise by itself swings by less than 5 dB."""

INITIAL_FLOOR_DB = -55.0
"""A stream that begins in mid-word or beside a fan begins as speech; a quiet room does not."""

STEADY_SWING_DB = 8.0
"""A second that swings less is noise. Measured: 99.5 % of the seconds of pauseless reading swing by
more than 16 dB at 20 dB SNR and 8.5 dB at 10 dB; white, pink and brown noise and a running tap by
less than 5, three quarters of rain by less than 7."""

LIFTED_SWING_DB = 12.0
"""Likewise, for a second that never came near the floor: speech in noise does, between its words,
so rain and rotors are recognised by a wider swing. Measured, against 8 dB for all: rain closed
within 2 s in 89 % of cases instead of 72 %, for 1 point of pauseless speech lost at 5 dB SNR."""

LIFTED_DB = 6.0

FALL_RATE = 0.1
"""Per frame: a step down is followed within 0.3 s, the dips of fluctuating noise are not."""

_SUB_FRAMES = 5
_STEADY_SUBS = 20  # 1 s
_MEMORY_SUBS = 100  # 5 s


class NoiseFloor:
    """The level that the room has without speech, frame by frame, in dB.

    Args:
        first_below_db: By how much it begins below the first frame's level, whatever that is; None:
            at INITIAL_FLOOR_DB.
    """

    def __init__(self, first_below_db: float | None = None) -> None:
        self._first_below_db = first_below_db
        self.level_db = INITIAL_FLOOR_DB if first_below_db is None else DIGITAL_SILENCE_DB
        """The latest."""
        self._is_started = False
        self._lows: deque[float] = deque(maxlen=_MEMORY_SUBS)
        self._highs: deque[float] = deque(maxlen=_STEADY_SUBS)
        self._means: deque[float] = deque(maxlen=_STEADY_SUBS)
        self._sub: list[float] = []

    def forget_audio(self) -> None:
        """Starts the memory of levels afresh and keeps the floor."""
        for memory in (self._lows, self._highs, self._means, self._sub):
            memory.clear()

    def push(self, level_db: float) -> float:
        """Takes the next frame's level; returns the floor under it."""
        if not self._is_started:
            self._is_started = True
            if self._first_below_db is None:
                self.level_db = min(self.level_db, level_db)
            else:
                self.level_db = level_db - self._first_below_db
        if level_db < self.level_db:
            self.level_db += FALL_RATE * (level_db - self.level_db)
        self._sub.append(level_db)
        if len(self._sub) == _SUB_FRAMES:
            self._lows.append(min(self._sub))
            self._highs.append(max(self._sub))
            self._means.append(sum(self._sub) / _SUB_FRAMES)
            self._sub.clear()
            self._raise_floor()
        return self.level_db

    def _raise_floor(self) -> None:
        if len(self._highs) < _STEADY_SUBS:
            return
        lows = list(self._lows)
        low = min(lows[-_STEADY_SUBS:])
        is_lifted = low > self.level_db + LIFTED_DB
        if max(self._highs) - low < (LIFTED_SWING_DB if is_lifted else STEADY_SWING_DB):
            self.level_db = sum(self._means) / _STEADY_SUBS
        elif len(lows) == _MEMORY_SUBS:
            self.level_db = max(self.level_db, min(lows))


class EnergyVad:
    """Scores frames in dB above the noise floor. Implements ``VoiceActivityDetector``.

    By loudness alone nothing is speech beyond doubt, and nothing is found to be something else.

    Args:
        enter_db: Score that starts speech.
        exit_db: Score below which a frame is no speech.
        first_below_db: As of ``NoiseFloor``; a cascade's trigger begins open, at any level.
    """

    def __init__(
        self, *, enter_db: float, exit_db: float, first_below_db: float | None = None
    ) -> None:
        self.enter_score = enter_db
        self.exit_score = exit_db
        self.left_out_s = 0.0
        self._meter = LevelMeter(low_hz=BAND_HZ[0], high_hz=BAND_HZ[1])
        self._floor = NoiseFloor(first_below_db)
        self._recent: list[float] = []

    def push(self, samples: Samples) -> list[float]:
        powers = self._meter.push(samples)
        return [self._score(power) for power in powers.tolist()]

    def finish(self) -> list[float]:
        return []

    def take_clear(self, _first: int, _end: int) -> int | None:
        return None

    def reset(self) -> None:
        self._meter.reset()
        self._floor.forget_audio()
        self._recent.clear()

    def _score(self, power: float) -> float:
        self._recent.append(power)
        if len(self._recent) > SMOOTH_FRAMES:
            del self._recent[0]
        level_db = to_db(sum(self._recent) / len(self._recent))
        if min(self._recent) <= SILENCE_POWER:
            # Exact zeros and dither say nothing about the room: the floor stays as learnt.
            return level_db - self._floor.level_db
        return level_db - self._floor.push(level_db)
