"""What a run is made of, and the names of what was made of it.

In: a corpus and folders. Out: ``Inputs``, and keys by which a run knows its own files again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voiceguard.lab.corpora.corpus import read_noise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voiceguard.lab.corpora.corpus import Corpus, Skip
    from voiceguard.lab.training.config import TrainingConfig
    from voiceguard.lab.training.speech.teachers import Teachers


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Where everything comes from and goes to."""

    corpus: Corpus
    out: Path
    noise: Path | None = None
    rooms: Path | None = None
    split: str | None = None
    """Of the noise's and rooms' manifest."""
    initial: Path | None = None
    """A model of voiceguard's own format to begin with, for fine-tuning."""
    on_skips: Callable[[list[Skip]], None] = field(default=lambda _: None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How often things happen; nothing of it changes what is learnt."""

    report_every: int = 50
    heldout_every: int = 500
    save_every: int = 500
    said_every_s: float = 60.0
    """A report is also made where the last one is so long ago; the history does not keep it."""


def voices_key(inputs: Inputs, config: TrainingConfig, teacher: Teachers | None) -> str:
    """Names everything that the voices depend on."""
    return _digest(
        {
            "material": material_key(inputs, config),
            "speed": config.changed_speed,
            "formants": config.changed_formants,
            "num_voices": config.num_voices,
            "window_s": config.window_s,
            "teacher": teacher.info.encoder_id if teacher else None,
        }
    )


def material_key(inputs: Inputs, config: TrainingConfig) -> str:
    """Names everything that the passages depend on."""
    return passages_key(inputs.corpus, max_speaker_s=config.max_speaker_s, seed=config.seed)


def passages_key(corpus: Corpus, *, max_speaker_s: float, seed: int) -> str:
    """Names what ``gather`` makes of it."""
    recordings = [(str(each.path), each.speaker, each.session) for each in corpus.recordings]
    return _digest({"corpus": recordings, "max_speaker_s": max_speaker_s, "seed": seed})


def corruption_key(inputs: Inputs) -> str:
    """Names the noise and the rooms that crops are corrupted with."""
    return _digest(
        {
            name: []
            if source is None
            else [str(path) for path in read_noise(source, split=inputs.split)]
            for name, source in (("noise", inputs.noise), ("rooms", inputs.rooms))
        }
    )


def _digest(parts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
