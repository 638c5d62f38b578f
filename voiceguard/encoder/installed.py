"""Encoders that were brought here: one directory each under ``<state directory>/models``.

::

    models/<name>/model.safetensors     weights, or model.onnx / model.pt: a program
                  model.json            the card, with the file's hash
    models/in-use                       the name that "default" means; absent: the shipped default

A directory appears whole or not at all (``installing``). Importing this module is cheap.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from voiceguard.encoder.card.kinds import ARCHITECTURES, WEIGHTS_NAME
from voiceguard.errors import StateError, UsageError
from voiceguard.paths import is_there, make_private_dir
from voiceguard.validation.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator


CARD_NAME = "model.json"


FILE_NAMES = tuple(dict.fromkeys(kind.file_name for kind in ARCHITECTURES.values()))


IN_USE_NAME = "in-use"


NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


_PARTIAL = ".importing-"
"""How a directory begins that is not a model yet, or no longer."""


def installed_models(models_dir: Path) -> list[str]:
    """Names of the models that are installed, sorted; whether they are intact is not asked."""
    cards = models_dir.glob(f"*/{CARD_NAME}") if is_there(models_dir) else ()
    return sorted(card.parent.name for card in cards if NAME.fullmatch(card.parent.name))


def installed_file(name: str, models_dir: Path) -> Path | None:
    """The weights or program of an installed model; None: there is no model of that name.

    The file itself may be missing (``model.safetensors`` is then named, for the error to name).
    """
    directory = models_dir / name
    if not NAME.fullmatch(name) or not is_there(directory / CARD_NAME):
        return None
    there = (directory / each for each in FILE_NAMES if is_there(directory / each))
    return next(there, directory / WEIGHTS_NAME)


_MAX_NAME_BYTES = 1024


def in_use(models_dir: Path) -> str | None:
    """The name that "default" means; None: the one that is shipped.

    Raises:
        StateError: The choice cannot be read.
    """
    try:
        chosen = read_regular(models_dir / IN_USE_NAME, _MAX_NAME_BYTES).decode().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise StateError(
            f"cannot read which encoder is in use, {models_dir / IN_USE_NAME}: {error}",
            hint="`voiceguard models use NAME` writes it anew.",
        ) from error
    return chosen or None


def remove(name: str, models_dir: Path) -> None:
    """Deletes an installed model with its cohort and calibration; what is left of one, too.

    Raises:
        UsageError: It is not installed, or it is the one in use.
        StateError: It cannot be deleted.
    """
    # Not by its card alone: a directory that has lost it would block the name for ever.
    if not NAME.fullmatch(name) or not (models_dir / name).is_dir():
        known = ", ".join(installed_models(models_dir)) or "none"
        raise UsageError(
            f"the model {name!r} is not installed here; installed: {known}",
            hint="`voiceguard models list` shows them.",
        )
    if in_use(models_dir) == name:
        raise UsageError(
            f"the model {name!r} is in use",
            hint="Choose another first: `voiceguard models use default`.",
        )
    with aside(models_dir) as doomed:  # out of sight in one step: nobody loads half of it
        (models_dir / name).rename(doomed / name)


@contextlib.contextmanager
def aside(models_dir: Path) -> Iterator[Path]:
    """A directory in ``models_dir`` that nobody looks into; what is left in it is deleted.

    One process at a time, so that what a killed one left behind can be deleted first.

    Raises:
        StateError: The directory cannot be written, here or by whoever uses it.
    """
    make_private_dir(models_dir)
    try:
        lock = os.open(models_dir, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise not_written(models_dir, error) from error
    partial = None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in models_dir.glob(f"{_PARTIAL}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=models_dir))
        yield partial
    except OSError as error:
        raise not_written(models_dir, error) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
        os.close(lock)


def not_written(models_dir: Path, error: OSError) -> StateError:
    """The error of a models directory that could not be written."""
    return StateError(
        f"cannot write to {models_dir}: {error.strerror or error}",
        hint="Free some space, mend its permissions, or choose another --state-dir.",
    )
