"""Reads weights that lie inside the package, whose hash the code knows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from voiceguard.errors import EncoderError
from voiceguard.validation.files import read_whole

if TYPE_CHECKING:
    from pathlib import Path

REINSTALL = "Reinstall voiceguard."


def read_shipped(path: Path, sha256: str, max_bytes: int) -> bytes:
    """All of the file, after checking its hash.

    Raises:
        EncoderError: It is missing, or not what was shipped.
    """
    try:
        content = read_whole(path, max_bytes)
    except OSError as error:
        raise EncoderError(
            f"{path} cannot be read: {error.strerror or error}", hint=REINSTALL
        ) from error
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise EncoderError(
            f"{path} is damaged: its sha256 is {found}, expected {sha256}", hint=REINSTALL
        )
    return content
