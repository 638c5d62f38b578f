"""Sounds for the tests of the speech gate: synthetic ones, and real ones from ../shared."""

from __future__ import annotations

import csv
from functools import cache
from typing import TYPE_CHECKING

import av
import numpy as np

from tests.services import SHARED
from voiceguard.speech.gate import SpeechGate
from voiceguard.speech.vad import VadConfig, make_vad
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, SpeechAudio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.types import Samples


HEARS_TONES = VadConfig(backend="energy")


def noise(kind: str, seconds: float, level_db: float, seed: int = 0) -> Samples:
    """White, pink or brown noise of a level in dB full scale."""
    rng = np.random.default_rng(seed)
    num_samples = round(seconds * SAMPLE_RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    hz = np.maximum(np.fft.rfftfreq(num_samples, 1 / SAMPLE_RATE_HZ), 10)
    slope = {"white": 0.0, "pink": -0.5, "brown": -1.0}[kind]
    return at_level(np.fft.irfft(spectrum * hz**slope, num_samples).astype(np.float32), level_db)


def at_level(samples: Samples, level_db: float) -> Samples:
    """The same sound with this root mean square, in dB full scale."""
    rms = np.sqrt(np.mean(samples.astype(np.float64) ** 2))
    scaled: Samples = (samples * (10 ** (level_db / 20) / max(rms, 1e-12))).astype(np.float32)
    return scaled


def babbling(seconds: float, level_db: float) -> Samples:
    """Speech-like: a harmonic voice with formants, four syllables a second, no pauses."""
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    f0 = 120 + 20 * np.sin(2 * np.pi * 0.7 * t)
    phase = 2 * np.pi * np.cumsum(f0) / SAMPLE_RATE_HZ
    voice = np.sum([np.sin(k * phase) / (1 + abs(k - 5)) for k in range(1, 25)], axis=0)
    syllables = (0.5 - 0.5 * np.cos(2 * np.pi * 4 * t)) ** 2
    return at_level((voice * syllables).astype(np.float32), level_db)


def load(path: str) -> Samples:
    """A file below ../shared, all of it."""
    with av.open(str(SHARED / path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
        frames = [f for packet in container.decode(audio=0) for f in resampler.resample(packet)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().ravel() for frame in frames]).astype(np.float32)


@cache
def reading(speaker: str = "19", seconds: float = 30.0) -> Samples:
    """Continuous reading by one LibriSpeech speaker, utterances joined end to end."""
    with (SHARED / "speech" / "manifest.csv").open() as manifest:
        paths = [
            row["path"]
            for row in csv.DictReader(manifest)
            if (row["corpus"], row["speaker"]) == ("librispeech", speaker)
        ]
    samples = np.empty(0, dtype=np.float32)
    while len(samples) < seconds * SAMPLE_RATE_HZ:
        samples = np.concatenate((samples, load(f"speech/{paths.pop(0)}")))
    return at_level(samples[: round(seconds * SAMPLE_RATE_HZ)], -26)


def without_pauses(samples: Samples) -> Samples:
    """The same reading without the frames 22 dB below its peaks, but 40 ms around the others."""
    num_frames = len(samples) // FRAME_SAMPLES
    frames = samples[: num_frames * FRAME_SAMPLES].reshape(num_frames, FRAME_SAMPLES)
    level_db = 10 * np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1) + 1e-12)
    is_loud = level_db > np.percentile(level_db, 95) - 22
    keep = np.convolve(is_loud, np.ones(9), mode="same") > 0
    return frames[keep].ravel()


def heard(samples: Samples, config: VadConfig | None = None) -> NDArray[np.bool_]:
    """Per sample: whether the gate was open, pre-roll and hangover included."""
    gate = SpeechGate(make_vad(config or HEARS_TONES))
    is_open = np.zeros(len(samples), dtype=bool)
    for event in [*gate.push(samples), *gate.flush()]:
        if isinstance(event, SpeechAudio):
            is_open[event.first_sample : event.first_sample + len(event.samples)] = True
    return is_open


def heard_s(samples: Samples, config: VadConfig | None = None) -> float:
    """For how long the gate was open."""
    return float(np.sum(heard(samples, config))) / SAMPLE_RATE_HZ
