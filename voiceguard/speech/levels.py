"""Level of every 10 ms frame, and the level of the noise between the words (hop 2 of 6).

Pure numpy, on the caller's thread. In: mono 16 kHz blocks of any size. Out: one figure per complete
frame, the same whichever way the input was cut into blocks. Used by the gate (signal-to-noise
ratio, whichever detector decides) and by the energy detector.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.types import Samples

DIGITAL_SILENCE_DB = -92.0
"""dB full scale. Exact zeros and the dither of 16-bit audio (about -96) lie below; rooms lie above,
even where a microphone is turned down so far that speech has -55."""

SILENCE_POWER = 10 ** (DIGITAL_SILENCE_DB / 10)

_TAIL_FRAMES = 5
"""Frames after speech that still carry its decay."""

_NOISE_FRAMES = 50
"""Time constant of the noise level: half a second of pauses."""

_SPECTRUM_SAMPLES = 2 * FRAME_SAMPLES
_FRAMES_AT_ONCE = 512
"""10 s: the spectra of a whole recording would take ten times its memory."""
_BIN_HZ = SAMPLE_RATE_HZ / _SPECTRUM_SAMPLES


def to_db(power: float) -> float:
    """Decibels relative to full scale, never below digital silence."""
    return 10 * math.log10(max(power, SILENCE_POWER))


def sanitise(samples: Samples) -> tuple[Samples, int]:
    """The rule for what is no number, wherever audio comes in live: it is silence, and counted.

    (A file that has such samples is refused by name: it can be written anew.) Numbers so large
    that their power is infinite are cut off at full scale.

    Args:
        samples: ``(num_samples,)``.

    Returns:
        The samples (the same array when all is well), and how many were NaN or infinite.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what is not well is looked for
        if np.isfinite(np.dot(samples, samples)):
            return samples, 0
    finite = np.isfinite(samples)
    clean = np.where(finite, samples, np.float32(0.0)).clip(-1.0, 1.0)
    return clean, int(samples.size - finite.sum())


class LevelMeter:
    """Mean square of every frame within a frequency band.

    Each frame is measured over a Hann window of two frames that ends with it, so that a DC
    offset and hum below the band do not leak in and no filter state is needed.
    """

    def __init__(self, *, low_hz: float, high_hz: float) -> None:
        self._bins = slice(math.ceil(low_hz / _BIN_HZ), math.floor(high_hz / _BIN_HZ) + 1)
        phase = 2 * np.pi * np.arange(_SPECTRUM_SAMPLES) / _SPECTRUM_SAMPLES
        hann = 0.5 - 0.5 * np.cos(phase)
        # Parseval, one-sided: the band powers of white noise add up to its mean square.
        scale = math.sqrt(2 / (_SPECTRUM_SAMPLES * float(np.sum(hann**2))))
        self._taper = (hann * scale).astype(np.float32)
        self.reset()

    def reset(self) -> None:
        """Forgets the audio so far; a frame begins with the next sample."""
        self._kept = np.empty(0, dtype=np.float32)

    def push(self, samples: Samples) -> NDArray[np.float64]:
        """Powers of the frames that are complete by now, ``(num_frames,)``, full scale 1."""
        audio = np.concatenate((self._kept, samples))
        if len(self._kept) < FRAME_SAMPLES:
            if len(audio) < FRAME_SAMPLES:
                self._kept = audio
                return np.empty(0)
            # Nothing is known before it. Zeros would be quieter than the room; its mirror is not.
            audio = np.concatenate((audio[FRAME_SAMPLES - 1 :: -1], audio))
        num_frames = len(audio) // FRAME_SAMPLES - 1
        self._kept = audio[num_frames * FRAME_SAMPLES :]
        hops = audio[: (num_frames + 1) * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
        parts = [
            self._powers(hops[first : first + _FRAMES_AT_ONCE + 1])
            for first in range(0, num_frames, _FRAMES_AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.empty(0)

    def _powers(self, hops: Samples) -> NDArray[np.float64]:
        """One for each but the first hop, ``(num_frames + 1, FRAME_SAMPLES)``."""
        spans = np.concatenate((hops[:-1], hops[1:]), axis=1)  # (num_frames, _SPECTRUM_SAMPLES)
        spectrum = np.fft.rfft(spans * self._taper)[:, self._bins]
        power = spectrum.real**2 + spectrum.imag**2
        # Row by row, not as a matrix product: BLAS rounds differently for other numbers of rows.
        powers: NDArray[np.float64] = np.add.reduce(power, axis=1, dtype=np.float64)
        return powers


class NoiseMeter:
    """Power of the noise between the words, whichever detector tells them apart.

    A smoothed level (in dB: less drawn upwards by tails of words and by knocks; 0.0 to 0.6 dB below
    the mean power, measured on white, pink and brown noise and a running tap) over the frames
    that are no speech; before the first of those, the quietest frame so far.

    Digital silence, from a gate or a noise suppressor or a file's padding, says nothing about the
    noise that is there while somebody speaks: it is left out, with the frames that it cuts into.
    """

    def __init__(self) -> None:
        self._noise_db = math.inf
        self._num_frames = 0
        self._before = (math.inf, 0)
        """Noise and number of frames as they were one frame ago."""
        self._since_speech = 0
        self._after_silence = False

    def push(self, power: float, *, is_speech: bool) -> float:
        """Takes one frame's power and says what noise power lies under it."""
        self._since_speech = 0 if is_speech else self._since_speech + 1
        is_cut_into, self._after_silence = self._after_silence, power <= SILENCE_POWER
        if self._after_silence:
            self._noise_db, self._num_frames = self._before  # the frame before was cut into as well
        else:
            self._before = (self._noise_db, self._num_frames)
            if not is_cut_into:
                self._learn(to_db(power))
        return power if self._noise_db == math.inf else 10 ** (self._noise_db / 10)

    def _learn(self, level_db: float) -> None:
        if self._since_speech > _TAIL_FRAMES:
            self._num_frames = min(self._num_frames + 1, _NOISE_FRAMES)
            if self._num_frames == 1:
                self._noise_db = level_db
            self._noise_db += (level_db - self._noise_db) / self._num_frames
        elif self._num_frames == 0:
            self._noise_db = min(self._noise_db, level_db)


def snr_db(speech_and_noise_power: float, noise_power: float) -> float:
    """Signal-to-noise ratio of speech frames over a known noise, limited to -10..60 dB."""
    speech_power = speech_and_noise_power - noise_power
    ratio = speech_power / max(noise_power, SILENCE_POWER)
    return min(max(10 * math.log10(max(ratio, 0.1)), -10.0), 60.0)
