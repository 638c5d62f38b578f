"""Which encoders there are for these settings, and what another choice among them means.

By cards and headers alone: nobody waits for torch. ``encoder_check`` looks at the files themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voiceguard.encoder.foreign import catalogue
from voiceguard.encoder.installed import installed_models
from voiceguard.encoder.library import (
    DEFAULT_MODEL,
    calibration_path,
    find_model,
    resolve_name,
    shipped_calibration,
    shipped_models,
    stated_encoder_id,
    use,
)
from voiceguard.errors import EncoderError, VoiceguardError
from voiceguard.paths import own_calibration_file, state_dir
from voiceguard.service.kit import installed_in, open_store
from voiceguard.validation.parsing import read_json_object

if TYPE_CHECKING:
    from voiceguard.encoder.foreign.catalogue import KnownEncoder
    from voiceguard.errors import VoiceprintError
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
    directory = installed_in(settings)
    in_use = resolve_name(settings.encoder.model, directory)
    here = [*shipped_models(), *(installed := installed_models(directory))]
    found = [
        _row(settings, name, "installed" if name in installed else "shipped", in_use)
        for name in here
    ]
    return [*found, *(_known(known) for known in catalogue.CATALOGUE if known.name not in here)]


def _row(settings: Settings, name: str, state: str, in_use: str) -> Row:
    """By the card's plain values: an unreadable card is `models verify`'s to tell."""
    directory = installed_in(settings)
    path = find_model(name, directory)
    try:
        card = read_json_object(path.with_suffix(".json"))
    except (OSError, ValueError):
        card = {}
    encoder_id = stated_encoder_id(name, directory)
    commercial_use = card.get("commercial_use")
    if commercial_use is None and card.get("licence") in catalogue.FREE:
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
        is_calibrated=_is_calibrated(settings, name, encoder_id),
        licence=card.get("licence"),
        commercial_use=commercial_use,
        published=card.get("published"),
        source=card.get("source") or ("voiceguard" if state == "shipped" else ""),
        note="" if (known := catalogue.find_known(name)) is None else known.note,
    )


def _known(known: KnownEncoder) -> Row:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """An encoder that is the one in use from now on, and what no longer fits."""

    name: str
    encoder_id: str | None
    is_calibrated: bool
    refused: dict[str, VoiceprintError]
    """Voiceprints of another encoder, by speaker."""
    overruled_by: str | None
    """What the configuration names instead, which comes first."""
    fault: VoiceguardError | None
    """Why the voiceprints could not be looked at: the choice is made all the same."""


def choose(settings: Settings, name: str) -> Choice:
    """Makes an encoder the one in use.

    Args:
        settings: Where it is written down.
        name: Of one that is shipped or installed, or "default": the one that is shipped.

    Raises:
        EncoderError: Its card is missing or damaged.
        StateError: The choice can't be written.
    """
    directory = installed_in(settings)
    if stated_encoder_id(name if name != "default" else DEFAULT_MODEL, directory) is None:
        raise EncoderError(
            f"the card of {name} is missing or damaged, so it can't be used",
            hint=f"`voiceguard models verify {name}` says more.",
        )
    use(name, directory)
    chosen = resolve_name("default", directory)
    encoder_id = stated_encoder_id(chosen, directory)
    refused, fault = {}, None
    store = open_store(settings)
    try:
        for voiceprint in store.load_all().voiceprints:
            if encoder_id is not None and voiceprint.encoder_id != encoder_id:
                refused[voiceprint.speaker] = store.of_another_encoder(voiceprint, encoder_id)
    except VoiceguardError as error:  # a lost key, which is another matter
        fault = error
    overruling = settings.encoder.model
    return Choice(
        name=chosen,
        encoder_id=encoder_id,
        is_calibrated=_is_calibrated(settings, chosen, encoder_id),
        refused=refused,
        overruled_by=None if overruling in {"default", chosen} else overruling,
        fault=fault,
    )


def _is_calibrated(settings: Settings, name: str, encoder_id: str | None) -> bool:
    own = own_calibration_file(state_dir(settings.state_dir), encoder_id or "-")
    return own.is_file() or calibration_path(name, installed_in(settings)).is_file()
