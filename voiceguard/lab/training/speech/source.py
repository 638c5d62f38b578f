"""What the trainer learns from, whichever way voices are made: crops with a teacher's targets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from voiceguard.lab.progress import untracked

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from voiceguard.lab.progress import Track


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one step learns from."""

    crops: Tensor
    """``(num_crops, num_samples)`` float32 in [-1, 1], on the source's device."""
    targets: Tensor | None
    """``(num_crops, teacher_dim)`` float32 of norm 1, there too; None without a teacher."""
    labels: Tensor
    """``(num_crops,)`` int64, whose voice it is, on the CPU."""
    frames: Tensor | None = None
    """``(num_crops, num_frames, num_channels)``, what the teacher heard in each 20 ms of the crop,
    standardised; None where that is not learnt."""
    embeddings: Tensor | None = None
    """``(num_crops, teacher_dim)`` of norm 1, the targets before their mean was removed; None
    where voices are not drawn."""
    num_alike: int = 0
    """Of the last crops: they are corrupted already, as the teacher heard them."""

    def part(self, rows: slice) -> Batch:
        """Of these crops alone."""
        return replace(
            self,
            crops=self.crops[rows],
            targets=None if self.targets is None else self.targets[rows],
            labels=self.labels[rows],
            frames=None if self.frames is None else self.frames[rows],
            embeddings=None if self.embeddings is None else self.embeddings[rows],
            num_alike=0,
        )


class Source(Protocol):
    """Draws crops. Every random number is the caller's."""

    @property
    def state(self) -> nn.Module:
        """What it keeps from step to step, for the checkpoint."""

    @property
    def num_speakers(self) -> int:
        """Whose speech it is."""

    @property
    def num_classes(self) -> int:
        """How many labels there are."""

    @property
    def teacher_dim(self) -> int | None:
        """None without a teacher."""

    @property
    def frame_channels(self) -> int | None:
        """Of the teacher's frames; None where there are none."""

    def begin(self, track: Track = untracked) -> None:
        """Brings ``state`` to where a run begins; one that goes on has it from its checkpoint."""

    def draw(self, num_crops: int, num_samples: int, rng: np.random.Generator) -> Batch:
        """A batch, its crops of ``num_samples`` or, for the sake of frames, a little less."""

    def draw_targets(self, num: int, rng: np.random.Generator) -> Tensor | None:
        """Targets ``(num, teacher_dim)`` of other voices; None without a teacher."""

    def draw_voices(self, num: int, num_samples: int, rng: np.random.Generator) -> Batch:
        """Crops and labels alone, for which no teacher is asked: a label is one voice."""
