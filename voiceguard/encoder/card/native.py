"""voiceguard's own format: a ``.safetensors`` file of weights and a ``.json`` card beside it.

The card tells people what the model is, and the loader what to build and which hash the weights
have. Architecture and features are also inside the weights file, under that hash, so that
neither can be swapped alone: the encoder's id vouches for all of it.

torch is imported by what makes or takes a network, and by nothing else.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from voiceguard.encoder.card.kinds import Architecture, Buildable, typed
from voiceguard.encoder.card.model_card import FORMAT, FORMAT_VERSION, ModelCard
from voiceguard.errors import EncoderError
from voiceguard.validation.files import read_whole
from voiceguard.validation.parsing import parse_json_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    import torch
    from numpy.typing import NDArray
    from torch import nn

MAX_FILE_BYTES = 2**31
"""Of weights; the largest encoder that is known has a quarter of it."""
_RESTORE_HINT = (
    "Reinstall voiceguard (an imported model: remove it and import it again), or restore both "
    "files from where you have them."
)


def save(path: Path, card: ModelCard, network: nn.Module, *, half: bool = False) -> ModelCard:
    """Writes the weights to ``path`` (``*.safetensors``) and the card, with their hash, beside it.

    Args:
        path: Where to.
        card: What it says about hash and number of parameters is replaced.
        network: Its weights, of the card's architecture.
        half: Weights in float16, half as large; ``load`` gives float32 again. Running statistics
            stay in float32: variances may lie outside float16's range, and there are few of them.

    Returns:
        The card as it was written.

    Raises:
        ValueError: ``half``, and a weight is too large for float16.
        OSError: The files cannot be written.
    """
    import safetensors.torch  # noqa: PLC0415 - imports torch

    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    if half:
        state = {name: _halved(name, tensor) for name, tensor in state.items()}
    weights = safetensors.torch.save(state, metadata=_identity(card))
    return _write(path, card, weights, sum(each.numel() for each in network.parameters()))


def save_arrays(path: Path, card: ModelCard, arrays: Mapping[str, NDArray[Any]]) -> ModelCard:
    """Writes the very file that ``save`` writes, without torch and from arrays of any shape.

    Args:
        path: Where to.
        card: As for ``save``.
        arrays: By the names of the architecture's network, in the precision that is written.

    Returns:
        The card as it was written.

    Raises:
        OSError: The files cannot be written.
    """
    import safetensors.numpy  # noqa: PLC0415 - as everywhere here

    weights = safetensors.numpy.save(dict(arrays), metadata=_identity(card))
    learnt = (each.size for name, each in arrays.items() if not name.endswith(_NOT_LEARNT))
    return _write(path, card, weights, sum(learnt))


_NOT_LEARNT = (".running_mean", ".running_var", ".num_batches_tracked")


def _write(path: Path, card: ModelCard, weights: bytes, num_parameters: int) -> ModelCard:
    digest = hashlib.sha256(weights).hexdigest()
    written = replace(card, num_parameters=num_parameters, weights_sha256=digest)
    path.write_bytes(weights)
    save_card(card_path(path), written)
    return written


def save_card(path: Path, card: ModelCard) -> None:
    """Writes a card alone: figures are measured after the weights were saved.

    Raises:
        ValueError: The card does not say which weights it belongs to.
        OSError: The file cannot be written.
    """
    if not card.weights_sha256:
        raise ValueError(f"the card of {card.name!r} has no weights_sha256")
    path.write_text(json.dumps(card.to_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")


def load(path: Path) -> tuple[ModelCard, nn.Module]:
    """Reads and checks a model; the network is in evaluation mode, float32, on the CPU.

    Raises:
        EncoderError: A file is missing, damaged, or not what the other says.
    """
    import safetensors.torch  # noqa: PLC0415 - imports torch

    card, weights = read_checked(path)
    return card, build(card.architecture, safetensors.torch.load(weights), found_in=str(path))


def read_checked(path: Path) -> tuple[ModelCard, bytes]:
    """The card and the weights file's content; the one is what the other says.

    Raises:
        EncoderError: A file is missing, damaged, or not what the other says.
    """
    import safetensors.numpy  # noqa: PLC0415 - as everywhere here
    from safetensors import SafetensorError  # noqa: PLC0415

    card = read_card(card_path(path))
    weights = read_verified(path, card)
    try:
        safetensors.numpy.load(weights)
        metadata = metadata_of(weights)
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
    return card, weights


def read_verified(path: Path, card: ModelCard) -> bytes:
    """A model's weights or program, after comparing it with the hash on its card.

    Raises:
        EncoderError: It is missing, damaged or was replaced.
    """
    content = _read(path)
    found = hashlib.sha256(content).hexdigest()
    if found != card.weights_sha256:
        raise EncoderError(
            f"{path} is damaged or was replaced: its sha256 is {found}, its card expects "
            f"{card.weights_sha256}",
            hint=_RESTORE_HINT,
        )
    return content


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
        return ModelCard.from_json(parse_json_object(raw))
    except ValueError as error:
        raise EncoderError(
            f"{path} is not a card of an encoder for this voiceguard: {error}",
            hint=f"{_RESTORE_HINT} A card of a newer voiceguard needs that voiceguard.",
        ) from error


def _halved(name: str, tensor: torch.Tensor) -> torch.Tensor:
    import torch  # noqa: PLC0415 - only where a network is

    if not tensor.is_floating_point() or ".running_" in name:
        return tensor
    halved = tensor.half()
    if not torch.isfinite(halved).all():
        raise ValueError(f"{name} has weights outside float16's range; save it without half")
    return halved


def _identity(card: ModelCard) -> dict[str, str]:
    """What of the card is repeated inside the weights file.

    One key: safetensors orders several at random, and the same weights must give the same hash.
    """
    identity = {
        "format": f"{FORMAT} {FORMAT_VERSION}",
        "architecture": typed(card.architecture),
        "features": card.features.version,
    }
    return {"voiceguard": json.dumps(identity, sort_keys=True)}


def metadata_of(weights: bytes) -> dict[str, str]:
    """The free part of a safetensors header: 8 bytes of length, then JSON.

    Raises:
        ValueError: It is no such header.
    """
    length = int.from_bytes(weights[:8], "little")
    header = parse_json_object(weights[8 : 8 + length])
    return dict(header.get("__metadata__", {}))


def build(
    architecture: Architecture,
    tensors: Mapping[str, torch.Tensor],
    *,
    found_in: str,
    hint: str = _RESTORE_HINT,
) -> nn.Module:
    """An architecture's network with these tensors, their names and shapes checked.

    It is in evaluation mode.

    Args:
        architecture: No program's.
        tensors: By the network's own names, in any precision.
        found_in: What an error names: a file, a format.
        hint: What an error advises.

    Raises:
        EncoderError: A tensor is missing, unknown, or of another shape.
    """
    import torch  # noqa: PLC0415 - only where a network is

    if not isinstance(architecture, Buildable):
        raise EncoderError(
            f"{found_in} holds weights, but {architecture.TYPE!r} on its card is a program",
            hint=hint,
        )
    with torch.device("meta"):  # neither memory nor random numbers for weights to be replaced
        network = architecture.build()
    if fault := _mismatch(network.state_dict(), tensors):
        raise EncoderError(f"{found_in} {fault}", hint=hint)
    # Weights may be stored in half precision; running means and everything else run in float32.
    state = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    network.load_state_dict(state, assign=True)
    return network.eval()


def _mismatch(
    network: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor]
) -> str | None:
    """What a file of these tensors does wrong for a network with those; None: nothing."""
    expected = {name: tuple(tensor.shape) for name, tensor in network.items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if fault := check_shapes(expected, found):
        return fault
    for name, tensor in network.items():
        if tensor.is_floating_point() and not tensors[name].is_floating_point():
            return f"holds whole numbers where {name} has weights"
    return None


def check_shapes(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> str | None:
    """What a file of tensors of these shapes does wrong, the sentence's end; None: nothing."""
    if found == expected:
        return None
    name = min(name for name, _ in expected.items() ^ found.items())
    return (
        f"does not hold the architecture of its card: {name} is "
        f"{found.get(name, 'missing')} there, {expected.get(name, 'unknown')} by the card"
    )


def _read(path: Path) -> bytes:
    try:
        return read_whole(path, MAX_FILE_BYTES)
    except OSError as error:
        raise EncoderError(
            f"{path} cannot be read: {error.strerror}; an encoder is a .safetensors file and its "
            ".json card in the same directory",
            hint=_RESTORE_HINT,
        ) from error
