"""Voices on the fly: every window of speech gets a voice of its own, which the teacher hears.

In: the speakers' passages and a teacher. Out: crops of the windows, with what the teacher made of
the whole, clean window and of each 20 ms of it. No voice is heard twice, and none is made in
advance: the teacher takes a third of a step, on a CPU as on a GPU. Some windows are of nobody, and
some crops the teacher hears as the student will: see ``beyond``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import normalize

from voiceguard.lab.corpora.clips import seeded
from voiceguard.lab.progress import untracked
from voiceguard.lab.training.speech.beyond import Beyond
from voiceguard.lab.training.speech.memory import Memory
from voiceguard.lab.training.speech.source import Batch
from voiceguard.lab.training.speech.voices import stretched
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from voiceguard.lab.progress import Track
    from voiceguard.lab.training.config import TrainingConfig
    from voiceguard.lab.training.corruption.augment import Augmenter
    from voiceguard.lab.training.speech.circles import Circles
    from voiceguard.lab.training.speech.hearing import WindowTeacher

NUM_SPEEDS = 16
TEACHER_FRAME_SAMPLES = 320
"""Frame j of the teacher is about the samples from 320 j on; crops begin at such places."""
_LENGTH_SAMPLES = 200
"""What is resampled is a multiple of it long: a transform of that length is a quick one."""
_BEGUN_BATCHES = 12
"""From which means and deviations are taken."""


class DrawnVoices:
    """A ``Source``.

    Args:
        circles: Speech to learn from.
        teacher: Hears every window.
        config: How windows and voices are drawn, and the seed.
        augmenter: Corrupts what the teacher hears as the student does.
    """

    def __init__(
        self,
        circles: Circles,
        teacher: WindowTeacher,
        config: TrainingConfig,
        augmenter: Augmenter,
    ) -> None:
        self._circles = circles
        self._teacher = teacher
        self._config = config
        self._beyond = Beyond(config.matching, augmenter)
        self.window_samples = window_samples(config)
        # As much speech as the crops have together.
        self._num_windows = max(2, int(config.batch_s / config.window_s))
        self._speeds = np.geomspace(*config.changed_speed, NUM_SPEEDS)
        self.state: Memory = Memory(
            teacher.dim,
            self.frame_channels,
            num_kept=8 * config.contrast_voices + self._num_windows,
        )

    @property
    def num_speakers(self) -> int:
        """As the teacher tells them apart."""
        return len(self._circles.names)

    @property
    def num_classes(self) -> int:
        """Speakers; a voice of a window has no class."""
        return self.num_speakers

    @property
    def teacher_dim(self) -> int:
        """Of the targets."""
        return self._teacher.dim

    @property
    def frame_channels(self) -> int | None:
        """See ``Source``."""
        return self._teacher.frame_channels if self._config.frames_weight else None

    @torch.no_grad()
    def begin(self, track: Track = untracked) -> None:
        """Listens to a few batches, for the means that targets are told from."""
        rng = seeded(self._config.seed, "begin")
        for _ in track(range(_BEGUN_BATCHES), "the teacher's means"):
            self.state.add(self._teacher(self.windows(self._num_windows, rng)[0]))
        self.state.begin()

    @torch.no_grad()
    def draw(self, num_crops: int, num_samples: int, rng: np.random.Generator) -> Batch:
        """See ``Source.draw``: crops of windows that are drawn now, and heard whole."""
        windows, speakers = self.windows(self._num_windows, rng)
        windows = self._beyond.windows(windows, rng)
        heard = self._teacher(windows)
        targets = self.state.remembered(heard.embeddings)
        num_frames = min(num_samples, self.window_samples) // TEACHER_FRAME_SAMPLES
        of = np.resize(rng.permutation(len(windows)), num_crops)
        places = self.window_samples // TEACHER_FRAME_SAMPLES - num_frames + 1
        first = rng.integers(places, size=num_crops)
        row, frame = torch.from_numpy(np.stack([of, first])).to(windows.device).unsqueeze(2)
        offsets = torch.arange(num_frames * TEACHER_FRAME_SAMPLES, device=windows.device)
        crops = windows[row, frame * TEACHER_FRAME_SAMPLES + offsets]
        frames = None
        if heard.frames is not None and self.frame_channels is not None:
            # But the last, which the end of the window may cut off.
            inside = frame + torch.arange(num_frames - 1, device=windows.device)
            frames = self.state.standardised(heard.frames).transpose(1, 2)[row, inside]
        crop_of = row[:, 0]
        embeddings = normalize(heard.embeddings.float())[crop_of]
        labels = torch.from_numpy(speakers[of])
        batch = Batch(crops, targets[crop_of], labels, frames, embeddings)
        return self._with_alike(batch, rng)

    def _with_alike(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """The last crops as the teacher hears them, and what it hears there."""
        num = int(self._config.matching.alike_share * len(batch.crops))
        if not num or batch.targets is None or batch.embeddings is None:
            return batch
        crops = self._beyond.crops(batch.crops[-num:], batch.labels[-num:], rng)
        heard = self._teacher(crops)
        for ours, theirs in (
            (batch.crops, crops),
            (batch.targets, self.state.centred(heard.embeddings)),
            (batch.embeddings, normalize(heard.embeddings.float())),
        ):
            ours[-num:] = theirs
        if batch.frames is not None and heard.frames is not None:
            frames = self.state.standardised(heard.frames).transpose(1, 2)
            batch.frames[-num:] = frames[:, : batch.frames.shape[1]]
        return replace(batch, num_alike=num)

    def draw_targets(self, num: int, rng: np.random.Generator) -> Tensor:
        """See ``Source.draw_targets``: of windows before this step's."""
        return self.state.earlier(num, self._num_windows, rng)

    def draw_voices(self, num: int, num_samples: int, rng: np.random.Generator) -> Batch:
        """See ``Source.draw_voices``: speakers' own ones."""
        speakers, places = self._circles.draw(num, rng)
        crops = self._circles.cut(speakers, places, num_samples)
        return Batch(crops, None, torch.from_numpy(speakers))

    def windows(self, num: int, rng: np.random.Generator) -> tuple[Tensor, NDArray[np.int64]]:
        """Windows with voices of their own.

        Args:
            num: How many; the first ``own_share`` of them keep the speaker's voice.
            rng: Draws.

        Returns:
            ``(num, window_samples)`` in [-1, 1], and ``(num,)``, whose speech it is.
        """
        return changed_windows(
            self._circles,
            num,
            self.window_samples,
            own_share=self._config.own_share,
            speeds=self._speeds,
            formants=self._config.changed_formants,
            rng=rng,
        )


