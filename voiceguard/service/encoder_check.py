"""Whether an encoder's files are whole and belong together: weights, cohort, calibration.

Loads the weights, and torch where nothing else can.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safetensors import safe_open

from voiceguard.encoder import golden
from voiceguard.encoder.card import native
from voiceguard.encoder.library import cohort_path, find_model
from voiceguard.encoder.loading import load_file
from voiceguard.encoder.running.graph_encoder import has_graph, read_graph
from voiceguard.encoder.runtimes import is_installed
from voiceguard.errors import EncoderError
from voiceguard.scoring.calibration import load_calibration
from voiceguard.scoring.snorm import load_cohort
from voiceguard.service.kit import calibration_in_force, installed_in

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.snorm import Cohort
    from voiceguard.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What became of one encoder's verification."""

    name: str
    is_intact: bool
    deviation: float | None
    """Of the embedding from the golden one, relative to its largest entry; None: not compared."""
    fault: str
    hint: str


def verify(name: str, settings: Settings) -> Verified:
    """Loads an encoder, which checks its hash, and compares its golden embedding."""
    fault, hint, deviation = "", "", None
    try:
        path = find_model(name, installed_in(settings))
        card = native.read_card(native.card_path(path))
        encoder = load_file(path, device="cpu")  # where the golden embedding was made
        if card.golden is not None:
            deviation = golden.deviation(encoder, card.golden)
            if not deviation <= golden.TOLERANCE:
                fault = (
                    f"its golden embedding is off by {deviation:.1e} of its largest entry "
                    f"(at most {golden.TOLERANCE:g}): this machine computes something else"
                )
    except EncoderError as error:
        fault, hint = str(error), error.hint
    return Verified(name=name, is_intact=not fault, deviation=deviation, fault=fault, hint=hint)


def examine(settings: Settings) -> dict[str, Any]:
    """All that is known about the encoder in use, in plain values; no ``faults`` when all fits.

    Raises:
        EncoderError: There is no such model, or its card can't be read.
    """
    path = find_model(settings.encoder.model, installed_in(settings))
    card = native.read_card(native.card_path(path))
    faults: list[str] = []
    is_intact, precision = _weights(path, card, faults)
    return {
        **card.to_json(),
        "encoder_id": card.encoder_id,
        "path": str(path),
        "num_bytes": path.stat().st_size if path.is_file() else None,
        "weights_are_intact": is_intact,
        "precision": precision,
        **_scoring(settings, card.encoder_id, faults),
        "faults": faults,
    }


def _weights(path: Path, card: ModelCard, faults: list[str]) -> tuple[bool, str | None]:
    """Whether they are what the card says, and their precision."""
    try:
        if card.is_program:
            native.read_verified(path, card)
            return True, None
        _read_weights(path, card)
        return True, _precision(path)
    except EncoderError as error:
        faults.append(str(error))
        return False, None


def _read_weights(path: Path, card: ModelCard) -> None:
    """Reads and checks them, as far as this machine can."""
    if has_graph(card):
        read_graph(path)  # without torch, which takes seconds to load
    elif is_installed("torch"):
        native.load(path)
    else:
        native.read_checked(path)


def _scoring(settings: Settings, encoder_id: str, faults: list[str]) -> dict[str, Any]:
    """Cohort and calibration in force, as far as they belong to the encoder and to each other."""
    cohort = calibration = None
    try:
        of_cohort = cohort_path(settings.encoder.model, installed_in(settings))
        if of_cohort.exists():
            cohort = load_cohort(of_cohort, encoder_id=encoder_id)
        fitted = calibration_in_force(settings, encoder_id)
        if fitted is not None:
            found = load_calibration(
                fitted,
                encoder_id=encoder_id,
                cohort_id=None if cohort is None else cohort.cohort_id,
            )
            calibration = {"path": str(fitted), **_about_calibration(found)}
    except EncoderError as error:
        faults.append(str(error))
    return {
        "cohort": None if cohort is None else _about_cohort(cohort),
        "calibration": calibration,
    }


def _precision(path: Path) -> str:
    """What most of the file's numbers are stored in: "F16", "F32"."""
    with safe_open(path, framework="np") as file:
        slices = [file.get_slice(name) for name in file.keys()]  # noqa: SIM118 - no mapping
        largest = max(slices, key=lambda each: math.prod(each.get_shape()))
        return str(largest.get_dtype())


def _about_cohort(cohort: Cohort) -> dict[str, Any]:
    return {
        "cohort_id": cohort.cohort_id,
        "num_speakers": cohort.num_speakers,
        "top_k": cohort.top_k,
        "sources": [
            {"corpus": each.corpus, "licence": each.licence, "num_speakers": each.num_speakers}
            for each in cohort.sources
        ],
    }


def _about_calibration(calibration: Calibration) -> dict[str, Any]:
    about = calibration.provenance
    return {
        "created_on": about.created_on,
        "corpora": list(about.corpora),
        "num_speakers": about.num_speakers,
        "num_target_trials": about.num_target_trials,
        "num_nontarget_trials": about.num_nontarget_trials,
        "cllr": about.cllr,
        "min_cllr": about.min_cllr,
        "eer": about.eer,
    }
