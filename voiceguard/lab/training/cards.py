"""What a trained model says of itself.

In: a finished run. Out: the weights, and the card that is written beside them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voiceguard.encoder.card import native
from voiceguard.encoder.card.model_card import DataSource, Figure, ModelCard, Teacher
from voiceguard.encoder.frontends.log_mel_config import LogMelConfig
from voiceguard.encoder.installing import tried
from voiceguard.lab.training.config import DRAWN, NO_TEACHER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn

    from voiceguard.encoder.card.kinds import Architecture
    from voiceguard.lab.training.config import TrainingConfig
    from voiceguard.lab.training.speech.material import CorpusCount

MIN_WINDOW_S = 0.5
_RESEMBLYZER = Teacher(
    name="Resemblyzer 0.1.4 (GE2E)",
    licence="Apache-2.0",
    trained_on="LibriSpeech (other), VoxCeleb1 and VoxCeleb2, as its authors say",
)


_CAMPPLUS = Teacher(
    name="CAM++ zh-en common (3D-Speaker)",
    licence="Apache-2.0",
    trained_on="some 200,000 Mandarin and English speakers, as its authors say",
)
_TUNED = replace(_CAMPPLUS, name=f"{_CAMPPLUS.name}, tuned by voiceguard")
_TEACHERS = {
    "resemblyzer": _RESEMBLYZER,
    "campplus": _TUNED,
    "campplus-zh-en": _CAMPPLUS,
}


def make_card(
    name: str,
    config: TrainingConfig,
    architecture: Architecture,
    counts: tuple[CorpusCount, ...],
    *,
    eers: Mapping[str, float],
    command: str,
    compute: str,
    licence: str = "not stated",
    initial: ModelCard | None = None,
) -> ModelCard:
    """The card, without figures on other corpora: those are measured afterwards.

    Args:
        name: Of the model.
        config: The recipe.
        architecture: Of the network.
        counts: What was learnt from.
        eers: On held-out speakers, by condition.
        command: That trained it.
        compute: Machine and time, in words.
        licence: Of the weights.
        initial: Whose weights it began with; its recipe is kept in this one's.
    """
    return ModelCard(
        name=name,
        architecture=architecture,
        features=LogMelConfig(),
        min_window_s=MIN_WINDOW_S,
        licence=licence,
        trained_on=learnt_from(config, counts),
        data=data_of(counts),
        recipe=config.to_json() | _begun_with(initial),
        teacher=_teacher(config.teacher),
        figures=_figures(eers, command),
        compute=compute,
    )


def make_tuned_card(
    name: str,
    config: TrainingConfig,
    published: ModelCard,
    counts: tuple[CorpusCount, ...],
    *,
    eers: Mapping[str, float],
    command: str,
    compute: str,
    licence: str | None = None,
) -> ModelCard:
    """The card of an encoder that was tuned.

    Args:
        name: Of the model.
        config: The recipe.
        published: Of what was tuned, which taught as well.
        counts: What was learnt from.
        eers: On held-out speakers, by condition.
        command: That tuned it.
        compute: Machine and time, in words.
        licence: Of the weights; None: the published ones'.
    """
    return ModelCard(
        name=name,
        architecture=published.architecture,
        features=published.features,
        min_window_s=published.min_window_s,
        licence=licence or published.licence,
        trained_on=f"{published.trained_on}; then tuned on {learnt_from(config, counts)}",
        data=(*published.data, *data_of(counts)),
        recipe=config.to_json() | _begun_with(published),
        teacher=Teacher(
            name=published.name, licence=published.licence, trained_on=published.trained_on
        ),
        figures=_figures(eers, command),
        compute=compute,
        commercial_use=published.commercial_use,
    )


def learnt_from(config: TrainingConfig, counts: tuple[CorpusCount, ...]) -> str:
    """Hours, speakers and corpora in words."""
    num_speakers = sum(count.num_speakers for count in counts)
    hours = sum(count.speech_s for count in counts) / 3600
    return (
        f"{hours:.1f} h of speech of {num_speakers} speakers from "
        f"{', '.join(count.corpus for count in counts)}, {_voices(config)}"
    )


def data_of(counts: tuple[CorpusCount, ...]) -> tuple[DataSource, ...]:
    """A row for each corpus, with its licences."""
    return tuple(
        DataSource(
            corpus=count.corpus,
            num_speakers=count.num_speakers,
            hours=round(count.speech_s / 3600, 3),
            licence=", ".join(count.licences),
        )
        for count in counts
    )


def _figures(eers: Mapping[str, float], command: str) -> tuple[Figure, ...]:
    return tuple(
        Figure(
            what=f"EER on held-out speakers of the same corpora, one session, {condition}",
            value=f"{100 * eer:.1f} %",
            command=command,
        )
        for condition, eer in eers.items()
    )


def _voices(config: TrainingConfig) -> str:
    if config.voices == DRAWN:
        return f"each in as many voices as windows of {config.window_s:g} s were drawn"
    return f"each with {config.num_voices} voices"


def _begun_with(initial: ModelCard | None) -> dict[str, Any]:
    if initial is None:
        return {}
    named = {"name": initial.name, "encoder_id": initial.encoder_id, "recipe": initial.recipe}
    return {"begun_with": named}


def save_model(path: Path, card: ModelCard, network: nn.Module, *, half: bool) -> None:
    """Writes both files, with the golden embedding that ``models verify`` compares later.

    Args:
        path: Of the weights, ``*.safetensors``.
        card: As ``make_card`` made it.
        network: As finished.
        half: Weights in half precision.

    Raises:
        ValueError: ``half``, and a weight is too large for it.
        OSError: The files cannot be written.
    """
    tried(path, native.save(path, card, network, half=half))


def _teacher(name: str) -> Teacher | None:
    if name == NO_TEACHER:
        return None
    other = Teacher(name=name, licence="see there", trained_on="see its own card")
    return _TEACHERS.get(name, other)
