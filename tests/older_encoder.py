"""An encoder that is no longer shipped, as somebody may have put its four files by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voiceguard.encoder.card import native
from voiceguard.encoder.library import calibration_path, cohort_path, find_model
from voiceguard.scoring.calibration import calibration_from_json, save_calibration
from voiceguard.scoring.snorm import load_cohort, save_cohort

if TYPE_CHECKING:
    from pathlib import Path


def put_by(directory: Path) -> Path:
    """Weights, card, cohort and calibration in ``directory``; the path of the weights.

    The shipped weights in a file of full precision: voices sound the same to it, so that the same
    calibration holds, and its id is another one.
    """
    path = directory / "old.safetensors"
    card, network = native.load(find_model("default"))
    older = native.save(path, replace(card, name="old"), network)
    cohort = load_cohort(cohort_path("default"), encoder_id=card.encoder_id)
    own_cohort = replace(cohort, encoder_id=older.encoder_id)
    save_cohort(own_cohort, cohort_path(str(path)))
    calibration = calibration_from_json(calibration_path("default").read_text(encoding="utf-8"))
    own = replace(calibration, encoder_id=older.encoder_id, cohort_id=own_cohort.cohort_id)
    save_calibration(own, calibration_path(str(path)))
    return path
