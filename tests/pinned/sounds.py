"""A small corpus of synthetic voices, the same 16-bit samples on every machine.

A voice is a pitch and a vocal tract of its own; it speaks syllables of a hiss, a vowel and a pause,
so that a gate takes it for speech and not for music. Nothing here is voiceguard's.
"""

from __future__ import annotations

import csv
import wave
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 16_000
NUM_UTTERANCES = 5
SPEAKERS = {"ada": 2, "ben": 1, "eve": 3, "cleo": 4, "dora": 5}
"""Who is enrolled in ``state/``, by number."""

Samples = np.ndarray[Any, np.dtype[np.float64]]


VOWELS_HZ = np.array(
    [[700, 1250, 2600], [300, 2250, 3000], [320, 800, 2300], [500, 1750, 2500], [480, 950, 2450]],
    dtype=np.float64,
)
"""Three formants each."""


def utterance(speaker: int, number: int, seconds: float = 2.4) -> Samples:
    """``(num_samples,)`` float64 in [-1, 1]: what a speaker says, with quiet before and behind."""
    own = np.random.default_rng((11, speaker))
    pitch_hz, tract = own.uniform(90.0, 230.0), own.uniform(0.8, 1.25, 3)
    rng = np.random.default_rng((12, speaker, number))
    pitch_hz *= 1.0 + rng.normal(0, 0.05)
    tract = tract * (1.0 + rng.normal(0, 0.03, 3))
    parts: list[Samples] = []
    while sum(map(len, parts)) < seconds * RATE_HZ:
        parts.append(_syllable(rng, pitch_hz, tract))
    voice = np.concatenate(parts)[: round(seconds * RATE_HZ)]
    voice *= 0.25 / np.abs(voice).max()
    voice += rng.normal(0, 5e-4, len(voice))
    quiet = rng.normal(0, 3e-4, (2, round(0.5 * RATE_HZ)))
    return np.concatenate([quiet[0], voice, quiet[1]])


def _syllable(rng: np.random.Generator, pitch_hz: float, tract: Samples) -> Samples:
    """A hiss, a vowel whose pitch falls or rises, a short pause."""
    t = np.arange(round(rng.uniform(0.10, 0.24) * RATE_HZ)) / RATE_HZ
    course = pitch_hz * rng.uniform(0.85, 1.25) * (1.0 + rng.uniform(-1.2, 0.8) * t)
    phase = 2 * np.pi * np.cumsum(course * (1.0 + rng.normal(0, 0.01, len(t)))) / RATE_HZ
    formants_hz = tract * VOWELS_HZ[rng.integers(len(VOWELS_HZ))]
    vowel = np.zeros_like(t)
    for harmonic in range(1, 30):
        hz = harmonic * course.mean()
        gain = (1.0 / (1.0 + ((hz - formants_hz) / 120.0) ** 2)).sum() / (1.0 + hz / 1500.0)
        vowel += gain * np.sin(harmonic * phase + harmonic**2)
    vowel *= np.hanning(len(t)) * rng.uniform(0.4, 1.0) / np.abs(vowel).max()
    hiss = np.diff(rng.normal(0, 0.05, round(rng.uniform(0.03, 0.09) * RATE_HZ) + 1))
    return np.concatenate([hiss, vowel, np.zeros(round(rng.uniform(0.01, 0.08) * RATE_HZ))])


def pcm(samples: Samples) -> bytes:
    """16-bit little-endian samples."""
    return np.round(samples * 32767).astype("<i2").tobytes()


def write_wav(path: Path, samples: Samples) -> Path:
    """One channel, 16 bit, 16 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(pcm(samples))
    return path


def write_corpus(folder: Path, speakers: range, *, seconds: float = 2.4) -> Path:
    """``NUM_UTTERANCES`` each in two sessions, with a manifest; returns the folder."""
    columns = ("path", "corpus", "speaker", "session", "split", "half", "licence")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for speaker in speakers:
            for number in range(NUM_UTTERANCES):
                name = f"s{speaker:02}/{number}.wav"
                write_wav(folder / name, utterance(speaker, number, seconds))
                session = "first" if number < NUM_UTTERANCES - 1 else "second"
                writer.writerow((name, "buzz", f"s{speaker:02}", session, "eval", "", "CC0-1.0"))
    return folder


def write_noise(folder: Path) -> Path:
    """Four files of coloured noise and a hum."""
    for number in range(4):
        rng = np.random.default_rng((13, number))
        noise = np.convolve(rng.normal(0, 1, 2 * RATE_HZ), np.ones(2 + 3 * number), mode="same")
        t = np.arange(len(noise)) / RATE_HZ
        noise += np.sin(2 * np.pi * (50.0 + 70.0 * number) * t)
        write_wav(folder / f"{number}.wav", 0.3 * noise / np.abs(noise).max())
    return folder
