"""Many recordings of different lengths through a network at once, which a GPU needs to be quick.

Part of hop 3, for what is not live: a teacher's targets, calibration, evaluation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voiceguard.types import Embedding

MAX_BATCH_FRAMES = 32_000
"""Padding included, 320 s: CAM++ needs about 60 kB for a frame, 2 GB for so many."""


class BatchNetwork(Protocol):
    """A network to which padding makes no difference."""

    def __call__(self, features: Tensor, num_frames: Tensor) -> Tensor:
        """``(batch, num_bands, frames)`` and ``(batch,)`` to ``(batch, embedding_dim)``."""
        ...


def embed_batches(network: BatchNetwork, features: Sequence[Tensor]) -> list[Embedding]:
    """The network's output for each recording, in their order.

    Args:
        network: On the features' device.
        features: ``(num_bands, frames)`` each.

    Returns:
        ``(embedding_dim,)`` float32 each, not normalised.
    """
    found: dict[int, Embedding] = {}
    for batch in _batches([each.shape[1] for each in features]):
        chosen = [features[index].T for index in batch]
        num_frames = torch.tensor([len(each) for each in chosen], device=chosen[0].device)
        padded = pad_sequence(chosen, batch_first=True).transpose(1, 2)
        rows = network(padded, num_frames).float().cpu().numpy()
        found.update(zip(batch, rows, strict=True))
    return [found[index] for index in range(len(features))]


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of recordings about as long as each other, so that little is padding."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > MAX_BATCH_FRAMES:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
