"""TorchScript files as archives: what can be known of one without running it.

A TorchScript file is a zip archive with the program's source under ``code/`` and its weights under
``data/``. It is a program: reading the archive is safe, running it is a matter of trust.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voiceguard.errors import EncoderError
from voiceguard.validation.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_MEMBERS = 20_000
MAX_UNPACKED_BYTES = 2**32
MAX_SOURCE_BYTES = 2**24

_RESTORE = "Restore the file from where you have it."


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A whole TorchScript file: every member's checksum is right."""

    path: Path
    source: bytes
    """Of all its modules and string constants, one after the other."""


def is_torchscript(path: Path) -> bool:
    """Whether it is a zip archive with TorchScript's members; nothing is unpacked."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return False
    return _has_code(names) and any(name.endswith("/constants.pkl") for name in names)


def read_archive(path: Path) -> Archive:
    """Checks every member against its checksum, and reads the source; runs nothing.

    Raises:
        EncoderError: Truncated, damaged, too large, or no TorchScript.
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            size = sum(member.file_size for member in members)
            if len(members) > MAX_MEMBERS or size > MAX_UNPACKED_BYTES:
                raise EncoderError(
                    f"{path} would unpack to {len(members)} members of {size} bytes together; "
                    f"at most {MAX_MEMBERS} and {MAX_UNPACKED_BYTES} are read",
                    hint="A speaker encoder is smaller; this may be meant to harm.",
                )
            if not _has_code([member.filename for member in members]):
                raise EncoderError(
                    f"{path} holds weights without a program: it is no TorchScript",
                    hint="Save the model by torch.jit.script or trace, or export it to ONNX.",
                )
            if damaged := archive.testzip():
                raise EncoderError(f"{path} is damaged in {damaged}", hint=_RESTORE)
            source = b"\n".join(_sources(archive, members))
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise EncoderError(
            f"{path} is truncated or damaged, or no TorchScript file: {error}", hint=_RESTORE
        ) from error
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror}", hint=_RESTORE) from error
    return Archive(path=path, source=source)


def _has_code(names: list[str]) -> bool:
    return any("/code/" in name and name.endswith(".py") for name in names)


def _sources(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> Iterator[bytes]:
    left = MAX_SOURCE_BYTES
    for member in members:
        is_source = "/code/" in member.filename and member.filename.endswith(".py")
        if is_source or member.filename.endswith(("/constants.pkl", "/data.pkl")):
            with archive.open(member) as file:
                content = file.read(left)
            left -= len(content)
            yield content
