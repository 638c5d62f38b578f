"""The voices that a run learns from: every speaker's own, and changed ones, each with its target.

In: passages and a teacher. Out: crops of any length with the teacher's embedding of the whole,
clean voice. Kept in the run's folder, one file per round of voices, so that a resumed run need
not ask the teacher again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.lab.corpora.clips import seeded
from voiceguard.lab.corpora.embedding_cache import embed_all
from voiceguard.lab.progress import untracked
from voiceguard.lab.training.speech.material import FULL_SCALE, to_pcm
from voiceguard.lab.training.speech.voices import changed_voice
from voiceguard.voiceprints.durable import replace_durably

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from voiceguard.lab.progress import Track
    from voiceguard.lab.training.config import TrainingConfig
    from voiceguard.lab.training.speech.material import Passage
    from voiceguard.protocols import Encoder
    from voiceguard.types import Samples


_AT_ONCE = 16
"""Passages that a teacher embeds together, where it can."""


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """One voice of every speaker."""

    speech: NDArray[np.int16]
    """``(num_samples,)``: all passages, one after the other; maybe mapped from a file."""
    ends: NDArray[np.int64]
    """``(num_passages,)``, where each ends in ``speech``."""
    targets: NDArray[np.float32] | None
    """``(num_passages, teacher_dim)`` as the teacher gave them; None without a teacher."""

    def passage(self, number: int) -> NDArray[np.int16]:
        """One passage's samples, ``(num_samples,)``."""
        start = 0 if number == 0 else int(self.ends[number - 1])
        return self.speech[start : int(self.ends[number])]


def make_round(
    passages: tuple[Passage, ...],
    number: int,
    config: TrainingConfig,
    teacher: Encoder | None,
    folder: Path,
    *,
    key: str,
    track: Track = untracked,
) -> Round:
    """The ``number``-th voice of every speaker, from the folder where it is there already.

    Args:
        passages: In the order of the run.
        number: 0 is everybody's own voice.
        config: How far voices are changed, and the seed.
        teacher: Makes the targets.
        folder: Where rounds are kept.
        key: Names passages, teacher and settings; a round of another key is made again.
        track: Shows progress.

    Raises:
        OSError: The folder cannot be written.
    """
    paths = [folder / f"voices-{number:02d}.{suffix}" for suffix in ("i16", "json", "npy")]
    speech_path, about_path, targets_path = paths
    if _key_of(about_path) != key:
        voices = [
            _voiced(passage, number, config)
            for passage in track(passages, f"voices {number + 1} of {config.num_voices}")
        ]
        parts = [to_pcm(samples) for samples in voices]
        targets = [] if teacher is None else _targets(voices, teacher, number, config, track)
        replace_durably((speech_path, np.concatenate(parts).tobytes()))
        if teacher is not None:
            with targets_path.open("wb") as file:
                np.save(file, np.stack(targets), allow_pickle=False)
        ends = np.cumsum([len(part) for part in parts])
        # Last: a round without it is made again.
        replace_durably((about_path, json.dumps({"key": key, "ends": ends.tolist()}).encode()))
    return Round(
        np.memmap(speech_path, dtype=np.int16, mode="r"),
        np.array(json.loads(about_path.read_text("utf-8"))["ends"], dtype=np.int64),
        None if teacher is None else np.load(targets_path, allow_pickle=False),
    )


def _targets(
    voices: list[Samples], teacher: Encoder, number: int, config: TrainingConfig, track: Track
) -> list[NDArray[np.float32]]:
    batches = [voices[first : first + _AT_ONCE] for first in range(0, len(voices), _AT_ONCE)]
    label = f"teacher's targets {number + 1} of {config.num_voices}"
    return [target for batch in track(batches, label) for target in embed_all(teacher, batch)]


def _key_of(about_path: Path) -> str | None:
    try:
        return str(json.loads(about_path.read_text("utf-8"))["key"])
    except (OSError, ValueError, KeyError):
        return None


def _voiced(passage: Passage, number: int, config: TrainingConfig) -> Samples:
    """All passages of a speaker have the same voice in one round."""
    if number == 0:
        return passage.samples
    rng = seeded(config.seed, passage.speaker, number)
    low, high = np.log(config.changed_speed)
    # Spread over the range by turns: two voices of one speaker should not be nearly the same.
    place = ((number - 1 + rng.uniform()) / max(1, config.num_voices - 1) + _turn(passage)) % 1.0
    speed = float(np.exp(low + place * (high - low)))
    formants = float(np.exp(rng.uniform(*np.log(config.changed_formants))))
    return changed_voice(passage.samples, speed=speed, formants=formants)


