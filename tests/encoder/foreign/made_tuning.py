"""A tuning file, as `voiceguard train --tune` writes one."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import safetensors.numpy

from voiceguard.encoder.foreign.catalogue import Tuning

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

FACTS = {"format": "voiceguard-tuning", "format_version": 1, "trained_on": "a test's voices"}


def write_tuning(
    path: Path, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, object] = FACTS
) -> Tuning:
    """Writes tensors, by the network's names; what the catalogue says of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"voiceguard": json.dumps(dict(facts))}
    content = safetensors.numpy.save(dict(arrays), metadata=metadata)
    path.write_bytes(content)
    return Tuning(file_name=path.name, sha256=hashlib.sha256(content).hexdigest())
