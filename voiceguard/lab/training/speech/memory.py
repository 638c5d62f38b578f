"""What drawn voices leave behind: means and deviations to tell targets by, and the latest targets.

In: what a teacher heard. Out: targets that are centred, and frames that are standardised. All of
it goes into the checkpoint, so that a resumed run goes on with the same numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

if TYPE_CHECKING:
    import numpy as np

    from voiceguard.lab.training.speech.hearing import Heard

LARGEST_FRAME = 8.0
"""Standardised frames end there. One of CAM++'s 512 channels was 0 in every window measured: where
it is not, divided by next to nothing, it would weigh more than all others. Of speech the bound
takes 0.4 % of the mean square."""
_LEAST_VARIANCE = 1e-4


class Memory(nn.Module):
    """State of ``DrawnVoices``.

    Args:
        dim: Of the teacher's embeddings.
        frame_channels: Of its frames; None for no frames.
        num_kept: Targets.
    """

    mean: Tensor
    """``(dim,)``, of the teacher's embeddings."""
    kept: Tensor
    """``(num_kept, dim)``, the latest targets."""
    oldest: Tensor
    """``()``, which of them is replaced next."""
    frame_mean: Tensor
    """``(frame_channels,)``"""
    frame_deviation: Tensor
    """``(frame_channels,)``"""

    def __init__(self, dim: int, frame_channels: int | None, num_kept: int) -> None:
        super().__init__()
        channels = frame_channels or 0
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("kept", torch.zeros(num_kept, dim))
        self.register_buffer("oldest", torch.zeros((), dtype=torch.int64))
        self.register_buffer("frame_mean", torch.zeros(channels))
        self.register_buffer("frame_deviation", torch.ones(channels))
        self._begun: list[Tensor] = []
        self._frame_sums: list[Tensor] = []

    def add(self, heard: Heard) -> None:
        """Notes a batch for ``begin``."""
        self._begun.append(normalize(heard.embeddings.float()))
        if heard.frames is not None and len(self.frame_mean):
            frames = heard.frames.double()  # (windows, channels, frames)
            count = torch.full_like(frames[0, :, 0], frames.shape[0] * frames.shape[2])
            self._frame_sums.append(
                torch.stack([frames.sum(dim=(0, 2)), frames.square().sum(dim=(0, 2)), count])
            )

    def begin(self) -> None:
        """Takes means and deviations from what was added, and keeps its targets."""
        embeddings = torch.cat(self._begun)
        self.mean.copy_(embeddings.mean(dim=0))
        centred = normalize(embeddings - self.mean)
        turns = torch.arange(len(self.kept), device=centred.device) % len(centred)
        self.kept.copy_(centred[turns])
        if self._frame_sums:
            total, squares, count = torch.stack(self._frame_sums).sum(dim=0)
            mean = total / count
            self.frame_mean.copy_(mean)
            variance = squares / count - mean.square()
            self.frame_deviation.copy_(variance.clamp(min=_LEAST_VARIANCE).sqrt())
        self._begun, self._frame_sums = [], []

    def remembered(self, embeddings: Tensor) -> Tensor:
        """Targets of embeddings, kept in place of the oldest ones.

        Args:
            embeddings: ``(num, dim)``, of any norm.

        Returns:
            ``(num, dim)``: centred, of norm 1.
        """
        targets = self.centred(embeddings)
        places = torch.arange(len(targets), device=targets.device) + self.oldest
        self.kept[places % len(self.kept)] = targets
        self.oldest.copy_((self.oldest + len(targets)) % len(self.kept))
        return targets

    def centred(self, embeddings: Tensor) -> Tensor:
        """``(num, dim)`` of any norm to targets ``(num, dim)``, which are not kept."""
        return normalize(normalize(embeddings.float()) - self.mean)

    def earlier(self, num: int, num_latest: int, rng: np.random.Generator) -> Tensor:
        """``(num, dim)`` targets that are kept, all different and none of the latest."""
        turns = rng.choice(len(self.kept) - num_latest, num, replace=False)
        places = torch.from_numpy(turns).to(self.kept.device) + self.oldest
        return self.kept[places % len(self.kept)]

    def standardised(self, frames: Tensor) -> Tensor:
        """``(num, channels, frames)`` to the same shape: mean 0, deviation 1, bounded."""
        centred = frames.float() - self.frame_mean[:, None]
        return (centred / self.frame_deviation[:, None]).clamp(-LARGEST_FRAME, LARGEST_FRAME)
