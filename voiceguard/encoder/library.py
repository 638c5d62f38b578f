"""Which encoders there are, shipped and installed, and where their files lie. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from voiceguard import paths
from voiceguard.encoder.card.identity import encoder_id
from voiceguard.encoder.foreign.catalogue import find_known
from voiceguard.encoder.installed import (
    FILE_NAMES,
    IN_USE_NAME,
    NAME,
    in_use,
    installed_file,
    installed_models,
    not_written,
)
from voiceguard.errors import EncoderError, UsageError, VoiceguardError
from voiceguard.paths import make_private_dir
from voiceguard.validation.parsing import read_json_object

WEIGHTS_DIR = Path(__file__).parent / "weights"

SCORING_DIR = WEIGHTS_DIR / "scoring"
"""Cohorts and calibrations for encoders of the catalogue, ``<encoder id>.cohort.safetensors`` and
``<encoder id>.calibration.json``: ours, for weights that are not."""
COHORT_SUFFIX = ".cohort.safetensors"
CALIBRATION_SUFFIX = ".calibration.json"

DEFAULT_MODEL = "ecapa-c320"
"""What "default" means until `voiceguard models use` says otherwise: the one place to change when
better weights are shipped."""

RESEMBLYZER = "resemblyzer"
"""Development only: the weights inside the package of that name (extra ``rivals``)."""

WEIGHTS_SUFFIX = ".safetensors"
_FOREIGN_SUFFIXES = (".onnx", ".pt", ".pth", ".nemo", ".model", ".ckpt")
_RESERVED = frozenset({"default", "resemblyzer", IN_USE_NAME})


def shipped_models() -> list[str]:
    """Names of the models inside this package, the default among them."""
    cards = WEIGHTS_DIR.glob("*.json")
    return sorted(card.stem for card in cards if card.with_suffix(".safetensors").exists())


def find_model(model: str, models_dir: Path | None = None) -> Path:
    """The weights or program that a name or path means.

    Args:
        model: As ``EncoderConfig.model``.
        models_dir: Where installed models are; None: in the state directory of the environment.

    Raises:
        EncoderError: Neither a name of a shipped or installed model nor a path; or "resemblyzer",
            and its package is not installed.
        StateError: One may not look where the path leads.
    """
    directory = paths.models_dir(paths.state_dir()) if models_dir is None else models_dir
    name = resolve_name(model, directory)
    # The default is always looked for inside the package, so that its absence is told by path.
    if name == DEFAULT_MODEL or name in shipped_models():
        return WEIGHTS_DIR / f"{name}.safetensors"
    if name == RESEMBLYZER:
        from voiceguard.encoder.running import resemblyzer  # noqa: PLC0415 - imports torch, 2 s

        return resemblyzer.find_weights()
    if (installed := installed_file(name, directory)) is not None:
        return installed
    if name.endswith(WEIGHTS_SUFFIX):
        path = Path(name).expanduser()
        if not paths.is_there(path):
            raise EncoderError(
                f"there is no encoder file {path}",
                hint="Correct encoder.model in the configuration, or --model.",
            )
        return path
    known = ", ".join([*shipped_models(), *installed_models(directory)])
    hint = "Correct encoder.model in the configuration, or --model."
    if name.endswith(_FOREIGN_SUFFIXES):
        # A program is run from where its import put it, after somebody trusted that file: a card
        # beside any other could say of itself that it is trusted.
        hint = f"Import it first: `voiceguard models import {name} --name NAME`, then use NAME."
    if (published := find_known(name)) is not None and not published.elsewhere:
        hint = f"`voiceguard models pull {model}` fetches it."
    if model == "default":
        hint = "`voiceguard models use NAME` chooses another, `models use default` the shipped one."
    raise EncoderError(
        f"there is no encoder {name!r}: expected 'default', {known} or the path of a .safetensors "
        "file",
        hint=hint,
    )


def resolve_name(model: str, models_dir: Path) -> str:
    """What "default" means now; others mean themselves.

    Raises:
        StateError: The choice of a default cannot be read.
    """
    return (in_use(models_dir) or DEFAULT_MODEL) if model == "default" else model


def cohort_path(model: str, models_dir: Path | None = None) -> Path:
    """The cohort in force: the one beside the weights, else the one that is shipped for their id.

    It need not exist.
    """
    return _of_scoring(model, models_dir, COHORT_SUFFIX)


def calibration_path(model: str, models_dir: Path | None = None) -> Path:
    """The calibration in force, likewise; it need not exist."""
    return _of_scoring(model, models_dir, CALIBRATION_SUFFIX)


def own_cohort_path(model: str, models_dir: Path | None = None) -> Path:
    """Where a cohort that somebody makes for an encoder is kept: beside its weights."""
    return find_model(model, models_dir).with_suffix(COHORT_SUFFIX)


def shipped_calibration(encoder_id: str) -> Path | None:
    """The calibration that is shipped for an encoder whose weights are not; None: there is none."""
    path = SCORING_DIR / f"{encoder_id}{CALIBRATION_SUFFIX}"
    return path if path.is_file() else None


def _of_scoring(model: str, models_dir: Path | None, suffix: str) -> Path:
    weights = find_model(model, models_dir)
    beside = weights.with_suffix(suffix)
    # A calibration is fitted to its cohort: neither is mixed with the shipped other one.
    if any(weights.with_suffix(each).exists() for each in (COHORT_SUFFIX, CALIBRATION_SUFFIX)):
        return beside
    shipped = SCORING_DIR / f"{stated_encoder_id(model, models_dir)}{suffix}"
    return shipped if shipped.is_file() else beside


def stated_encoder_id(model: str, models_dir: Path | None = None) -> str | None:
    """The id that an encoder will have by its card; its weights are neither read nor checked.

    For commands that should not wait for torch. None where the card, or the model, is missing or
    does not say.
    """
    try:
        card = read_json_object(find_model(model, models_dir).with_suffix(".json"))
        return encoder_id(
            str(card["weights_sha256"]), str(card["features"]["version"]), card["architecture"]
        )
    except (VoiceguardError, OSError, ValueError, KeyError, TypeError):
        return None


def check_name(name: str) -> str:
    """The name, if an installed model may have it.

    Raises:
        UsageError: It may not: its letters, or it is taken by a shipped model.
    """
    if not NAME.fullmatch(name) or name.endswith(tuple(Path(each).suffix for each in FILE_NAMES)):
        raise UsageError(
            f"a model cannot be called {name!r}: expected up to 64 of a-z, 0-9, '.', '_' and '-', "
            "a letter or digit first, and no file's ending",
            hint="Choose another with --name.",
        )
    if name in _RESERVED or name in shipped_models():
        raise UsageError(
            f"the name {name!r} belongs to voiceguard itself", hint="Choose another with --name."
        )
    return name


def use(name: str, models_dir: Path) -> None:
    """Makes "default" mean this model from now on; "default": the one that is shipped.

    Raises:
        UsageError: Neither shipped nor installed.
        StateError: It cannot be written.
    """
    known = ["default", *shipped_models(), *installed_models(models_dir)]
    if name not in known:
        raise UsageError(
            f"there is no model {name!r} to use: expected one of {', '.join(known)}",
            hint="`voiceguard models import` or `pull` brings one.",
        )
    path = models_dir / IN_USE_NAME
    try:
        if name == "default":
            path.unlink(missing_ok=True)
            return
        make_private_dir(models_dir)
        partial = models_dir / f".{IN_USE_NAME}"
        partial.write_text(f"{name}\n", "utf-8")
        partial.replace(path)
    except OSError as error:
        raise not_written(models_dir, error) from error
