"""Which encoders there are, and how one is loaded by its name or path.

Importing this module is cheap; torch is imported when an encoder is loaded.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from voiceguard import paths
from voiceguard.encoder.checkpoints.kinds import PROGRAMS
from voiceguard.encoder.installed import in_use, installed_file, installed_models
from voiceguard.errors import EncoderError, VoiceguardError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voiceguard.protocols import Encoder

WEIGHTS_DIR = Path(__file__).parent / "weights"

DEFAULT_MODEL = "ecapa-c256"
"""What "default" means until `voiceguard models use` says otherwise: the one place to change when
better weights are shipped."""

RESEMBLYZER = "resemblyzer"
"""Development only: the weights inside the package of that name (extra ``rivals``)."""

WEIGHTS_SUFFIX = ".safetensors"
_FOREIGN_SUFFIXES = (".onnx", ".pt", ".pth", ".nemo", ".model", ".ckpt")
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """Which encoder makes the embeddings, and on what, the [encoder] table of voiceguard.toml."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    model: str = "default"
    """default (the one that `voiceguard models use` chose, else the shipped one), the name of a
    shipped or installed model, or the path of a .safetensors file with its card beside it."""
    device: str = "auto"
    """auto (a CUDA device where there is one), cpu, cuda or cuda:N."""
    num_threads: int = 1
    """CPU threads per window. One is the most efficient; two shorten the wait."""
    calibration: str = "auto"
    """The path of a calibration, or auto: the one that `voiceguard calibrate` fitted to this
    encoder on this machine, else the one beside the weights."""

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError("model must be a name or a path, not empty")
        if not _DEVICE.fullmatch(self.device):
            raise ValueError(f"device must be auto, cpu, cuda or cuda:N, not {self.device!r}")
        if not self.calibration:
            raise ValueError("calibration must be auto or a path, not empty")
        if not 1 <= self.num_threads <= 64:  # noqa: PLR2004 - said in the message
            raise ValueError(f"num_threads must be between 1 and 64, not {self.num_threads}")


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
        from voiceguard.encoder import resemblyzer  # noqa: PLC0415 - imports torch, 2 s

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
    if model == "default":
        hint = "`voiceguard models use NAME` chooses another, `models use default` the shipped one."
    raise EncoderError(
        f"there is no encoder {name!r}: expected 'default', {known} or the path of a .safetensors "
        "file",
        hint=hint,
    )


def resolve_name(model: str, models_dir: Path) -> str:
    """What "default" means now; any other name or path means itself.

    Raises:
        StateError: The choice of a default cannot be read.
    """
    return (in_use(models_dir) or DEFAULT_MODEL) if model == "default" else model


def cohort_path(model: str, models_dir: Path | None = None) -> Path:
    """Where an encoder's cohort is kept, beside its weights; it need not exist."""
    return find_model(model, models_dir).with_suffix(".cohort.safetensors")


def calibration_path(model: str, models_dir: Path | None = None) -> Path:
    """Where an encoder's calibration is kept, beside its weights; it need not exist."""
    return find_model(model, models_dir).with_suffix(".calibration.json")


def encoder_id(
    weights_sha256: str, features_version: str, architecture: Mapping[str, Any] | None = None
) -> str:
    """Names all that an embedding depends on, 16 hexadecimal digits.

    Args:
        weights_sha256: Of the weights file.
        features_version: Of the features.
        architecture: As a card holds it. It counts for programs only: weights of ours hold it
            inside, under their hash.
    """
    named = weights_sha256 + features_version
    if architecture is not None and architecture["type"] in PROGRAMS:
        named += json.dumps(architecture, sort_keys=True)
    return hashlib.sha256(named.encode()).hexdigest()[:16]


def stated_encoder_id(model: str, models_dir: Path | None = None) -> str | None:
    """The id that an encoder will have by its card; its weights are neither read nor checked.

    For commands that should not wait for torch. None where the card, or the model, is missing or
    does not say.
    """
    try:
        card = json.loads(find_model(model, models_dir).with_suffix(".json").read_bytes())
        return encoder_id(
            str(card["weights_sha256"]), str(card["features"]["version"]), card["architecture"]
        )
    except (VoiceguardError, OSError, ValueError, KeyError, TypeError):
        return None


def load_encoder(
    model: str = "default",
    device: str = "auto",
    num_threads: int = 1,
    models_dir: Path | None = None,
) -> Encoder:
    """Loads an encoder, checks it against its card, and warms it up.

    Args:
        model: "default", the name of a shipped or installed model, or the path of a
            ``.safetensors`` file; for development also "resemblyzer", see ``encoder.resemblyzer``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        num_threads: How many CPU threads torch uses, in this whole process.
        models_dir: Where installed models are; None: in the state directory of the environment.

    Raises:
        EncoderError: A file is missing or damaged, or there is no such model or device.
        ValueError: device or num_threads cannot be meant as written.
    """
    config = EncoderConfig(model=model, device=device, num_threads=num_threads)
    path = find_model(config.model, models_dir)
    if config.model == RESEMBLYZER:
        from voiceguard.encoder.resemblyzer import ResemblyzerEncoder  # noqa: PLC0415 - torch

        return ResemblyzerEncoder(path, device=config.device, num_threads=config.num_threads)
    return load_file(path, device=config.device, num_threads=config.num_threads)


def load_file(path: Path, *, device: str = "auto", num_threads: int = 1) -> Encoder:
    """Loads the encoder of a weights or program file with its card beside it.

    Args:
        path: Of ``find_model``. A file called ``*.safetensors``, which may be anywhere, is never
            run as a program, whatever its card says.
        device: As ``load_encoder``.
        num_threads: As ``load_encoder``.

    Raises:
        EncoderError: See ``load_encoder``; or the file is a program that nobody trusted.
    """
    from voiceguard.encoder.checkpoints import native  # noqa: PLC0415 - imports torch, 2 s

    if path.suffix != WEIGHTS_SUFFIX:
        from voiceguard.encoder import programs  # noqa: PLC0415 - only where it is needed

        card = native.read_card(native.card_path(path))
        return programs.load(path, card, device=device, num_threads=num_threads)
    from voiceguard.encoder.runtime import TorchEncoder  # noqa: PLC0415 - as above

    card, network = native.load(path)
    return TorchEncoder.of(card, network, device=device, num_threads=num_threads)
