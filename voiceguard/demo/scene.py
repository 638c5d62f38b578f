"""The demo's scene: who says what when, as recordings and as one long recording. Blocking.

``scene.json`` is the script, ``make.py`` made it and the recordings. Every voice is synthetic
(flite's), so the package carries nobody's real voice; the licence is in ``LICENSE.txt``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.audio.files import load_audio
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from voiceguard.types import Samples

FOLDER = Path(__file__).parent / "audio"

ROOM_DBFS = -66.0
"""No room is digitally silent; this is a quiet one."""

FAN_HZ = (60.0, 4000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One thing to be heard in the scene: a sentence, a noise, or a silence worth mentioning."""

    start_s: float
    end_s: float
    who: str
    text: str
    is_enrolled: bool
    """Said by the enrolled speaker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The whole recording, what is said when, and who enrolls with what."""

    speaker: str
    display_name: str
    takes: tuple[Path, ...]
    samples: Samples
    """``(num_samples,)`` mono 16 kHz."""
    said: tuple[Said, ...]

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ


def load_scene(folder: Path = FOLDER) -> Scene:
    """Lays the scene's recordings, noises and silences end to end, the same every time.

    Args:
        folder: Where ``scene.json`` and the recordings are.
    """
    script = json.loads((folder / "scene.json").read_text(encoding="utf-8"))
    enrolled = script["enrolled"]
    voices = [item["voice"] for item in script["scene"] if item["kind"] == "speech"]
    strangers = [voice for voice in dict.fromkeys(voices) if voice != enrolled["voice"]]
    names = {voice: f"stranger {number}" for number, voice in enumerate(strangers, start=1)}
    rng = np.random.default_rng(20)
    pieces: list[Samples] = []
    said: list[Said] = []
    start = 0
    for item in script["scene"]:
        is_enrolled = item.get("voice") == enrolled["voice"]
        if item["kind"] == "speech":
            piece = load_audio(folder / item["file"])
        elif item["kind"] == "noise":
            piece = fan_noise(rng, item["duration_s"], item["level_dbfs"])
        else:
            piece = np.zeros(round(item["duration_s"] * SAMPLE_RATE_HZ), dtype=np.float32)
        if "text" in item:
            who = enrolled["display_name"] if is_enrolled else names.get(item.get("voice"), "")
            said.append(
                Said(
                    start_s=start / SAMPLE_RATE_HZ,
                    end_s=(start + len(piece)) / SAMPLE_RATE_HZ,
                    who=who,
                    text=item["text"],
                    is_enrolled=is_enrolled,
                )
            )
        pieces.append(piece)
        start += len(piece)
    room = 10 ** (ROOM_DBFS / 20) * rng.standard_normal(start)
    return Scene(
        speaker=enrolled["speaker"],
        display_name=enrolled["display_name"],
        takes=tuple(folder / take["file"] for take in enrolled["takes"]),
        samples=(np.concatenate(pieces) + room).astype(np.float32),
        said=tuple(said),
    )


def fan_noise(rng: np.random.Generator, duration_s: float, level_dbfs: float) -> Samples:
    """Steady noise whose power falls by 3 dB per octave, ``(num_samples,)`` at this RMS level."""
    num_samples = round(duration_s * SAMPLE_RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    frequency_hz = np.fft.rfftfreq(num_samples, 1 / SAMPLE_RATE_HZ)
    low_hz, high_hz = FAN_HZ
    is_inside = (frequency_hz >= low_hz) & (frequency_hz <= high_hz)
    spectrum *= is_inside / np.sqrt(np.maximum(frequency_hz, low_hz))
    noise = np.fft.irfft(spectrum, num_samples)
    noise *= 10 ** (level_dbfs / 20) / np.sqrt(np.mean(noise**2))
    return noise.astype(np.float32)
