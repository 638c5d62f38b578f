"""What an encoder takes: CPU time of one embedding, measured in the same run for all of them.

In: encoders as loaded. Out: one ``EncoderCost`` each. They take turns, so that whatever else the
machine does hits all of them alike.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voiceguard.protocols import Encoder

TIMED_S = 3.0
"""Of audio."""
NUM_TIMED = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderCost:
    """What an encoder is, and what it takes."""

    label: str
    encoder_id: str
    embedding_dim: int
    num_parameters: int
    cpu_ms: float
    """CPU time of one embedding of TIMED_S, median; of all threads together."""


def measure_costs(
    encoders: Mapping[str, Encoder],
    *,
    num_timed: int = NUM_TIMED,
    cpu_s: Callable[[], float] = time.process_time,
) -> tuple[EncoderCost, ...]:
    """Times every encoder; with the threads that it was loaded for.

    Args:
        encoders: By label.
        num_timed: Embeddings of each.
        cpu_s: The process's CPU time.
    """
    rng = np.random.default_rng(0)
    audio = (0.1 * rng.standard_normal(int(TIMED_S * SAMPLE_RATE_HZ))).astype(np.float32)
    taken_s: dict[str, list[float]] = {label: [] for label in encoders}
    for encoder in encoders.values():
        encoder.embed(audio)  # buffers of this size are allocated once
    for _ in range(num_timed):
        for label, encoder in encoders.items():
            began_s = cpu_s()
            encoder.embed(audio)
            taken_s[label].append(cpu_s() - began_s)
    return tuple(
        EncoderCost(
            label=label,
            encoder_id=encoder.info.encoder_id,
            embedding_dim=encoder.info.embedding_dim,
            num_parameters=encoder.info.num_parameters,
            cpu_ms=1e3 * float(np.median(taken_s[label])),
        )
        for label, encoder in encoders.items()
    )
