"""What is known of encoders: of every one there is, in a row; of one, all of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.encoder.foreign.catalogue import KnownEncoder
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.snorm import Cohort
    from voiceguard.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Row:
    """One encoder of `voiceguard models list`; None: not known, or not installed."""

    name: str
    state: str
    """shipped, installed or known (published, and not here)."""
    is_default: bool
    """Shipped as the default."""
    is_in_use: bool
    encoder_id: str | None
    num_parameters: int | None
    embedding_dim: int | None
    num_bytes: int | None
    is_calibrated: bool
    licence: str | None
    commercial_use: bool | None
    published: str | None
    source: str
    note: str = ""


def rows(settings: Settings) -> list[Row]:
    """Every encoder: shipped, installed, and known to be published. Reads cards, not weights."""
    from voiceguard.encoder.foreign.catalogue import CATALOGUE
    from voiceguard.encoder.installed import installed_models
    from voiceguard.encoder.library import resolve_name, shipped_models
    from voiceguard.service.kit import installed_in

    directory = installed_in(settings)
    in_use = resolve_name(settings.encoder.model, directory)
    here = [*shipped_models(), *(installed := installed_models(directory))]
    found = [
        _row(settings, name, "installed" if name in installed else "shipped", in_use)
        for name in here
    ]
    return [*found, *(_known(known) for known in CATALOGUE if known.name not in here)]


def _row(settings: Settings, name: str, state: str, in_use: str) -> Row:
    """By the card's plain values: an unreadable card is `models verify`'s to tell."""
    from voiceguard.encoder.foreign.catalogue import FREE, find_known
    from voiceguard.encoder.library import (
        DEFAULT_MODEL,
        calibration_path,
        find_model,
        stated_encoder_id,
    )
    from voiceguard.paths import own_calibration_file, state_dir
    from voiceguard.service.kit import installed_in

    directory = installed_in(settings)
    path = find_model(name, directory)
    try:
        card: dict[str, Any] = json.loads(path.with_suffix(".json").read_bytes())
    except (OSError, ValueError):
        card = {}
    encoder_id = stated_encoder_id(name, directory)
    own = own_calibration_file(state_dir(settings.state_dir), encoder_id or "-")
    commercial_use = card.get("commercial_use")
    if commercial_use is None and card.get("licence") in FREE:
        commercial_use = True
    return Row(
        name=name,
        state=state,
        is_default=name == DEFAULT_MODEL,
        is_in_use=name == in_use,
        encoder_id=encoder_id,
        num_parameters=card.get("num_parameters"),
        embedding_dim=card.get("embedding_dim"),
        num_bytes=path.stat().st_size if path.is_file() else None,
        is_calibrated=own.is_file() or calibration_path(name, directory).is_file(),
        licence=card.get("licence"),
        commercial_use=commercial_use,
        published=card.get("published"),
        source=card.get("source") or ("voiceguard" if state == "shipped" else ""),
        note="" if (known := find_known(name)) is None else known.note,
    )


def _known(known: KnownEncoder) -> Row:
    from voiceguard.encoder.library import shipped_calibration

    calibration = None if known.encoder_id is None else shipped_calibration(known.encoder_id)
    return Row(
        name=known.name,
        state="known",
        is_default=False,
        is_in_use=False,
        encoder_id=None,
        num_parameters=known.num_parameters,
        embedding_dim=known.embedding_dim,
        num_bytes=None,
        is_calibrated=calibration is not None,
        licence=known.licence,
        commercial_use=known.commercial_use,
        published=known.published,
        source=known.source,
        note=known.note,
    )


def examine(settings: Settings) -> dict[str, Any]:
    """All that is known about the encoder in use, in plain values; no ``faults`` when all fits.

    Raises:
        EncoderError: There is no such model, or its card can't be read.
    """
    from voiceguard.encoder.card import native
    from voiceguard.encoder.library import cohort_path, find_model
    from voiceguard.scoring.calibration import load_calibration
    from voiceguard.scoring.snorm import load_cohort
    from voiceguard.service.kit import calibration_in_force, installed_in

    model = settings.encoder.model
    path = find_model(model, installed_in(settings))
    card = native.read_card(native.card_path(path))
    faults: list[str] = []
    precision = cohort = calibration = fitted = None
    is_intact = False
    try:
        if card.is_program:
            native.read_verified(path, card)
        else:
            native.load(path)
            precision = _precision(path)
        is_intact = True
    except EncoderError as error:
        faults.append(str(error))
    try:
        of_cohort = cohort_path(model, installed_in(settings))
        if of_cohort.exists():
            cohort = load_cohort(of_cohort, encoder_id=card.encoder_id)
        fitted = calibration_in_force(settings, card.encoder_id)
        if fitted is not None:
            calibration = load_calibration(
                fitted,
                encoder_id=card.encoder_id,
                cohort_id=None if cohort is None else cohort.cohort_id,
            )
    except EncoderError as error:
        faults.append(str(error))
    return {
        **card.to_json(),
        "encoder_id": card.encoder_id,
        "path": str(path),
        "num_bytes": path.stat().st_size if path.is_file() else None,
        "weights_are_intact": is_intact,
        "precision": precision,
        "cohort": None if cohort is None else _about_cohort(cohort),
        "calibration": None
        if calibration is None
        else {"path": str(fitted), **_about_calibration(calibration)},
        "faults": faults,
    }


def _precision(path: Path) -> str:
    """What most of the file's numbers are stored in: "F16", "F32"."""
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        slices = [file.get_slice(name) for name in file.keys()]  # noqa: SIM118 - no mapping
        largest = max(slices, key=lambda each: _product(each.get_shape()))
        return str(largest.get_dtype())


def _product(shape: list[int]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size


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
