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
import torch
from torch import nn

from voiceguard.lab.corpora.clips import seeded
from voiceguard.lab.progress import untracked
from voiceguard.lab.training.speech.apart import SAME_VOICE_COSINE
from voiceguard.lab.training.speech.material import FULL_SCALE, MAX_ABOUT_BYTES, to_pcm
from voiceguard.lab.training.speech.source import Batch
from voiceguard.lab.training.speech.voices import changed_voice
from voiceguard.validation.parsing import read_json_object
from voiceguard.voiceprints.durable import replace_durably

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from voiceguard.lab.progress import Track
    from voiceguard.lab.training.config import TrainingConfig
    from voiceguard.lab.training.speech.material import Passage
    from voiceguard.lab.training.speech.teachers import Teachers
    from voiceguard.types import Samples


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """One voice of every speaker."""

    speech: NDArray[np.int16] | Tensor
    """``(num_samples,)``: all passages, one after the other; maybe mapped from a file."""
    ends: NDArray[np.int64]
    """``(num_passages,)``, where each ends in ``speech``."""
    targets: NDArray[np.float32] | None
    """``(num_passages, teacher_dim)`` as the teacher gave them; None without a teacher."""

    def passage(self, number: int) -> NDArray[np.int16]:
        """One passage's samples, ``(num_samples,)``."""
        start = 0 if number == 0 else int(self.ends[number - 1])
        return np.asarray(self.speech[start : int(self.ends[number])])


