"""A recipe and a corpus that train in a second."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.encoder.foreign.made_campplus import campplus_state
from tests.lab.evaluation.voices import people, write_corpus
from voiceguard.encoder.card import native
from voiceguard.encoder.card.model_card import ModelCard
from voiceguard.encoder.foreign.threed_speaker import sizes_of, to_native
from voiceguard.encoder.frontends.kaldi_config import KaldiFbankConfig
from voiceguard.lab.corpora.corpus import read_corpus
from voiceguard.lab.training.config import NO_MATCHING, TrainingConfig
from voiceguard.lab.training.corruption.augment import AugmentConfig
from voiceguard.lab.training.hardware import find_hardware
from voiceguard.lab.training.inputs import Inputs
from voiceguard.lab.training.run import Run

if TYPE_CHECKING:
    from pathlib import Path

TINY = TrainingConfig(
    channels=8,
    num_steps=6,
    batch_s=6.0,
    crop_s=(0.5, 1.0),
    voices="rounds",
    num_voices=2,
    teacher="none",
    aam_weight=0.1,
    large_margin_share=0.1,
    whitening=0.5,
    heldout_share=0.4,
    # Simulating rooms takes most of a minute; they have tests of their own.
    augment=AugmentConfig(p_room=0.0),
)


def drawn(teacher: Path | str) -> dict[str, Any]:
    """What makes a recipe of tones draw voices, and hear them by a teacher."""
    return {
        "voices": "drawn",
        "teacher": str(teacher),
        "aam_weight": 0.0,
        "window_s": 1.0,
        "contrast_voices": 16,
        "large_margin_share": 0.0,
        "matching": NO_MATCHING,
    }


def tiny_teacher(folder: Path) -> Path:
    """A CAM++ of the smallest sizes, its weights random, in our own format."""
    theirs = campplus_state(block_layers=(2, 3, 2))
    arrays = to_native({name: tensor.numpy() for name, tensor in theirs.items()})
    card = ModelCard(
        name="tiny-campplus",
        architecture=sizes_of(arrays),
        features=KaldiFbankConfig(num_bands=16),
        min_window_s=0.5,
        licence="none",
        trained_on="nothing",
    )
    path = folder / "tiny-campplus.safetensors"
    native.save_arrays(path, card, arrays)
    return path


def tiny_inputs(folder: Path, out: Path, *, num_speakers: int = 12) -> Inputs:
    """A corpus of tones, written anew."""
    folder.mkdir(exist_ok=True)
    manifest = write_corpus(folder, people(num_speakers, utterances=4, second_session=0))
    return Inputs(corpus=read_corpus(manifest), out=out)


def tiny_run(folder: Path, out: Path, *, initial: Path | None = None, **changes: Any) -> Run:  # noqa: ANN401 - fields of the recipe
    """A run of the tiny recipe, with changes."""
    config = replace(TINY, **changes)
    inputs = replace(tiny_inputs(folder, out), initial=initial)
    return Run(config, inputs, find_hardware("cpu", "float32", num_threads=1))
