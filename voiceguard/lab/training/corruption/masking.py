"""SpecAugment: features that a crop loses.

In: a batch of features. Out: the same with a band of mels and a stretch of frames at their mean.

Source: D. Park et al., "SpecAugment", Interspeech 2019, section 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor

_MASKED_MELS = 12
_MASKED_FRAMES = 15
"""At most."""


def masked(features: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Sets a band and a stretch of some crops to 0, the mean of features.

    Args:
        features: ``(num_crops, num_mels, num_frames)``, each mel's mean removed.
        share: Of the crops, by chance.
        rng: Decides everything.

    Returns:
        The same shape, on the same device.
    """
    num_crops, num_mels, num_frames = features.shape
    is_masked = rng.random(num_crops) < share
    mels = rng.integers(1, _MASKED_MELS + 1, size=num_crops) * is_masked
    frames = rng.integers(1, _MASKED_FRAMES + 1, size=num_crops) * is_masked
    low = rng.integers(num_mels - mels)
    start = rng.integers(np.maximum(1, num_frames - frames))
    edges = torch.from_numpy(np.stack([low, low + mels, start, start + frames]))
    low_mel, high_mel, first, end = edges.to(features.device)[:, :, None]
    mel = torch.arange(num_mels, device=features.device)
    frame = torch.arange(num_frames, device=features.device)
    is_kept_mel = (mel < low_mel) | (mel >= high_mel)  # (num_crops, num_mels)
    is_kept_frame = (frame < first) | (frame >= end)
    kept: Tensor = features * (is_kept_mel.unsqueeze(2) & is_kept_frame.unsqueeze(1))
    return kept
