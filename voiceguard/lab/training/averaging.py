"""The moving average of a network's weights over the steps: what a run keeps in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Moves weights and statistics of one towards the other's; young ones follow faster.

    Args:
        average: Is changed.
        network: After the step.
        decay: What stays of the average, between 0 and 1.
        step: Counted from 0.
    """
    decay = min(decay, (1 + step) / (10 + step))
    pairs = list(zip(average.state_dict().values(), network.state_dict().values(), strict=True))
    moving = [pair for pair in pairs if pair[0].is_floating_point()]
    torch._foreach_lerp_(  # one kernel, not hundreds
        [mine for mine, _ in moving], [new for _, new in moving], 1 - decay
    )
    for mine, new in pairs:
        if not mine.is_floating_point():
            mine.copy_(new)
