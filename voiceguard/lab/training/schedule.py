"""What changes over the course of a run: length of crops, margin, learning rate.

In: a recipe and a step. Out: numbers. Nothing is kept between steps.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from voiceguard.lab.training.config import TrainingConfig

NUM_LENGTHS = 5
"""Of crops: few, so that a network that is compiled is compiled for each."""
LARGE_MARGIN = 0.35
_LEAST_RATE = 1e-6


def crop_s(config: TrainingConfig, step: int, rng: np.random.Generator) -> float:
    """The length of all crops of a step: one of NUM_LENGTHS, evenly spaced in logarithm."""
    low, high = config.crop_s
    if is_large_margin(config, step):
        return high
    turn = int(rng.integers(NUM_LENGTHS))
    return float(low * (high / low) ** (turn / (NUM_LENGTHS - 1)))


def is_large_margin(config: TrainingConfig, step: int) -> bool:
    """Whether the last part has begun: longest crops and a larger margin.

    Source: D. Garcia-Romero, G. Sell, A. McCree, "MagNetO: X-vector magnitude estimation network
    plus offset for improved speaker recognition", Odyssey 2020; J. Thienpondt, B. Desplanques,
    K. Demuynck, "The IDLab VoxSRC-20 submission", ICASSP 2021, section 2.4.
    """
    return step >= config.num_steps * (1 - config.large_margin_share)


def margin(config: TrainingConfig, step: int) -> float:
    """Of the softmax, in radians: ramped up over the first third."""
    if is_large_margin(config, step):
        return LARGE_MARGIN
    return config.aam_margin * min(1.0, 3 * step / config.num_steps)


def learning_rate(config: TrainingConfig, step: int) -> float:
    """A warm-up, then half a cosine."""
    warmup = config.warmup_share * config.num_steps
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1.0, config.num_steps - warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done)) + _LEAST_RATE
