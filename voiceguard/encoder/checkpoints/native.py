"""voiceguard's own format: a ``.safetensors`` file of weights and a ``.json`` card beside it.

The card tells people what the model is, and the loader what to build and which hash the weights
have. Architecture and features are also inside the weights file, under that hash, so that
neither can be swapped alone: the encoder's id vouches for all of it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from voiceguard.encoder.ecapa_tdnn import EcapaTdnn, EcapaTdnnConfig
from voiceguard.encoder.features import LogMelConfig
from voiceguard.errors import EncoderError
from voiceguard.types import FRAME_S

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT = "voiceguard-encoder"
FORMAT_VERSION = 1
ARCHITECTURE = "ecapa_tdnn"
FEATURES = "log_mel"
_RESTORE_HINT = "Reinstall voiceguard, or restore both files from where you have them."


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What is known about a model; everything but the hash is chosen by who saves it."""

    name: str
    architecture: EcapaTdnnConfig
    features: LogMelConfig
    min_window_s: float
    """Shortest audio that the encoder accepts."""
    licence: str
    trained_on: str
    """Data, speakers and hours, in words."""
    figures: tuple[str, ...]
    """Error rates, each with the trials and who measured it."""
    weights_sha256: str = ""
    """Of the weights file; ``save`` computes it."""

    def __post_init__(self) -> None:
        shortest_s = self.architecture.min_frames * FRAME_S
        if self.min_window_s < shortest_s:
            raise ValueError(
                f"min_window_s must be at least {shortest_s:g} for this architecture, "
                f"not {self.min_window_s:g}"
            )

    @property
    def encoder_id(self) -> str:
        """16 hexadecimal digits; embeddings of different ids are never compared."""
        identity = self.weights_sha256 + self.features.version
        return hashlib.sha256(identity.encode()).hexdigest()[:16]


def save(path: Path, card: ModelCard, network: EcapaTdnn) -> None:
    """Writes the weights to ``path`` (``*.safetensors``) and the card, with their hash, beside it.

    Raises:
        OSError: The files cannot be written.
    """
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    weights = safetensors.torch.save(state, metadata=_identity(card))
    values = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": card.name,
        "architecture": {"type": ARCHITECTURE, **card.architecture.to_json()},
        "features": {"type": FEATURES, **card.features.to_json()},
        "embedding_dim": card.architecture.embedding_dim,
        "num_parameters": network.num_parameters,
        "min_window_s": card.min_window_s,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "licence": card.licence,
        "trained_on": card.trained_on,
        "figures": list(card.figures),
    }
    path.write_bytes(weights)
    card_path(path).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", "utf-8")


def load(path: Path) -> tuple[ModelCard, EcapaTdnn]:
    """Reads and checks a model; the network is in evaluation mode, float32, on the CPU.

    Raises:
        EncoderError: A file is missing, damaged, or not what the other says.
    """
    card = read_card(card_path(path))
    weights = _read(path)
    found = hashlib.sha256(weights).hexdigest()
    if found != card.weights_sha256:
        raise EncoderError(
            f"{path} is damaged or was replaced: its sha256 is {found}, its card expects "
            f"{card.weights_sha256}",
            hint=_RESTORE_HINT,
        )
    try:
        tensors = safetensors.torch.load(weights)
        metadata = _metadata(weights)
    except (SafetensorError, ValueError, KeyError) as error:
        raise EncoderError(
            f"{path} is not a safetensors file of weights: {error}", hint=_RESTORE_HINT
        ) from error
    if metadata != _identity(card):
        raise EncoderError(
            f"{card_path(path)} and {path} disagree about the architecture or the features: "
            f"{_identity(card)} and {metadata}",
            hint=_RESTORE_HINT,
        )
    return card, _build(path, card, tensors)


def card_path(weights_path: Path) -> Path:
    """Where a weights file's card is."""
    return weights_path.with_suffix(".json")


def read_card(path: Path) -> ModelCard:
    """Reads a model's card without its weights.

    Raises:
        EncoderError: It is missing, unreadable or of a newer voiceguard.
    """
    raw = _read(path)
    try:
        values = json.loads(raw)
        _require(values, "format", FORMAT)
        _require(values, "format_version", FORMAT_VERSION)
        return ModelCard(
            name=str(values["name"]),
            architecture=EcapaTdnnConfig.from_json(_typed(values["architecture"], ARCHITECTURE)),
            features=LogMelConfig.from_json(_typed(values["features"], FEATURES)),
            min_window_s=float(values["min_window_s"]),
            licence=str(values["licence"]),
            trained_on=str(values["trained_on"]),
            figures=tuple(map(str, values["figures"])),
            weights_sha256=str(values["weights_sha256"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        what = f"has no {error}" if isinstance(error, KeyError) else str(error)
        raise EncoderError(
            f"{path} is not a card of an encoder for this voiceguard: {what}",
            hint=f"{_RESTORE_HINT} A card of a newer voiceguard needs that voiceguard.",
        ) from error


def _require(values: Mapping[str, Any], name: str, expected: str | int) -> None:
    if values[name] != expected:
        raise ValueError(f"{name} is {values[name]!r}, not {expected!r}")


def _typed(values: Mapping[str, Any], expected: str) -> dict[str, Any]:
    """The values without their type, which must be the expected one."""
    _require(values, "type", expected)
    return {name: value for name, value in values.items() if name != "type"}


def _identity(card: ModelCard) -> dict[str, str]:
    """What of the card is repeated inside the weights file.

    One key: safetensors orders several at random, and the same weights must give the same hash.
    """
    identity = {
        "format": f"{FORMAT} {FORMAT_VERSION}",
        "architecture": {"type": ARCHITECTURE, **card.architecture.to_json()},
        "features": card.features.version,
    }
    return {"voiceguard": json.dumps(identity, sort_keys=True)}


def _metadata(weights: bytes) -> dict[str, str]:
    """The free part of a safetensors header: 8 bytes of length, then JSON."""
    length = int.from_bytes(weights[:8], "little")
    metadata: dict[str, str] = json.loads(weights[8 : 8 + length]).get("__metadata__", {})
    return metadata


def _build(path: Path, card: ModelCard, tensors: dict[str, torch.Tensor]) -> EcapaTdnn:
    """A network whose tensors are these, after checking every name and shape."""
    with torch.device("meta"):  # neither memory nor random numbers for weights to be replaced
        network = EcapaTdnn(card.architecture)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if found != expected:
        name = min(name for name, _ in expected.items() ^ found.items())
        raise EncoderError(
            f"{path} does not hold the architecture of its card: {name} is "
            f"{found.get(name, 'missing')} there, {expected.get(name, 'unknown')} by the card",
            hint=_RESTORE_HINT,
        )
    # Weights may be stored in half precision; running means and everything else run in float32.
    state = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    network.load_state_dict(state, assign=True)
    return network.eval()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EncoderError(
            f"{path} cannot be read: {error.strerror}; an encoder is a .safetensors file and its "
            ".json card in the same directory",
            hint=_RESTORE_HINT,
        ) from error
