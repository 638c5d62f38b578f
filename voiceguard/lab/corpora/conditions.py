"""What happens to speech on its way: nothing, noise, a room, a telephone.

Pure numpy and soxr but for the files of noise and rooms. In: a stretch of clean speech. Out: the
same stretch, sample for sample, as it would have arrived; enrollment is always clean.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np
import soxr

from voiceguard.lab.corpora.clips import Clip, add_noise
from voiceguard.lab.corpora.windows import load_spread
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from voiceguard.types import Channel, Samples

CLEAN = "clean"
REVERBERANT = "reverberant"
NOISY_ROOM = "10 dB reverberant"
NOISY_ROOM_SNR_DB = 10.0
SNRS_DB = (10.0, 5.0, 0.0)

TELEPHONE_RATE_HZ = 8_000
PASSBAND_HZ = (300.0, 3400.0)
EDGE_HZ = 100.0
"""Width of the slope outside either end of the band."""
MU = 255.0
MU_LAW_STEPS = 128
"""Either side of zero: 8 bits a sample."""


class Condition(Protocol):
    """A way for speech to arrive."""

    @property
    def name(self) -> str:
        """As tables have it; unique within a plan."""
        ...

    @property
    def draws(self) -> str:
        """Seeds its choices, the name as a rule; two of one kind may share them."""
        ...

    def hear(self, clip: Clip, speech_rms: float, rng: np.random.Generator) -> Clip:
        """The clip as it arrives.

        Args:
            clip: Clean.
            speech_rms: Level of its speech, pauses not counted.
            rng: Makes every choice; the same one for crops that begin in the same place.
        """
        ...


class Clean:
    """Nothing happens."""

    name = draws = CLEAN

    def hear(self, clip: Clip, speech_rms: float, rng: np.random.Generator) -> Clip:  # noqa: ARG002
        return clip


class Noisy:
    """Recorded noise at a stated level, another file each time."""

    def __init__(self, snr_db: float, files: Sequence[Path], *, name: str = "") -> None:
        self.draws = f"{snr_db:g} dB"
        self.name = name or self.draws
        self._snr_db = snr_db
        self._files = tuple(files)

    def hear(self, clip: Clip, speech_rms: float, rng: np.random.Generator) -> Clip:
        noise = _load(self._files[int(rng.integers(len(self._files)))])
        return add_noise(clip, speech_rms, noise, self._snr_db, rng)


class Reverberant:
    """A measured room, another one each time; the direct sound keeps its place in time."""

    draws = REVERBERANT

    def __init__(self, files: Sequence[Path], *, name: str = REVERBERANT) -> None:
        self.name = name
        self._files = tuple(files)

    def hear(self, clip: Clip, speech_rms: float, rng: np.random.Generator) -> Clip:  # noqa: ARG002
        response = _load(self._files[int(rng.integers(len(self._files)))], channel=0)
        return Clip(reverberated(clip.samples, response), clip.start_s, clip.end_s)


class NoisyRoom:
    """A measured room, and on what arrives from it recorded noise at a stated level."""

    name = draws = NOISY_ROOM

    def __init__(self, noise_files: Sequence[Path], room_files: Sequence[Path]) -> None:
        self._room = Reverberant(room_files)
        self._noise = Noisy(NOISY_ROOM_SNR_DB, noise_files)

    def hear(self, clip: Clip, speech_rms: float, rng: np.random.Generator) -> Clip:
        # A room keeps the level of what sounds in it.
        return self._noise.hear(self._room.hear(clip, speech_rms, rng), speech_rms, rng)


class Telephone:
    """A call over the old network: 300 to 3400 Hz, 8 kHz, mu-law."""

    name = draws = "telephone"

    def hear(self, clip: Clip, speech_rms: float, rng: np.random.Generator) -> Clip:  # noqa: ARG002
        return Clip(telephoned(clip.samples), clip.start_s, clip.end_s)


def make_conditions(
    noise_files: Sequence[Path] = (), room_files: Sequence[Path] = (), *, telephone: bool = True
) -> tuple[Condition, ...]:
    """Clean, and what else the material allows, in the order of tables.

    Args:
        noise_files: For 10, 5 and 0 dB; none of them without.
        room_files: Impulse responses.
        telephone: Whether to have it.
    """
    conditions: list[Condition] = [Clean()]
    if noise_files:
        conditions += [Noisy(snr_db, noise_files) for snr_db in SNRS_DB]
    if room_files:
        conditions.append(Reverberant(room_files))
    if noise_files and room_files:
        conditions.append(NoisyRoom(noise_files, room_files))
    if telephone:
        conditions.append(Telephone())
    return tuple(conditions)


def reverberated(samples: Samples, response: Samples) -> Samples:
    """Convolves speech with a room, keeping its length and level.

    Args:
        samples: ``(num_samples,)``.
        response: ``(num_response,)``; its highest peak is the direct sound.

    Returns:
        ``(num_samples,)``: what the room adds after the end is cut off.
    """
    direct = int(np.argmax(np.abs(response)))
    num_fft = 1 << (len(samples) + len(response) - 1).bit_length()
    spectrum = np.fft.rfft(samples, num_fft) * np.fft.rfft(response, num_fft)
    heard = np.fft.irfft(spectrum, num_fft)[direct : direct + len(samples)]
    return _at_level(heard, samples)


def telephoned(samples: Samples) -> Samples:
    """What a telephone leaves of speech.

    Source: ITU-T G.711 (mu-law; by its formula, where the standard has chords).

    Args:
        samples: ``(num_samples,)`` mono 16 kHz; what exceeds full scale is clipped.

    Returns:
        The same shape.
    """
    narrow = soxr.resample(_band_limited(samples), SAMPLE_RATE_HZ, TELEPHONE_RATE_HZ)
    loudness = np.log1p(MU * np.minimum(np.abs(narrow), 1.0)) / np.log1p(MU)
    coded = np.sign(narrow) * np.floor(loudness * (MU_LAW_STEPS - 1) + 0.5) / (MU_LAW_STEPS - 1)
    decoded = np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(MU)) / MU
    wide = soxr.resample(decoded.astype(np.float32), TELEPHONE_RATE_HZ, SAMPLE_RATE_HZ)
    # An odd number of samples comes back one off.
    fitted = np.zeros(len(samples), np.float32)
    fitted[: len(wide)] = wide[: len(samples)]
    return fitted


def _band_limited(samples: Samples) -> Samples:
    low_hz, high_hz = PASSBAND_HZ
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ)
    outside_hz = np.maximum(np.maximum(low_hz - hz, hz - high_hz), 0.0)
    gain = np.cos(np.pi / 2 * np.minimum(outside_hz / EDGE_HZ, 1.0)) ** 2
    limited: Samples = np.fft.irfft(np.fft.rfft(samples) * gain, len(samples)).astype(np.float32)
    return limited


def _at_level(samples: NDArray[np.float64], like: Samples) -> Samples:
    """Scaled to the level of another recording, and never beyond full scale."""
    power = float(np.mean(np.square(samples)))
    wanted = float(np.mean(np.square(like, dtype=np.float64)))
    gain = np.sqrt(wanted / max(power, 1e-18))
    loudest = gain * float(np.max(np.abs(samples), initial=0.0))
    return np.asarray(samples * (gain / max(1.0, loudest)), dtype=np.float32)


@lru_cache(maxsize=256)
def _load(path: Path, channel: Channel = "downmix") -> Samples:
    return load_spread(path, channel)
