"""Which student a recipe has, and what it begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from voiceguard.encoder.networks.campplus import CamPlusPlus
from voiceguard.errors import UsageError
from voiceguard.lab.training.speech.drawn import DrawnVoices
from voiceguard.lab.training.students.campplus import TunedCamPlusPlus, load_published
from voiceguard.lab.training.students.ecapa import EcapaStudent, load_initial

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.encoder.networks.ecapa_tdnn import EcapaTdnn
    from voiceguard.lab.training.config import TrainingConfig
    from voiceguard.lab.training.hardware import Hardware
    from voiceguard.lab.training.speech.bank import VoiceBank

    Begun = tuple[ModelCard, EcapaTdnn | CamPlusPlus]


def begun_with(initial: Path | None, config: TrainingConfig) -> Begun | None:
    """The model that a run begins with, and its card; None: with random weights.

    Args:
        initial: A model of the recipe's own network, if one was named.
        config: The recipe; one that tunes begins with the encoder that it names.

    Raises:
        EncoderError: It cannot be loaded.
        UsageError: It is of another network, or there are two.
    """
    if config.tuning is None:
        return None if initial is None else load_initial(initial, config)
    if initial is not None:
        raise UsageError(
            "--tune names what a run begins with, and --init another", hint="Give one of the two."
        )
    return load_published(config.teacher)


def make_student(
    config: TrainingConfig,
    source: VoiceBank | DrawnVoices,
    hardware: Hardware,
    begun: Begun | None,
) -> EcapaStudent | TunedCamPlusPlus:
    """The student of the recipe.

    Args:
        config: As ``sources.settled``.
        source: What it will learn from.
        hardware: Where.
        begun: As ``begun_with`` found it.

    Raises:
        ConfigError: The recipe names tensors that there are not.
    """
    torch.manual_seed(config.seed)
    if begun is None:
        return EcapaStudent(config, source, hardware)
    card, network = begun
    if isinstance(network, CamPlusPlus):
        assert isinstance(source, DrawnVoices)  # which the recipe's own check sees to
        return TunedCamPlusPlus(config, source.state, hardware, card, network)
    return EcapaStudent(config, source, hardware, network)
