"""A run's end on disk: the encoder with its card, and of a tuning what changed, for itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voiceguard.lab.training.cards import make_card, make_tuned_card, save_model
from voiceguard.lab.training.students.campplus import TunedCamPlusPlus
from voiceguard.lab.training.students.tuning_file import save_tuning, tuning_path

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.lab.training.run import Run

_NO_LICENCE = "not stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is in the run's folder now."""

    model: Path
    """The encoder, usable by this path."""
    tuning: Path | None
    """The tensors that changed; None: another network learnt."""
    before: dict[str, float]
    """See ``run.Finished``."""
    eers: dict[str, float]


def keep(run: Run, *, command: str, compute: str, licence: str | None, half: bool | None) -> Kept:
    """Finishes a run and writes what it made.

    Args:
        run: At its last step.
        command: That made it, for the card.
        compute: Machine and time, in words.
        licence: Of the weights; None: not stated, of a tuning as before.
        half: Weights in half precision; None: yes, but of a tuning only what changed, so that it
            is the very encoder that the published one becomes by it.

    Raises:
        ValueError: A weight is outside float16's range.
        OSError: The files cannot be written.
    """
    finished, student, counts = run.finish(), run.student, run.material.counts
    path = run.folder / f"{run.folder.name}.safetensors"
    tuning = None
    if isinstance(student, TunedCamPlusPlus):
        tuning = tuning_path(path)
        save_tuning(tuning, student.changed(), run.config, student.card, counts, licence=licence)
        card = make_tuned_card(
            run.folder.name,
            run.config,
            student.card,
            counts,
            eers=finished.eers,
            command=command,
            compute=compute,
            licence=licence,
        )
    else:
        card = make_card(
            run.folder.name,
            run.config,
            student.average.config,
            counts,
            eers=finished.eers,
            command=command,
            compute=compute,
            licence=licence or _NO_LICENCE,
            initial=run.initial,
        )
    half = tuning is None if half is None else half
    save_model(path, card, student.average, half=half)
    return Kept(model=path, tuning=tuning, before=finished.before, eers=finished.eers)