def changed_windows(
    circles: Circles,
    num: int,
    num_samples: int,
    *,
    own_share: float,
    speeds: NDArray[np.float64],
    formants: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[Tensor, NDArray[np.int64]]:
    """Windows, most of them in voices that nobody has.

    Args:
        circles: The speech.
        num: How many; the first ``own_share`` of them keep the speaker's voice.
        num_samples: Of each.
        own_share: From 0 to 1.
        speeds: Factors on pitch, formants and tempo; as many windows have each.
        formants: Between which factors those are moved on top.
        rng: Draws.

    Returns:
        ``(num, num_samples)`` in [-1, 1], and ``(num,)``, whose speech it is.
    """
    speakers, places = circles.draw(num, rng)
    num_own = round(own_share * num)
    # As many of each speed as of the others, so that few lengths are met.
    turns = (rng.integers(len(speeds)) + np.arange(num - num_own)) % len(speeds)
    low, high = np.log(formants)
    factors = np.exp(rng.uniform(low, high, num - num_own))
    own = circles.cut(speakers[:num_own], places[:num_own], num_samples)
    windows = own.new_empty(num, num_samples)
    windows[:num_own] = own
    for turn in np.unique(turns):
        rows = num_own + np.flatnonzero(turns == turn)
        length = multiple(num_samples * speeds[turn], _LENGTH_SAMPLES)
        spoken = circles.cut(speakers[rows], places[rows], length)
        windows[torch.from_numpy(rows).to(own.device)] = sped(spoken, num_samples)
    if formants != (1.0, 1.0):
        moved = torch.from_numpy(factors).to(own.device, torch.float32)
        windows[num_own:] = stretched(windows[num_own:], moved)
    return windows / windows.abs().amax(dim=1, keepdim=True).clamp(min=1.0), speakers


def window_samples(config: TrainingConfig) -> int:
    """Of a window: whole frames of the teacher."""
    return multiple(config.window_s * SAMPLE_RATE_HZ, TEACHER_FRAME_SAMPLES)


def multiple(number: float, of: int) -> int:
    """The nearest multiple."""
    return round(number / of) * of


def sped(samples: Tensor, num_samples: int) -> Tensor:
    """All of it in another number of samples: pitch, formants and tempo change together.

    Args:
        samples: ``(batch, any number)``.
        num_samples: Of the result; fewer is faster.

    Returns:
        ``(batch, num_samples)``, without what is above half its rate.
    """
    length = samples.shape[1]
    if length == num_samples:
        return samples
    # irfft cuts a longer spectrum off, and continues a shorter one with zeros.
    spectrum = torch.fft.rfft(samples)
    resampled: Tensor = torch.fft.irfft(spectrum, n=num_samples) * (num_samples / length)
    return resampled
