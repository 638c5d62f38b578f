"""An ECAPA-TDNN that learns from labels, from a teacher, or from both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from voiceguard.encoder.card import native
from voiceguard.encoder.frontends.log_mel import LogMel
from voiceguard.encoder.frontends.log_mel_config import LogMelConfig
from voiceguard.encoder.networks.ecapa_config import EcapaTdnnConfig
from voiceguard.encoder.networks.ecapa_tdnn import EcapaTdnn
from voiceguard.errors import UsageError
from voiceguard.lab.corpora.clips import seeded
from voiceguard.lab.training import schedule
from voiceguard.lab.training.corruption.masking import masked
from voiceguard.lab.training.losses import FrameMatch, Objective
from voiceguard.lab.training.speech.bank import VoiceBank
from voiceguard.lab.training.students.student import EMBEDDED_AT_ONCE
from voiceguard.lab.training.whitening import fold, within_voice_transform
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.lab.training.config import TrainingConfig
    from voiceguard.lab.training.hardware import Hardware
    from voiceguard.lab.training.speech.source import Batch, Source

_CENTER_CROP_S = 2.0


class EcapaStudent:
    """A ``Student``.

    Args:
        config: The recipe.
        source: What will be learnt from: how many classes and which targets it has.
        hardware: Device, precision, compilation.
        initial: Weights to begin with instead of random ones.
    """

    def __init__(
        self,
        config: TrainingConfig,
        source: Source,
        hardware: Hardware,
        initial: EcapaTdnn | None = None,
    ) -> None:
        self._config = config
        self._hardware = hardware
        self._is_fresh = initial is None
        self.network = network_of(config).to(hardware.device)
        if initial is not None:
            self.network.load_state_dict(initial.state_dict())
        dim = self.network.config.embedding_dim
        self._objective = Objective(dim, source.teacher_dim, source.num_classes, config)
        self._objective.to(hardware.device)
        self._frames: nn.Module = nn.Module()
        if source.frame_channels is not None:
            channels = self.network.config.channels[-1]
            self._frames = FrameMatch(channels, source.frame_channels).to(hardware.device)
        self.heads = {"objective.": self._objective, "frames.": self._frames}
        self.log_mel = LogMel(LogMelConfig()).to(hardware.device)
        self._forward = hardware.compiled(self.network.with_frames)
        self.average = (
            network_of(config).to(hardware.device).eval().requires_grad_(requires_grad=False)
        )
        self.average.load_state_dict(self.network.state_dict())

    def learning(self) -> Iterator[nn.Parameter]:
        """See ``Student``: everything."""
        for module in (self.network, *self.heads.values()):
            yield from module.parameters()

    def begin(self, source: Source) -> None:
        """See ``Student``: the classes' centres are put where the weights hear the voices."""
        aam = self._objective.aam
        if self._is_fresh or aam is None or not isinstance(source, VoiceBank):
            return
        num_samples = int(_CENTER_CROP_S * SAMPLE_RATE_HZ)
        rng = seeded(self._config.seed, "centers")
        labels = np.arange(source.num_classes)
        crops = [  # one clean one of every voice
            source.crops_of(labels[first : first + EMBEDDED_AT_ONCE], num_samples, rng)
            for first in range(0, len(labels), EMBEDDED_AT_ONCE)
        ]
        aam.begin_at(torch.cat([self.embed(each) for each in crops]))

    def learn(
        self,
        crops: Tensor,
        batch: Batch,
        others: Tensor | None,
        step: int,
        rng: np.random.Generator,
    ) -> dict[str, Tensor]:
        """See ``Student``."""
        features = masked(self.log_mel(crops), self._config.spec_augment, rng)
        with self._hardware.autocast():
            embeddings, frames = self._forward(features)
        loss, parts = self._objective(
            embeddings.float(),
            batch.targets,
            batch.labels.to(self._hardware.device, non_blocking=True),
            schedule.margin(self._config, step),
            others,
        )
        if batch.frames is not None:
            with self._hardware.autocast():
                parts["frames"] = self._frames(frames, batch.frames)
            loss = loss + self._config.frames_weight * parts["frames"]
        loss.backward()
        return {"loss": loss, **parts}

    @torch.no_grad()
    def embed(self, samples: Tensor) -> Tensor:
        """See ``Student``."""
        device = self._hardware.device
        parts = torch.split(samples, EMBEDDED_AT_ONCE)
        return torch.cat([self.average(self.log_mel(part.to(device))) for part in parts])

    def embed_before(self, samples: Tensor) -> Tensor:
        """See ``Student``: by the average as it is."""
        return self.embed(samples)

    def finish(self, voices: Iterator[tuple[Tensor, Tensor]]) -> None:
        """See ``Student``: takes out what one voice varies by, where the recipe says so."""
        if not self._config.whitening:
            return
        pairs = [(self.embed(crops).cpu(), labels) for crops, labels in voices]
        embeddings, labels = (torch.cat(each).numpy() for each in zip(*pairs, strict=True))
        fold(self.average, within_voice_transform(embeddings, labels, self._config.whitening))


def network_of(config: TrainingConfig) -> EcapaTdnn:
    """A fresh network of the recipe's width."""
    width = config.channels
    return EcapaTdnn(EcapaTdnnConfig(channels=(width,) * 4 + (3 * width,)))


def load_initial(path: Path, config: TrainingConfig) -> tuple[ModelCard, EcapaTdnn]:
    """Weights to begin with.

    Raises:
        EncoderError: They cannot be read.
        UsageError: They are of another network than the recipe's.
    """
    card, network = native.load(path)
    if not isinstance(card.architecture, EcapaTdnnConfig) or not isinstance(network, EcapaTdnn):
        raise UsageError(
            f"{path} is of architecture {card.architecture.TYPE!r}, which is not trained here",
            hint="Start from weights of `voiceguard train`, or from random ones; CAM++ is tuned by "
            "--tune.",
        )
    if (width := card.architecture.channels[0]) != config.channels:
        raise UsageError(
            f"{path} has {width} channels, the run {config.channels}",
            hint=f"Set channels to {width}.",
        )
    return card, network
