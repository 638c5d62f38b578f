"""What an embedding depends on, as one short name: the encoder's id."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from voiceguard.encoder.card.kinds import ARCHITECTURES

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    if architecture is not None and ARCHITECTURES[architecture["type"]].is_program:
        named += json.dumps(architecture, sort_keys=True)
    return hashlib.sha256(named.encode()).hexdigest()[:16]
