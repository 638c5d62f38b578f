"""The shipped weights of the overlap network: read, checked by their hash, and taken apart.

A ``.safetensors`` file with float16 arrays. Its header says which sizes the network has, from which
logit on there are two voices, under which licence it is and what it was taught by.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from voiceguard.encoder.card.native import metadata_of
from voiceguard.encoder.card.shipped import REINSTALL, read_shipped
from voiceguard.encoder.overlap.spectrogram import Shape
from voiceguard.errors import EncoderError
from voiceguard.validation.parsing import parse_json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

PATH = Path(__file__).parents[1] / "weights" / "overlap.safetensors"
SHA256 = "972f33f8a3536f93ee1655f9658c35c5d879f5aadd1a58925df1e0c0617bec2e"
MAX_BYTES = 2**24
METADATA_KEY = "voiceguard"
FORMAT = "voiceguard-overlap"


@dataclass(frozen=True, slots=True, eq=False)
class OverlapWeights:
    """What the file holds."""

    arrays: Mapping[str, NDArray[np.float32]]
    """By name: of a convolution ``(outputs, inputs, ...)`` and ``(outputs,)``."""
    shape: Shape
    threshold: float
    """A logit: above it there are two voices."""
    licence: str
    trained_on: str


def read_weights(path: Path = PATH, sha256: str = SHA256) -> OverlapWeights:
    """The weights, after checking their hash.

    Raises:
        EncoderError: The file is missing or damaged.
    """
    content = read_shipped(path, sha256, MAX_BYTES)
    try:
        facts = parse_json_object(metadata_of(content)[METADATA_KEY].encode())
        return _weights(load(content), facts)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise EncoderError(f"{path} is no overlap network: {error}", hint=REINSTALL) from error


def _weights(arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> OverlapWeights:
    if facts["format"] != FORMAT:
        raise ValueError(f"its header is no {FORMAT}'s")
    sizes: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in facts["shape"].items()
    }
    return OverlapWeights(
        arrays={name: np.asarray(each, dtype=np.float32) for name, each in arrays.items()},
        shape=Shape(**sizes),
        threshold=float(facts["threshold"]),
        licence=str(facts["licence"]),
        trained_on=str(facts["trained_on"]),
    )
