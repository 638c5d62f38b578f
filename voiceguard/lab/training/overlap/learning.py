"""Teaches the overlap network by batches of a mixer."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from voiceguard.encoder.overlap.spectrogram import HOP_SAMPLES
from voiceguard.lab.corpora.clips import seeded
from voiceguard.lab.training.averaging import follow
from voiceguard.lab.training.checkpoint import optimizer_tensors, restore_optimizer
from voiceguard.lab.training.overlap.initial import unfold
from voiceguard.lab.training.overlap.network import OverlapNetwork
from voiceguard.lab.training.trainer import TrainingError
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from voiceguard.encoder.overlap.spectrogram import Shape
    from voiceguard.encoder.overlap.weights import OverlapWeights
    from voiceguard.lab.training.overlap.mixing import Mixer, Pieces

_LENGTHS_S = (1.28, 1.6, 2.0, 2.4, 3.2, 4.0)
_LENGTH_SHARES = (0.1, 0.15, 0.2, 0.2, 0.25, 0.1)
"""Of batches; all pieces of one are of one length."""
_NUM_UNFOLDING = 8
"""Batches from which the statistics of initial weights are taken."""
_SMOOTHING = 0.005
_MAX_NORM = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How it is taught; what the shipped weights had instead, docs/train.md says."""

    num_steps: int = 4000
    batch_s: float = 640.0
    """Of audio."""
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    weight_decay: float = 0.01
    moments_weight: float = 0.5
    """Of the loss of single moments, beside the whole piece's."""
    average_decay: float = 0.999
    seed: int = 1


class Learner:
    """A network on its way.

    Args:
        shape: Of the network.
        recipe: How.
        mixer: Of the pieces.
        device: Where it learns; that of the mixer's speech.
    """

    def __init__(self, shape: Shape, recipe: Recipe, mixer: Mixer, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self._mixer = mixer
        self._device = device
        self._network = OverlapNetwork(shape).to(device)
        self.number = 0
        """Of the next step."""
        self.average = copy.deepcopy(self._network).eval().requires_grad_(requires_grad=False)
        """What is kept: the weights' moving average."""
        # Biases and normalisations are not pulled to zero.
        matrices = [each for each in self._network.parameters() if each.dim() > 1]
        vectors = [each for each in self._network.parameters() if each.dim() == 1]
        decayed = {"params": matrices, "weight_decay": recipe.weight_decay}
        others = {"params": vectors, "weight_decay": 0.0}
        self._optimizer = torch.optim.AdamW([decayed, others], betas=(0.9, 0.98))

    def begin_with(self, weights: OverlapWeights) -> None:
        """Takes a network's weights from a file, before the first step."""
        rng = seeded(self.recipe.seed, "begin")
        spectrograms = (
            self._network.spectrogram(self._drawn(rng).samples) for _ in range(_NUM_UNFOLDING)
        )
        unfold(self._network, weights, spectrograms)
        self.average.load_state_dict(self._network.state_dict())

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a step changes, but ``number``, by name."""
        return optimizer_tensors(self._optimizer) | {
            f"{prefix}.{name}": tensor
            for prefix, network in self._networks()
            for name, tensor in network.state_dict().items()
        }

    def resume(self, tensors: dict[str, Tensor], number: int) -> None:
        """Goes on from what ``tensors`` gave, with the step of this number."""
        for prefix, network in self._networks():
            names = network.state_dict()
            network.load_state_dict({name: tensors[f"{prefix}.{name}"] for name in names})
        restore_optimizer(self._optimizer, tensors)
        self.number = number

    def _networks(self) -> Iterator[tuple[str, OverlapNetwork]]:
        yield "network", self._network
        yield "average", self.average

    def step(self) -> float:
        """Makes the next step; its loss.

        Raises:
            TrainingError: It is not finite; the step is not made.
        """
        recipe, number = self.recipe, self.number
        loss = self._loss(self._drawn(np.random.default_rng([recipe.seed, number])))
        if not math.isfinite(value := float(loss.detach())):
            raise TrainingError(
                f"the loss is {value} at step {number}: training has diverged",
                hint="Begin anew with a lower --learning-rate, in another --out.",
            )
        rising = min(1.0, (number + 1) / recipe.warmup_steps)
        falling = 0.5 + 0.5 * math.cos(math.pi * number / recipe.num_steps)
        for group in self._optimizer.param_groups:
            group["lr"] = recipe.learning_rate * rising * falling
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._network.parameters(), _MAX_NORM)
        self._optimizer.step()
        follow(self.average, self._network, recipe.average_decay, number)
        self.number += 1
        return value

    def _drawn(self, rng: np.random.Generator) -> Pieces:
        """A batch, all pieces of one length."""
        seconds = float(rng.choice(_LENGTHS_S, p=_LENGTH_SHARES))
        num_samples = round(seconds * SAMPLE_RATE_HZ) // HOP_SAMPLES * HOP_SAMPLES
        num = max(8, round(self.recipe.batch_s / seconds))
        return self._mixer.draw(num, num_samples, rng)

    def _loss(self, pieces: Pieces) -> Tensor:
        network = self._network.train()
        spectrogram = network.spectrogram(pieces.samples)
        with torch.autocast("cuda", torch.bfloat16, enabled=self._device.type == "cuda"):
            whole, moments = network(spectrogram)
        wanted = pieces.is_overlap * (1 - 2 * _SMOOTHING) + _SMOOTHING
        losses = cross_entropy(whole, wanted, reduction="none") * pieces.weights
        # A moment is two frames, whose middle is in every second hop from this one on.
        first = network.shape.fft_samples // 2 // HOP_SAMPLES
        hops, sure = (
            each[:, first::2][:, : moments.shape[1]] for each in (pieces.hops, pieces.hop_weights)
        )
        each_moment = cross_entropy(moments[:, : hops.shape[1]], hops, reduction="none") * sure
        of_pieces = losses.sum() / pieces.weights.sum()
        return of_pieces + self.recipe.moments_weight * each_moment.sum() / sure.sum()
