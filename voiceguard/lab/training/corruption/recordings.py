"""Recordings of noise or music, on the device where crops are corrupted.

In: recordings of any length. Out: stretches from anywhere in them, a batch at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Recordings:
    """Recordings, one after the other in one tensor.

    Args:
        recordings: Each ``(num_samples,)`` float32.
        device: Where stretches will be.
    """

    def __init__(self, recordings: Sequence[Tensor], device: torch.device) -> None:
        self._samples = torch.cat([torch.empty(0), *recordings]).to(device)
        self._lengths = np.array([len(each) for each in recordings], dtype=np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths

    def __len__(self) -> int:
        return len(self._lengths)

    def stretches(self, num: int, num_samples: int, rng: np.random.Generator) -> Tensor:
        """``(num, num_samples)`` from anywhere in recordings, each repeated as needed."""
        chosen = rng.integers(len(self), size=num)
        lengths = self._lengths[chosen]
        places = np.stack([self._starts[chosen], lengths, rng.integers(lengths)])[:, :, None]
        starts, lengths_there, offsets = torch.from_numpy(places).to(self._samples.device)
        along = torch.arange(num_samples, device=self._samples.device)
        stretches: Tensor = self._samples[starts + (offsets + along) % lengths_there]
        return stretches
