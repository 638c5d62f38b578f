"""Files that anybody may have made, read no further than any honest one is long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.errors import EncoderError
from voiceguard.validation.files import read_regular

if TYPE_CHECKING:
    from pathlib import Path


def read_limited(path: Path, max_bytes: int) -> bytes:
    """A file's content.

    Raises:
        EncoderError: It is missing, unreadable or larger.
    """
    try:
        content = read_regular(path, max_bytes + 1)
    except OSError as error:
        raise EncoderError(
            f"{path} cannot be read: {error.strerror}",
            hint="Mend its permissions, or fetch it again.",
        ) from error
    if len(content) > max_bytes:
        raise EncoderError(
            f"{path} has more than {max_bytes} bytes, which no such file needs",
            hint="Name the encoder's own file: this is something else.",
        )
    return content
