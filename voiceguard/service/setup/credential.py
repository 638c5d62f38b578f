"""The broker's password, where systemd hands it to the service and nobody else reads it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceguard.errors import StateError
from voiceguard.mqtt.guards.credentials import MAX_PASSWORD_BYTES
from voiceguard.validation.files import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

CREDENTIAL = Path("/run/credentials/voiceguard.service/voiceguard-mqtt")
"""As the service sees it, while it runs."""
_KEPT = "etc/credstore/voiceguard-mqtt"


def readable(root: Path, password_file: Path | None) -> Path | None:
    """The file as root reads it, whether the service runs or not."""
    return root / _KEPT if password_file == CREDENTIAL else password_file


def with_credential(
    root: Path, mqtt: Mapping[str, Any], password: str | None = None
) -> dict[str, Any]:
    """Keeps the password, and gives the [mqtt] table that names it.

    Args:
        root: Where the system's files are.
        mqtt: Perhaps with a ``password_file``.
        password: Typed; None: that file's, if there is one.

    Raises:
        StateError: It can't be read or written.
    """
    file = readable(root, Path(named) if (named := mqtt.get("password_file")) else None)
    try:
        if password is not None:
            text = f"{password}\n"
        elif file is not None:
            text = read_text(file, MAX_PASSWORD_BYTES)
        else:
            return dict(mqtt)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise StateError(
            f"cannot read {file}: {why}", hint="it is mqtt.password_file: correct that, or the file"
        ) from None
    write_whole(root / _KEPT, text, mode=0o600)
    return {**mqtt, "password_file": str(CREDENTIAL)}


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """All of it or nothing, in a folder that is made.

    Raises:
        StateError: It can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.new")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        partial.replace(path)
    except OSError as error:
        raise StateError(
            f"cannot write {path}: {error.strerror}", hint="is it yours to write?"
        ) from error
