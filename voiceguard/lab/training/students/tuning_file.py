"""A tuning: only the tensors that differ from a published encoder's, and what they are.

In: a tuned encoder's card and tensors. Out: one safetensors file, a tenth of the encoder's size in
float16, which ``models pull`` can put over the weights that their publisher gives out.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import safetensors.torch

from voiceguard.encoder.foreign.tuning import FORMAT, METADATA_KEY
from voiceguard.lab.training.cards import data_of, learnt_from
from voiceguard.types import VERSION
from voiceguard.validation.reading import plain
from voiceguard.voiceprints.durable import replace_durably

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.lab.training.config import TrainingConfig
    from voiceguard.lab.training.speech.material import CorpusCount

FORMAT_VERSION = 1


def tuning_path(model: Path) -> Path:
    """Beside the whole encoder: ``NAME.tuning.safetensors``."""
    return model.with_suffix(f".tuning{model.suffix}")


def save_tuning(
    path: Path,
    tensors: Mapping[str, Tensor],
    config: TrainingConfig,
    published: ModelCard,
    counts: tuple[CorpusCount, ...],
    *,
    licence: str | None = None,
) -> None:
    """Writes the file.

    Args:
        path: Where to.
        tensors: By the network's own names, as ``TunedCamPlusPlus.changed`` gives them.
        config: The recipe.
        published: Of what was tuned.
        counts: What was learnt from.
        licence: Of the tensors; None: the published ones'.

    Raises:
        OSError: It cannot be written.
    """
    assert config.tuning is not None
    about = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "base": published.encoder_id,
        "share": config.tuning.share,
        "recipe": config.to_json(),
        "trained_on": learnt_from(config, counts),
        "data": [plain(each) for each in data_of(counts)],
        "licence": licence or published.licence,
        "made": f"{datetime.now(UTC):%Y-%m-%d} by voiceguard {VERSION}",
    }
    whole = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    replace_durably((path, safetensors.torch.save(whole, {METADATA_KEY: json.dumps(about)})))
