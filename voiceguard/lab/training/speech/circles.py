"""Every speaker's passages one after the other, in a circle: any place in it begins a window.

In: passages with a label each. Out: windows of any length, on the device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from voiceguard.lab.training.speech.material import FULL_SCALE
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from voiceguard.lab.training.speech.material import Passage


class Circles:
    """The speech of all labels.

    Args:
        passages: What there is, in any order.
        labels: Of each, who speaks.
        device: Where the speech is kept and windows are cut.
    """

    def __init__(
        self, passages: Sequence[Passage], labels: Sequence[str], device: torch.device | str = "cpu"
    ) -> None:
        self._device = torch.device(device)
        self.names = sorted(set(labels))
        order = sorted(range(len(passages)), key=lambda index: labels[index])  # stable
        speech = np.concatenate([passages[index].pcm for index in order])
        self._speech = torch.from_numpy(speech).to(self._device)
        size_of = dict.fromkeys(self.names, 0)
        for index in order:
            size_of[labels[index]] += len(passages[index].pcm)
        self.sizes = np.array([size_of[name] for name in self.names])  # samples
        self._starts = np.cumsum(self.sizes) - self.sizes
        # Who spoke longer has more to teach, but not in proportion.
        weights = np.sqrt(self.sizes / SAMPLE_RATE_HZ)
        self._weights = weights / weights.sum()

    def draw(
        self, num: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Speakers ``(num,)``, by how long they spoke; and places in samples, ``(num,)``."""
        speakers = rng.choice(len(self.sizes), num, p=self._weights)
        return speakers, rng.integers(self.sizes[speakers])

    def cut(
        self, speakers: NDArray[np.int64], places: NDArray[np.int64], num_samples: int
    ) -> Tensor:
        """Windows that begin there.

        Args:
            speakers: ``(num,)``.
            places: ``(num,)``, in the speaker's circle.
            num_samples: Of each.

        Returns:
            ``(num, num_samples)`` float32 in [-1, 1].
        """
        table = np.stack([self._starts[speakers], places, self.sizes[speakers]])
        start, place, size = torch.from_numpy(table).to(self._device).unsqueeze(2)
        offsets = torch.arange(num_samples, device=self._device)
        return self._speech[start + (place + offsets) % size] / FULL_SCALE
