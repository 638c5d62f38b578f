"""CAM++ taught by itself: what it hears in clean windows, a copy learns to hear in corrupted crops.

The copy stays in evaluation mode, so that running statistics are those of the published network's
far greater data, and learns by a part of its tensors. Nothing is measured against other crops of
the batch: a batch is learnt in parts that fit into memory, with the same gradients.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy, normalize

from voiceguard.encoder.card import native
from voiceguard.encoder.library import WEIGHTS_SUFFIX, find_model
from voiceguard.encoder.networks.campplus import CamPlusPlus
from voiceguard.errors import ConfigError, UsageError
from voiceguard.lab.training.corruption.masking import masked
from voiceguard.lab.training.speech.hearing import features_of, heard_by
from voiceguard.lab.training.students.student import EMBEDDED_AT_ONCE
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from torch import Tensor, nn

    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.lab.training.config import TrainingConfig
    from voiceguard.lab.training.hardware import Hardware
    from voiceguard.lab.training.speech.memory import Memory
    from voiceguard.lab.training.speech.source import Batch, Source

_LEARNT_AT_ONCE_S = {"cpu": 32.0}
_LEARNT_AT_ONCE_ON_GPU_S = 512.0
"""Of crops, whose gradients take 30 MB a second, half of that in half precision."""
_NEVER = -1e4
"""A logit of what is not to be told apart from."""


class TunedCamPlusPlus:
    """A ``Student``.

    Args:
        config: The recipe, with its part ``tuning``.
        memory: Of the source: the mean of embeddings, means and deviations of frames.
        hardware: Device and precision.
        card: Of the encoder that is tuned.
        network: Its own, which teaches as well; is not changed.

    Raises:
        ConfigError: No tensor has a name of ``tuning.learns``.
    """

    def __init__(
        self,
        config: TrainingConfig,
        memory: Memory,
        hardware: Hardware,
        card: ModelCard,
        network: CamPlusPlus,
    ) -> None:
        assert config.tuning is not None
        self._config, self._tuning = config, config.tuning
        self._memory = memory
        self._hardware = hardware
        self.card = card
        self._front_end = card.features.build().to(hardware.device)
        self.published = network.to(hardware.device).eval()
        self.published.requires_grad_(requires_grad=False)
        self.average = copy.deepcopy(self.published)
        self.network = copy.deepcopy(self.published)
        self.heads: dict[str, nn.Module] = {}
        for part in self._tuning.learns:
            found = [each for name, each in self.network.named_parameters() if part in name]
            if not found:
                raise ConfigError(
                    f"tuning.learns names {part!r}, which is part of no tensor's name",
                    hint="Names are like blocks.0.layers.1.local.weight.",
                )
            for each in found:
                each.requires_grad = True

    def learning(self) -> Iterator[nn.Parameter]:
        """See ``Student``: as ``tuning.learns`` says."""
        return (each for each in self.network.parameters() if each.requires_grad)

    def begin(self, source: Source) -> None:
        """See ``Student``: there are no heads."""

    def learn(
        self,
        crops: Tensor,
        batch: Batch,
        others: Tensor | None,
        step: int,
        rng: np.random.Generator,
    ) -> dict[str, Tensor]:
        """See ``Student``."""
        del step  # nothing here changes over the course of a run
        assert others is not None or not self._config.contrast_weight
        features = masked(features_of(self._front_end, crops), self._config.spec_augment, rng)
        seconds = _LEARNT_AT_ONCE_S.get(crops.device.type, _LEARNT_AT_ONCE_ON_GPU_S)
        at_once = max(1, int(seconds * SAMPLE_RATE_HZ / crops.shape[1]))
        sums: dict[str, Tensor] = {}
        for first in range(0, len(crops), at_once):
            some = slice(first, first + at_once)
            loss, parts = self._loss(features[some], batch.part(some), others)
            share = len(crops[some]) / len(crops)
            (share * loss).backward()  # type: ignore[no-untyped-call]
            for name, value in {"loss": loss, **parts}.items():
                sums[name] = sums.get(name, 0.0) + share * value.detach()
        return sums

    def _loss(
        self, features: Tensor, batch: Batch, others: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum for ``(num_crops, num_bands, num_frames)``, and its parts."""
        config, tuning = self._config, self._tuning
        assert batch.targets is not None
        assert batch.embeddings is not None
        heard = heard_by(self.network, features, self._hardware)
        raw = normalize(heard.embeddings)
        centred = normalize(raw - self._memory.mean)
        parts = {
            "raw": (1 - (raw * batch.embeddings).sum(dim=1)).mean(),
            "distillation": (1 - (centred * batch.targets).sum(dim=1)).mean(),
        }
        loss = tuning.raw_weight * parts["raw"] + config.distillation_weight * parts["distillation"]
        if others is not None:
            parts["contrast"] = told_apart(
                centred, batch.targets, others, scale=config.contrast_scale, apart=tuning.apart
            )
            loss = loss + config.contrast_weight * parts["contrast"]
        if batch.frames is not None:
            assert heard.frames is not None
            frames = self._memory.standardised(heard.frames[:, :, : batch.frames.shape[1]])
            parts["frames"] = (frames.transpose(1, 2) - batch.frames).square().mean()
            loss = loss + config.frames_weight * parts["frames"]
        return loss, parts

    def embed(self, samples: Tensor) -> Tensor:
        """See ``Student``."""
        return self._embedded(self.average, samples)

    def embed_before(self, samples: Tensor) -> Tensor:
        """See ``Student``: as published."""
        return self._embedded(self.published, samples)

    @torch.no_grad()
    def _embedded(self, network: CamPlusPlus, samples: Tensor) -> Tensor:
        device = self._hardware.device
        parts = torch.split(samples, EMBEDDED_AT_ONCE)
        return torch.cat([network(features_of(self._front_end, part.to(device))) for part in parts])

    @torch.no_grad()
    def finish(self, voices: Iterator[tuple[Tensor, Tensor]]) -> None:
        """See ``Student``: the average goes only ``tuning.share`` of the way, in half precision.

        Source: M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022, equation 1:
        between published and tuned weights little of either's strength is lost.

        Raises:
            ValueError: A weight is outside float16's range.
        """
        del voices  # nothing is learnt of them
        tensors = zip(
            self.network.named_parameters(),
            self.average.parameters(),
            self.published.parameters(),
            strict=True,
        )
        for (name, learnt), kept, published in tensors:
            if not learnt.requires_grad:
                continue
            kept.copy_(published.lerp(kept, self._tuning.share).half())
            if not kept.isfinite().all():
                raise ValueError(f"{name} has weights outside float16's range")

    def changed(self) -> dict[str, Tensor]:
        """What differs from the published network, by name, in float16; after ``finish``."""
        return {
            name: kept.half()
            for (name, learnt), kept in zip(
                self.network.named_parameters(), self.average.parameters(), strict=True
            )
            if learnt.requires_grad
        }