def _turn(passage: Passage) -> float:
    return float(seeded(passage.speaker).uniform())


class VoiceBank:
    """Draws crops.

    Args:
        rounds: Every speaker's voices.
        passages: In the same order as in the rounds.
        speakers: Who is trained on; their order gives the classes.
    """

    def __init__(
        self, rounds: list[Round], passages: tuple[Passage, ...], speakers: list[str]
    ) -> None:
        self._rounds = rounds
        number_of = {speaker: number for number, speaker in enumerate(speakers)}
        self._of_speaker: list[list[int]] = [[] for _ in speakers]
        for index, passage in enumerate(passages):
            if passage.speaker in number_of:
                self._of_speaker[number_of[passage.speaker]].append(index)
        seconds = np.array(
            [sum(passages[index].seconds for index in own) for own in self._of_speaker]
        )
        # Who spoke longer has more to teach, but not in proportion.
        self._weights = np.sqrt(seconds) / np.sqrt(seconds).sum()
        self._targets = self._voice_targets()

    @property
    def num_classes(self) -> int:
        """One per speaker and round."""
        return len(self._rounds) * len(self._of_speaker)

    @property
    def teacher_dim(self) -> int | None:
        """None without a teacher."""
        return None if self._targets is None else int(self._targets[0].shape[1])

    def _voice_targets(self) -> list[NDArray[np.float32]] | None:
        """Per round, centred over everybody and of norm 1: see ``losses.Objective``.

        A passage's target is drawn halfway to its voice's mean: what the teacher heard of the
        occasion rather than of the voice is not to be learnt.
        """
        given = [each.targets for each in self._rounds]
        if any(each is None for each in given):
            return None
        raw = np.stack([each for each in given if each is not None])  # (rounds, passages, dim)
        raw = raw / np.linalg.norm(raw, axis=2, keepdims=True)
        trained = [index for own in self._of_speaker for index in own]
        centred = raw - raw[:, trained].mean(axis=(0, 1))
        centred /= np.linalg.norm(centred, axis=2, keepdims=True)
        blended = centred.copy()
        for own in self._of_speaker:
            blended[:, own] += centred[:, own].mean(axis=1, keepdims=True)
        blended /= np.linalg.norm(blended, axis=2, keepdims=True)
        return list(blended)

    def draw(
        self, num_crops: int, num_samples: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None, NDArray[np.int64]]:
        """A batch.

        Returns:
            Crops ``(num_crops, num_samples)``, targets ``(num_crops, teacher_dim)``, and classes
            ``(num_crops,)``.
        """
        crops = np.empty((num_crops, num_samples), dtype=np.float32)
        targets, labels = [], np.empty(num_crops, dtype=np.int64)
        speakers = rng.choice(len(self._of_speaker), num_crops, p=self._weights)
        for row, speaker in enumerate(speakers):
            turn = int(rng.integers(len(self._rounds)))
            own = self._of_speaker[speaker]
            index = own[int(rng.integers(len(own)))]
            crops[row] = self._crop(turn, index, own, num_samples, rng)
            labels[row] = turn * len(self._of_speaker) + speaker
            if self._targets is not None:
                targets.append(self._targets[turn][index])
        return crops, np.stack(targets) if targets else None, labels

    def crop_of(
        self, label: int, num_samples: int, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """A crop ``(num_samples,)`` of one class."""
        turn, speaker = divmod(label, len(self._of_speaker))
        own = self._of_speaker[speaker]
        return self._crop(turn, own[int(rng.integers(len(own)))], own, num_samples, rng)

    def _crop(
        self, turn: int, index: int, own: list[int], num_samples: int, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Of one passage; a short one goes on with the speaker's others, or with itself."""
        parts = [self._rounds[turn].passage(index)]
        missing = num_samples - len(parts[0])
        while missing > 0:
            parts.append(self._rounds[turn].passage(own[int(rng.integers(len(own)))]))
            missing -= len(parts[-1])
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
        start = int(rng.integers(len(joined) - num_samples + 1))
        return joined[start : start + num_samples].astype(np.float32) / np.float32(FULL_SCALE)
