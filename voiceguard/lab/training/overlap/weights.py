"""Writes a trained overlap network as ``encoder.overlap.weights`` reads it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from voiceguard.encoder.card.native import metadata_of
from voiceguard.encoder.export.folding import EPSILON
from voiceguard.encoder.overlap.weights import FORMAT, MAX_BYTES, METADATA_KEY
from voiceguard.errors import StateError, UsageError
from voiceguard.validation.files import read_whole
from voiceguard.voiceprints.durable import replace_durably

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from voiceguard.lab.training.overlap.network import OverlapNetwork

_NORM = ("weight", "bias", "running_mean", "running_var")


def write_weights(
    path: Path, network: OverlapNetwork, *, threshold: float, licence: str, trained_on: str
) -> str:
    """Normalisations folded into convolutions, in float16.

    Args:
        path: Where to.
        network: Trained.
        threshold: The logit from which on there are two voices.
        licence: Of the weights.
        trained_on: What people read.

    Returns:
        The file's sha256.

    Raises:
        StateError: It cannot be written; what was there stands.
    """
    facts = {
        "format": FORMAT,
        "shape": asdict(network.shape),
        "threshold": threshold,
        "licence": licence,
        "trained_on": trained_on,
    }
    arrays = {name: each.half().contiguous() for name, each in folded(network).items()}
    return _written(path, arrays, facts)


def set_threshold(path: Path, threshold: float) -> str:
    """Replaces the threshold in a file; the file's new sha256.

    Raises:
        UsageError: There is no such file, or it is another.
        StateError: It cannot be written; what was there stands.
    """
    try:
        content = read_whole(path, MAX_BYTES)
        facts = json.loads(metadata_of(content)[METADATA_KEY])
        arrays = load(content)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"no threshold can be written into {path}: {what}",
            hint="--out takes what this command wrote.",
        ) from error
    return _written(path, arrays, {**facts, "threshold": threshold})


def _written(path: Path, arrays: dict[str, Tensor], facts: dict[str, Any]) -> str:
    content = save(arrays, {METADATA_KEY: json.dumps(facts)})
    try:
        replace_durably((path, content))
    except OSError as error:
        raise StateError(
            f"{path} cannot be written: {error.strerror}", hint="Make room, or name another --out."
        ) from error
    return hashlib.sha256(content).hexdigest()


def folded(network: OverlapNetwork) -> dict[str, Tensor]:
    """Of every convolution a weight and a bias, by the names of ``encoder.overlap.graph``."""
    state = network.state_dict()
    kept = ("head.", "recurrent.")
    found = {name: each for name, each in state.items() if name.startswith(kept)}
    for name in layers(network):
        weight = state[f"{name}.0.weight"]
        norm = {part: state[f"{name}.1.{part}"] for part in _NORM}
        scale = norm["weight"] / torch.sqrt(norm["running_var"] + EPSILON)
        found[f"{name}.weight"] = weight * scale.view(-1, *[1] * (weight.dim() - 1))
        found[f"{name}.bias"] = norm["bias"] - norm["running_mean"] * scale
    return {name: each.detach().cpu() for name, each in found.items()}


def layers(network: OverlapNetwork) -> Iterator[str]:
    """Convolutions with a normalisation, by name."""
    yield from (f"stem.{index}" for index in range(len(network.stem)))
    yield "project"