def told_apart(
    centred: Tensor, targets: Tensor, others: Tensor, *, scale: float, apart: float
) -> Tensor:
    """How unclearly an embedding says which of many voices it is.

    Args:
        centred: ``(batch, dim)`` of norm 1.
        targets: Likewise, what they should be.
        others: ``(num_others, dim)`` of norm 1, of other windows.
        scale: Of the cosines.
        apart: Others whose cosine with the target is above it may be the same voice, and are left
            out.

    Source: A. van den Oord et al., "Representation Learning with Contrastive Predictive Coding",
    2018, equation 4, over cosines.
    """
    own = (centred * targets).sum(dim=1, keepdim=True)
    logits = scale * (centred @ others.T)
    logits = logits.masked_fill(targets @ others.T > apart, _NEVER)
    first = torch.zeros(len(own), dtype=torch.int64, device=own.device)
    return cross_entropy(torch.cat([scale * own, logits], dim=1), first)


def load_published(name: str) -> tuple[ModelCard, CamPlusPlus]:
    """The encoder that is tuned.

    Args:
        name: Of a model, or its path.

    Raises:
        EncoderError: There is none, or it cannot be read.
        UsageError: It is no CAM++ in our own format.
    """
    path = find_model(name)
    if path.suffix == WEIGHTS_SUFFIX and native.card_path(path).exists():
        card, network = native.load(path)
        if isinstance(network, CamPlusPlus):
            return card, network
    raise UsageError(
        f"{name} is no CAM++, which is what --tune can tune",
        hint="`voiceguard models pull campplus-zh-en` brings one. Weights of `voiceguard train` go "
        "on by --init.",
    )