def make_round(
    passages: tuple[Passage, ...],
    number: int,
    config: TrainingConfig,
    teacher: Teachers | None,
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
        replace_durably((speech_path, np.concatenate(parts).tobytes()))
        if teacher is not None:
            label = f"teacher's targets {number + 1} of {config.num_voices}"
            targets = teacher.embed(voices, label, track)
            with targets_path.open("wb") as file:
                np.save(file, np.stack(targets), allow_pickle=False)
        ends = np.cumsum([len(part) for part in parts])
        # Last: a round without it is made again.
        replace_durably((about_path, json.dumps({"key": key, "ends": ends.tolist()}).encode()))
    return Round(
        # Of a mapping that cannot be written to torch makes no tensor.
        np.memmap(speech_path, dtype=np.int16, mode="c"),
        np.array(read_json_object(about_path, max_bytes=MAX_ABOUT_BYTES)["ends"], dtype=np.int64),
        None if teacher is None else np.load(targets_path, allow_pickle=False),
    )


def _key_of(about_path: Path) -> str | None:
    try:
        return str(read_json_object(about_path, max_bytes=MAX_ABOUT_BYTES)["key"])
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
    """A ``Source`` of crops of all rounds; a label is a speaker's voice of one round.

    Args:
        rounds: Of ``make_round``.
        passages: Of the same order; a speaker's follow one another.
        speakers: Who is learnt; others' passages are left alone.
        device: Where the speech is kept and the crops are cut: a GPU has room for days of it, and
            a step then waits for no copy.
    """

    def __init__(
        self,
        rounds: list[Round],
        passages: tuple[Passage, ...],
        speakers: list[str],
        device: torch.device | str = "cpu",
    ) -> None:
        self._device = torch.device(device)
        self._speech = [torch.as_tensor(each.speech).to(self._device) for each in rounds]
        self._tensor_of = np.arange(len(rounds))
        offsets = np.zeros((len(rounds), 1), dtype=np.int64)
        if self._device.type != "cpu":  # one tensor, and one kernel cuts all crops
            offsets[1:, 0] = np.cumsum([len(each) for each in self._speech[:-1]])
            self._speech = [torch.cat(self._speech)]
            self._tensor_of[:] = 0
        self._num_rounds = len(rounds)
        self._ends = np.stack([each.ends for each in rounds])  # (rounds, passages)
        self._starts = np.roll(self._ends, 1, axis=1)
        self._starts[:, 0] = 0
        self._ends += offsets
        self._starts += offsets
        number_of = {speaker: number for number, speaker in enumerate(speakers)}
        self._of_speaker: list[list[int]] = [[] for _ in speakers]
        for index, passage in enumerate(passages):
            if passage.speaker in number_of:
                self._of_speaker[number_of[passage.speaker]].append(index)
        self._first = np.array([own[0] for own in self._of_speaker])
        self._num_passages = np.array([len(own) for own in self._of_speaker])
        seconds = np.array(
            [sum(passages[index].seconds for index in own) for own in self._of_speaker]
        )
        # Who spoke longer has more to teach, but not in proportion.
        self._weights = np.sqrt(seconds) / np.sqrt(seconds).sum()
        targets = self._voice_targets([each.targets for each in rounds])
        self._targets = None if targets is None else torch.from_numpy(targets).to(self._device)
        self.state = nn.Module()

    @property
    def num_speakers(self) -> int:
        """As they are labelled."""
        return len(self._of_speaker)

    @property
    def num_classes(self) -> int:
        """One per speaker and round."""
        return self._num_rounds * len(self._of_speaker)

    @property
    def teacher_dim(self) -> int | None:
        """None without a teacher."""
        return None if self._targets is None else int(self._targets.shape[2])

    @property
    def frame_channels(self) -> int | None:
        """None: a teacher's frames would take a hundred times the room of its embeddings."""
        return None

    def begin(self, track: Track = untracked) -> None:
        """Nothing: everything was made before."""

    def _voice_targets(self, given: list[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
        """Per round, centred over everybody and of norm 1: see ``losses.Objective``.

        A passage's target is drawn halfway to its voice's mean: what the teacher heard of the
        occasion rather than of the voice is not to be learnt.
        """
        raw = [
            each / np.linalg.norm(each, axis=1, keepdims=True) for each in given if each is not None
        ]
        if len(raw) < len(given):
            return None
        trained = np.concatenate(self._of_speaker)
        mean = np.mean([each[trained].mean(axis=0) for each in raw], axis=0)
        centred = np.stack(raw) - mean
        centred /= np.linalg.norm(centred, axis=2, keepdims=True)
        blended = centred.copy()
        for own in self._of_speaker:
            voices = centred[:, own]  # (rounds, own passages, dim)
            is_alike = voices @ voices.transpose(0, 2, 1) > SAME_VOICE_COSINE
            blended[:, own] += is_alike @ voices / is_alike.sum(axis=2, keepdims=True)
        blended /= np.linalg.norm(blended, axis=2, keepdims=True)
        return np.asarray(blended, dtype=np.float32)

    def draw(self, num_crops: int, num_samples: int, rng: np.random.Generator) -> Batch:
        """Crops of randomly drawn voices: each speaker by how long they spoke, each voice alike."""
        turns, speakers, passages = self._drawn(num_crops, rng)
        labels = torch.from_numpy(turns * len(self._of_speaker) + speakers)
        targets = None
        if self._targets is not None:
            targets = self._targets[_there(turns, self._device), _there(passages, self._device)]
        return Batch(self._cut(turns, speakers, passages, num_samples, rng), targets, labels)

    def draw_targets(self, num: int, rng: np.random.Generator) -> Tensor | None:
        """Targets ``(num, teacher_dim)`` of voices drawn likewise; None without a teacher."""
        if self._targets is None:
            return None
        turns, _, passages = self._drawn(num, rng)
        return self._targets[_there(turns, self._device), _there(passages, self._device)]

    def draw_voices(self, num: int, num_samples: int, rng: np.random.Generator) -> Batch:
        """See ``Source.draw_voices``."""
        return self.draw(num, num_samples, rng)

    def _drawn(self, num: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], ...]:
        """Rounds, speakers and passages, each ``(num,)``."""
        speakers = rng.choice(len(self._of_speaker), num, p=self._weights)
        turns = rng.integers(self._num_rounds, size=num)
        return turns, speakers, self._first[speakers] + rng.integers(self._num_passages[speakers])

    def crops_of(
        self, labels: NDArray[np.int64], num_samples: int, rng: np.random.Generator
    ) -> Tensor:
        """A crop of each of the classes ``(num_crops,)``: ``(num_crops, num_samples)`` float32."""
        turns, speakers = np.divmod(labels, len(self._of_speaker))
        passages = self._first[speakers] + rng.integers(self._num_passages[speakers])
        return self._cut(turns, speakers, passages, num_samples, rng)

    def _cut(
        self,
        turns: NDArray[np.int64],
        speakers: NDArray[np.int64],
        passages: NDArray[np.int64],
        num_samples: int,
        rng: np.random.Generator,
    ) -> Tensor:
        """From passages; a short one goes on with the speaker's next, in a circle."""
        starts = self._starts[turns, passages]
        lengths = self._ends[turns, passages] - starts
        # Where it is too short for the crop, any place in it is a beginning.
        places = np.where(lengths > num_samples, lengths - num_samples + 1, lengths)
        starts = starts + rng.integers(places)
        circle = self._starts[turns, self._first[speakers]]
        last = self._first[speakers] + self._num_passages[speakers] - 1
        around = self._ends[turns, last] - circle
        crops = torch.empty(len(turns), num_samples, device=self._device)
        offsets = torch.arange(num_samples, device=self._device)
        tensors = self._tensor_of[turns]
        for number in np.unique(tensors):
            rows = np.flatnonzero(tensors == number)
            first, circle_of, length = (
                _there(each[rows], self._device)[:, None] for each in (starts, circle, around)
            )
            positions = circle_of + (first - circle_of + offsets) % length
            crops[_there(rows, self._device)] = self._speech[number][positions] / FULL_SCALE
        return crops


def _there(numbers: NDArray[np.int64], device: torch.device) -> Tensor:
    return torch.from_numpy(numbers).to(device)
