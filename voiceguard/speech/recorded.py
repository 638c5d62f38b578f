"""Recordings block by block, whichever way they come; pure numpy, on the caller's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voiceguard.types import SAMPLE_RATE_HZ, MonoBlock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voiceguard.types import Recorded, Samples

BLOCK_SAMPLES = 10 * SAMPLE_RATE_HZ
"""Of a recording that is in memory as a whole; what is made of a block costs many times its own."""


def blocks_of(recording: Recorded) -> Iterator[MonoBlock]:
    """A recording's blocks, from its start."""
    if isinstance(recording, np.ndarray):
        for first in range(0, len(recording), BLOCK_SAMPLES):
            yield MonoBlock(recording[first : first + BLOCK_SAMPLES])
    else:
        yield from recording


def joined(recording: Recorded, max_samples: int | None = None) -> Samples:
    """A recording as one array, what is missing left out, or its beginning.

    Returns:
        ``(num_samples,)``, ``max_samples`` at most.
    """
    if isinstance(recording, np.ndarray):
        return recording[:max_samples]
    parts: list[Samples] = [np.empty(0, dtype=np.float32)]
    num_samples = 0
    for block in recording:
        parts.append(block.samples)
        num_samples += len(block.samples)
        if max_samples is not None and num_samples >= max_samples:
            break
    whole: Samples = np.concatenate(parts)[:max_samples]
    return whole
