"""Corpora of tones on disk: each speaker is a frequency, each utterance a little off it.

Or, where a real encoder enrolls them, of synthetic voices: tones are no speech to Silero.
"""

from __future__ import annotations

import csv
import wave
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tests.fakes import PitchEncoder, hears_tones, quiet, tone
from tests.pinned.sounds import utterance
from voiceguard.service.kit import Kit
from voiceguard.settings import Settings
from voiceguard.speech.vad import VadConfig
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.enrollment import TakeJudge
    from voiceguard.types import Samples

COLUMNS = ("path", "corpus", "speaker", "session", "split", "half", "licence")


class ToneKit(Kit):
    """Takes tones for speech, whether or not a detector is installed that knows better."""

    @property
    def take_judge(self) -> TakeJudge:
        return replace(super().take_judge, make_vad=hears_tones)


def make_kit() -> Kit:
    """The built-in settings around the pitch encoder; no cohort, no calibration."""
    settings = Settings.model_construct(
        **{
            name: field.get_default(call_default_factory=True)
            for name, field in Settings.model_fields.items()
        }
    )
    settings = settings.model_copy(update={"vad": VadConfig(backend="energy")})
    return ToneKit(settings=settings, encoder=PitchEncoder(), cohort=None, calibration=None)


def write_wav(path: Path, samples: Samples) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


@dataclass
class Written:
    """One row of a manifest, and the tone behind it."""

    speaker: str
    session: str
    hz: float
    seconds: float = 3.0
    corpus: str = "tones"
    split: str = "eval"
    half: str = ""


def write_corpus(folder: Path, rows: list[Written], *, spoken: bool = False) -> Path:
    """Writes recordings and a manifest beside them; returns the manifest.

    Args:
        folder: Where to.
        rows: One per recording.
        spoken: By synthetic voices instead of tones; a row's number is then the voice's.
    """
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for number, row in enumerate(rows):
            path = f"{row.corpus}/{row.speaker}/{number}.wav"
            if spoken:
                audio = utterance(int(row.speaker[1:]), number, row.seconds).astype(np.float32)
            else:
                parts = [quiet(0.4), tone(row.hz, row.seconds, seed=number), quiet(0.4)]
                audio = np.concatenate(parts)
            write_wav(folder / path, audio)
            writer.writerow(
                {
                    "path": path,
                    "corpus": row.corpus,
                    "speaker": row.speaker,
                    "session": row.session,
                    "split": row.split,
                    "half": row.half,
                    "licence": "CC0-1.0",
                }
            )
    return folder / "manifest.csv"


def people(num_speakers: int, *, utterances: int = 5, second_session: int = 2) -> list[Written]:
    """Speakers 240 Hz apart; their second session is a little higher."""
    rng = np.random.default_rng(3)
    return [
        Written(
            speaker=f"s{number:02}",
            session=session,
            hz=300.0 + 240.0 * number + shift + float(rng.uniform(-25, 25)),
        )
        for number in range(num_speakers)
        for session, count, shift in (("first", utterances, 0.0), ("second", second_session, 20.0))
        for _ in range(count)
    ]
