"""Puts tensors of ours over a published encoder's, in memory, before it is installed.

In: what a reader read of the publisher's file, untouched. Out: the same with some of its tensors
replaced by those of a file as `voiceguard train --tune` writes it, which is shipped: a few
megabytes where the whole network has many. The publisher's file stays what its pinned hash says.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceguard.encoder.card.native import metadata_of
from voiceguard.errors import EncoderError
from voiceguard.validation.files import read_whole
from voiceguard.validation.parsing import parse_json_object

if TYPE_CHECKING:
    from voiceguard.encoder.foreign.catalogue import Tuning
    from voiceguard.encoder.foreign.imported import Imported

TUNING_DIR = Path(__file__).parents[1] / "weights"

MAX_BYTES = 2**26
"""A tuning is small beside what it changes."""

METADATA_KEY = "voiceguard"
FORMAT = "voiceguard-tuning"

_REINSTALL = "Reinstall voiceguard."


def tuned(imported: Imported, tuning: Tuning, directory: Path | None = None) -> Imported:
    """The published encoder with our tensors in place of some of its own.

    Args:
        imported: As published: weights as arrays, by the network's names.
        tuning: Which file, and the hash that it must have.
        directory: Where it lies; None: beside our own weights.

    Returns:
        With what it learnt from in ``trained_on``, and a sentence for the person.

    Raises:
        EncoderError: The file is missing or damaged, or is of another network.
    """
    import numpy as np  # noqa: PLC0415 - the catalogue's readers are cheap to import

    path = (directory or TUNING_DIR) / tuning.file_name
    arrays, facts = _read(path, tuning)
    published = imported.arrays
    if published is None or any(
        name not in published or published[name].shape != array.shape
        for name, array in arrays.items()
    ):
        raise EncoderError(f"{path} is of another network than {imported.origin_format}")
    ours = {name: array.astype(np.float32) for name, array in arrays.items()}
    told = (
        f"{len(ours)} of its {len(published)} tensors replaced by voiceguard's own, tuned on "
        f"{facts['trained_on']}"
    )
    return replace(
        imported,
        arrays={**published, **ours},
        trained_on=f"{imported.trained_on}; then tuned on {facts['trained_on']}",
        found=(*imported.found, told),
    )


def _read(path: Path, tuning: Tuning) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tensors and what is said of them."""
    import safetensors.numpy  # noqa: PLC0415 - only where a tuning is
    from safetensors import SafetensorError  # noqa: PLC0415

    try:
        content = read_whole(path, MAX_BYTES)
    except OSError as error:
        raise EncoderError(
            f"{path} cannot be read: {error.strerror or error}", hint=_REINSTALL
        ) from error
    if (found := hashlib.sha256(content).hexdigest()) != tuning.sha256:
        raise EncoderError(
            f"{path} is damaged: its sha256 is {found}, expected {tuning.sha256}", hint=_REINSTALL
        )
    try:
        arrays = safetensors.numpy.load(content)
        facts = parse_json_object(metadata_of(content)[METADATA_KEY].encode())
    except (SafetensorError, ValueError, KeyError) as error:
        raise EncoderError(f"{path} is no tuning: {error}", hint=_REINSTALL) from error
    if facts.get("format") != FORMAT or not isinstance(facts.get("trained_on"), str):
        raise EncoderError(f"{path} is no tuning: its header is no {FORMAT}'s", hint=_REINSTALL)
    return arrays, facts
