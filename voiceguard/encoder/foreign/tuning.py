"""Puts tensors of ours over a published encoder's, in memory, before it is installed.

In: what a reader read of the publisher's file, untouched. Out: the same with some of its tensors
replaced by those of a file as `voiceguard train --tune` writes it, which is shipped: a few
megabytes where the whole network has many. The publisher's file stays what its pinned hash says.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceguard.encoder.card.native import metadata_of
from voiceguard.encoder.card.shipped import REINSTALL, read_shipped
from voiceguard.errors import EncoderError
from voiceguard.validation.parsing import parse_json_object

if TYPE_CHECKING:
    from voiceguard.encoder.foreign.catalogue import Tuning
    from voiceguard.encoder.foreign.imported import Imported

TUNING_DIR = Path(__file__).parents[1] / "weights"

MAX_BYTES = 2**26
"""A tuning is small beside what it changes."""

METADATA_KEY = "voiceguard"
FORMAT = "voiceguard-tuning"


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
        raise EncoderError(
            f"{path} is of another network than {imported.origin_format}", hint=REINSTALL
        )
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

    content = read_shipped(path, tuning.sha256, MAX_BYTES)
    try:
        arrays = safetensors.numpy.load(content)
        facts = parse_json_object(metadata_of(content)[METADATA_KEY].encode())
    except (SafetensorError, ValueError, KeyError) as error:
        raise EncoderError(f"{path} is no tuning: {error}", hint=REINSTALL) from error
    if facts.get("format") != FORMAT or not isinstance(facts.get("trained_on"), str):
        raise EncoderError(f"{path} is no tuning: its header is no {FORMAT}'s", hint=REINSTALL)
    return arrays, facts
