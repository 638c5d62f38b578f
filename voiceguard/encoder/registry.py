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

from voiceguard.errors import EncoderError, VoiceguardError
from voiceguard.paths import is_there

if TYPE_CHECKING:
    from voiceguard.protocols import Encoder

WEIGHTS_DIR = Path(__file__).parent / "weights"

DEFAULT_MODEL = "ecapa-c256"
"""What "default" means: the one place to change when better weights are shipped."""

RESEMBLYZER = "resemblyzer"
"""Development only: the weights inside the package of that name (extra ``rivals``)."""

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """Which encoder makes the embeddings, and on what, the [encoder] table of voiceguard.toml."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    model: str = "default"
    """A shipped model's name, or the path of a .safetensors file with its card beside it."""
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


def find_model(model: str) -> Path:
    """The weights file that a name or path means.

    Raises:
        EncoderError: Neither a shipped model's name nor a path of a ``.safetensors`` file; or
            "resemblyzer", and its package is not installed.
        StateError: One may not look where the path leads.
    """
    name = DEFAULT_MODEL if model == "default" else model
    # The default is always looked for inside the package, so that its absence is told by path.
    if name == DEFAULT_MODEL or name in shipped_models():
        return WEIGHTS_DIR / f"{name}.safetensors"
    if name == RESEMBLYZER:
        from voiceguard.encoder import resemblyzer  # noqa: PLC0415 - imports torch, 2 s

        return resemblyzer.find_weights()
    if name.endswith(".safetensors"):
        path = Path(name).expanduser()
        if not is_there(path):
            raise EncoderError(
                f"there is no encoder file {path}",
                hint="Correct encoder.model in the configuration, or --model.",
            )
        return path
    raise EncoderError(
        f"there is no encoder {model!r}: expected 'default', {', '.join(shipped_models())} or "
        "the path of a .safetensors file",
        hint="Correct encoder.model in the configuration, or --model.",
    )


def cohort_path(model: str) -> Path:
    """Where an encoder's cohort is kept, beside its weights; it need not exist."""
    return find_model(model).with_suffix(".cohort.safetensors")


def calibration_path(model: str) -> Path:
    """Where an encoder's calibration is kept, beside its weights; it need not exist."""
    return find_model(model).with_suffix(".calibration.json")


def encoder_id(weights_sha256: str, features_version: str) -> str:
    """Names weights and features together, 16 hexadecimal digits."""
    return hashlib.sha256((weights_sha256 + features_version).encode()).hexdigest()[:16]


def stated_encoder_id(model: str) -> str | None:
    """The id that an encoder will have by its card; its weights are neither read nor checked.

    For commands that should not wait for torch. None where the card, or the model, is missing or
    does not say.
    """
    try:
        card = json.loads(find_model(model).with_suffix(".json").read_bytes())
        return encoder_id(str(card["weights_sha256"]), str(card["features"]["version"]))
    except (VoiceguardError, OSError, ValueError, KeyError, TypeError):
        return None


def load_encoder(model: str = "default", device: str = "auto", num_threads: int = 1) -> Encoder:
    """Loads an encoder, checks it against its card, and warms it up.

    Args:
        model: "default", a shipped model's name, or the path of a ``.safetensors`` file; for
            development also "resemblyzer", see ``encoder.resemblyzer``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        num_threads: How many CPU threads torch uses, in this whole process.

    Raises:
        EncoderError: A file is missing or damaged, or there is no such model or device.
        ValueError: device or num_threads cannot be meant as written.
    """
    config = EncoderConfig(model=model, device=device, num_threads=num_threads)
    path = find_model(config.model)
    if config.model == RESEMBLYZER:
        from voiceguard.encoder.resemblyzer import ResemblyzerEncoder  # noqa: PLC0415 - torch

        return ResemblyzerEncoder(path, device=config.device, num_threads=config.num_threads)
    from voiceguard.encoder.checkpoints import native  # noqa: PLC0415 - imports torch, 2 s
    from voiceguard.encoder.runtime import TorchEncoder  # noqa: PLC0415 - likewise

    card, network = native.load(path)
    return TorchEncoder(card, network, device=config.device, num_threads=config.num_threads)
