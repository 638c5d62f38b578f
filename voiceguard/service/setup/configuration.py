"""Writes the configuration that a person's answers make; whatever else stands in it stays.

Comments, order and unknown spacing are kept. The new file is checked as the daemon would before it
takes the old one's place, together with the password beside it: both, or neither.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from voiceguard.errors import ConfigError, StateError
from voiceguard.paths import COMMENTED_CONFIG, own_config_file
from voiceguard.settings import load_settings
from voiceguard.validation.files import read_text
from voiceguard.validation.parsing import MAX_BYTES
from voiceguard.voiceprints.durable import replace_durably

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voiceguard.settings import Settings

PASSWORD_NAME = "mqtt-password"  # noqa: S105  # nosec B105  # of the file
_READABLE = 0o644
_HEAD = f"""\
# Written by `voiceguard setup`, which keeps what you change. Every other setting, with its default
# and its meaning: {COMMENTED_CONFIG}
"""

Changes = dict[str, dict[str, Any]]
"""Settings by table, "" for those in none; None takes one out."""


def config_to_write(config: Path | None) -> Path:
    """The file that was named, by option or ``VOICEGUARD_CONFIG``, else the user's own."""
    if config is not None:
        return config
    named = os.environ.get("VOICEGUARD_CONFIG")
    return Path(named) if named else own_config_file()


def check_writable(path: Path) -> None:
    """Before anybody is asked anything.

    Raises:
        StateError: The file could not be written in the end.
    """
    existing = next(each for each in (path, *path.parents) if os.path.lexists(each))
    may = os.W_OK if existing.is_file() else os.W_OK | os.X_OK
    folder = path.parent if path.parent.is_dir() else existing
    why = ""
    if path.is_dir():
        why = "it is a directory"
    elif existing != path and not existing.is_dir():
        why = f"{existing} is no directory"
    elif not os.access(existing, may) or not os.access(folder, os.W_OK | os.X_OK):
        why = f"{existing} is not yours to write"
    if why:
        raise StateError(
            f"cannot write the configuration {path}: {why}",
            hint="name another file with --config",
        )


def edited(text: str, changes: Mapping[str, Mapping[str, Any]]) -> str:
    """The TOML with these settings, and all the rest as it was.

    Raises:
        ConfigError: It is no TOML, or something else stands where a table is expected.
    """
    try:
        document = tomlkit.parse(text)
        for name, settings in changes.items():
            is_there = not name or name in document
            if not is_there and all(value is None for value in settings.values()):
                continue
            if not is_there:
                document[name] = tomlkit.table()
            table: Any = document[name] if name else document
            for key, value in settings.items():
                if value is not None:
                    table[key] = value
                elif key in table:
                    del table[key]
        return tomlkit.dumps(document)
    except (TOMLKitError, TypeError, ValueError) as error:
        raise ConfigError(f"the configuration is no TOML: {error}", hint="correct it") from error


def write_config(path: Path, changes: Changes, *, password: str | None = None) -> Settings:
    """Writes the file, and the password beside it; both are there in the end, or nothing is new.

    Args:
        path: Of the configuration; need not exist.
        changes: What it says from now on.
        password: Goes into ``mqtt-password`` beside it, 0600, which ``mqtt.password_file`` names.

    Returns:
        The settings as they are now.

    Raises:
        ConfigError: The file would not be right; it stays as it was.
        StateError: It can't be written.
    """
    try:
        old = read_text(path, MAX_BYTES) if path.exists() else _HEAD
        mode = path.stat().st_mode & 0o777 if path.exists() else _READABLE
        if password is not None:
            secret = path.with_name(PASSWORD_NAME)
            mqtt = {**changes.get("mqtt", {}), "password_file": str(secret.absolute())}
            changes = {**changes, "mqtt": mqtt}
        new = edited(old, changes)
        _check(new)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        secrets = [] if password is None else [(secret, f"{password}\n".encode())]
        replace_durably(*secrets, (path, new.encode()))
        path.chmod(mode)
    except OSError as error:
        raise StateError(
            f"cannot write the configuration {path}: {error.strerror}",
            hint="name another file with --config",
        ) from error
    return load_settings(path)


def _check(text: str) -> None:
    with tempfile.TemporaryDirectory(prefix="voiceguard-") as folder:
        trial = Path(folder) / "voiceguard.toml"
        trial.write_text(text, "utf-8")
        load_settings(trial)
