"""Encoders that were brought here: one directory each under ``<state directory>/models``.

::

    models/<name>/model.safetensors     weights, or model.onnx / model.pt: a program
                  model.json            the card, with the file's hash
    models/in-use                       the name that "default" means; absent: the shipped default

In: an ``Imported`` of a reader, or a name. Out: files that ``registry.load_encoder`` loads without
any foreign format. A directory appears whole or not at all. Importing this module is cheap.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from voiceguard.encoder.checkpoints.kinds import TRUST_NEEDED
from voiceguard.errors import AudioError, EncoderError, StateError, UsageError
from voiceguard.paths import is_there, make_private_dir

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voiceguard.encoder.checkpoints.card import ModelCard
    from voiceguard.encoder.checkpoints.imported import Imported

CARD_NAME = "model.json"
FILE_NAMES = ("model.safetensors", "model.onnx", "model.pt")
IN_USE_NAME = "in-use"

MAX_PROGRAM_BYTES = 2**31
"""A larger file is no speaker encoder: the largest known ones have 1.3 GB."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_RESERVED = frozenset({"default", "resemblyzer", IN_USE_NAME})
_PARTIAL = ".importing-"
"""How a directory begins that is not a model yet, or no longer."""


def check_name(name: str) -> str:
    """The name, if an installed model may have it.

    Raises:
        UsageError: It may not: its letters, or it is taken by a shipped model.
    """
    from voiceguard.encoder.registry import shipped_models  # noqa: PLC0415 - it imports this

    if not _NAME.fullmatch(name) or name.endswith((".safetensors", ".onnx", ".pt")):
        raise UsageError(
            f"a model cannot be called {name!r}: expected up to 64 of a-z, 0-9, '.', '_' and '-', "
            "a letter or digit first, and no file's ending",
            hint="Choose another with --name.",
        )
    if name in _RESERVED or name in shipped_models():
        raise UsageError(
            f"the name {name!r} belongs to voiceguard itself", hint="Choose another with --name."
        )
    return name


def installed_models(models_dir: Path) -> list[str]:
    """Names of the models that are installed, sorted; whether they are intact is not asked."""
    cards = models_dir.glob(f"*/{CARD_NAME}") if is_there(models_dir) else ()
    return sorted(card.parent.name for card in cards if _NAME.fullmatch(card.parent.name))


def installed_file(name: str, models_dir: Path) -> Path | None:
    """The weights or program of an installed model; None: there is no model of that name.

    The file itself may be missing (``model.safetensors`` is then named, for the error to name).
    """
    directory = models_dir / name
    if not _NAME.fullmatch(name) or not is_there(directory / CARD_NAME):
        return None
    there = (directory / each for each in FILE_NAMES if is_there(directory / each))
    return next(there, directory / FILE_NAMES[0])


def in_use(models_dir: Path) -> str | None:
    """The name that "default" means; None: the one that is shipped.

    Raises:
        StateError: The choice cannot be read.
    """
    try:
        chosen = (models_dir / IN_USE_NAME).read_text("utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise StateError(
            f"cannot read which encoder is in use, {models_dir / IN_USE_NAME}: {error}",
            hint="`voiceguard models use NAME` writes it anew.",
        ) from error
    return chosen or None


def use(name: str, models_dir: Path) -> None:
    """Makes "default" mean this model from now on; "default": the one that is shipped.

    Raises:
        UsageError: Neither shipped nor installed.
        StateError: It cannot be written.
    """
    from voiceguard.encoder.registry import shipped_models  # noqa: PLC0415 - it imports this

    known = ["default", *shipped_models(), *installed_models(models_dir)]
    if name not in known:
        raise UsageError(
            f"there is no model {name!r} to use: expected one of {', '.join(known)}",
            hint="`voiceguard models import` or `pull` brings one.",
        )
    path = models_dir / IN_USE_NAME
    try:
        if name == "default":
            path.unlink(missing_ok=True)
            return
        make_private_dir(models_dir)
        partial = models_dir / f".{IN_USE_NAME}"
        partial.write_text(f"{name}\n", "utf-8")
        partial.replace(path)
    except OSError as error:
        raise _not_written(models_dir, error) from error


def remove(name: str, models_dir: Path) -> None:
    """Deletes an installed model with its cohort and calibration; what is left of one, too.

    Raises:
        UsageError: It is not installed, or it is the one in use.
        StateError: It cannot be deleted.
    """
    # Not by its card alone: a directory that has lost it would block the name for ever.
    if not _NAME.fullmatch(name) or not (models_dir / name).is_dir():
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
    with _aside(models_dir) as doomed:  # out of sight in one step: nobody loads half of it
        (models_dir / name).rename(doomed / name)


def install(imported: Imported, models_dir: Path, *, trust: bool = False) -> ModelCard:
    """Writes a model that was read to ``models_dir/<its card's name>``, and tries it once.

    Args:
        imported: What a reader found.
        models_dir: Made where it is missing.
        trust: The person knows that a TorchScript file is a program, and lets it run.

    Returns:
        The card as it was written, with hash and golden embedding.

    Raises:
        UsageError: The name is not free or not possible, or the program is not trusted.
        EncoderError: Tensors do not fit the architecture, or the model embeds nothing.
        StateError: The directory cannot be written.
    """
    name = check_name(imported.card.name)
    needs_trust = imported.card.architecture.TYPE in TRUST_NEEDED
    if needs_trust and not trust:
        raise UsageError(
            f"{imported.program} is a program (TorchScript): it can do anything that you can do "
            "when it runs",
            hint="If you trust where it comes from: --trust. Its hash is stored and checked.",
        )
    with _aside(models_dir) as partial:
        if is_there(models_dir / name):
            raise UsageError(
                f"a model {name!r} is installed already",
                hint=f"`voiceguard models remove {name}`, or choose another name with --name.",
            )
        card = _write(replace(imported.card, is_trusted=needs_trust), imported, partial)
        partial.rename(models_dir / name)
    return card


@contextlib.contextmanager
def _aside(models_dir: Path) -> Iterator[Path]:
    """A directory in ``models_dir`` that nobody looks into; what is left in it is deleted.

    One process at a time, so that what a killed one left behind can be deleted first.

    Raises:
        StateError: The directory cannot be written, here or by whoever uses it.
    """
    make_private_dir(models_dir)
    try:
        lock = os.open(models_dir, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _not_written(models_dir, error) from error
    partial = None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in models_dir.glob(f"{_PARTIAL}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=models_dir))
        yield partial
    except OSError as error:
        raise _not_written(models_dir, error) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
        os.close(lock)


def _write(card: ModelCard, imported: Imported, directory: Path) -> ModelCard:
    """Fills a directory; the golden embedding comes from what was written, loaded again."""
    from voiceguard.encoder import golden  # noqa: PLC0415 - imports numpy
    from voiceguard.encoder.checkpoints import native  # noqa: PLC0415 - imports torch
    from voiceguard.encoder.registry import load_file  # noqa: PLC0415 - it imports this

    if imported.state is not None:
        path = directory / FILE_NAMES[0]
        network = native.build(card, imported.state, found_in=card.origin_format or card.name)
        card = native.save(path, card, network)
    else:
        assert imported.program is not None
        path = directory / f"model{'.onnx' if card.architecture.TYPE == 'onnx' else '.pt'}"
        card = replace(card, weights_sha256=_copy(imported.program, path))
        native.save_card(directory / CARD_NAME, card)
    try:
        encoder = load_file(path, device="cpu")
        expected = golden.embedding(encoder)
    except AudioError as error:  # of our own signal, which every encoder can embed
        raise EncoderError(
            f"the model {card.name!r} gives no usable numbers for ordinary audio",
            hint="Its weights are damaged, or hold NaN; fetch them again.",
        ) from error
    num_parameters = card.num_parameters or encoder.info.num_parameters
    card = replace(card, golden=expected, num_parameters=num_parameters)
    native.save_card(directory / CARD_NAME, card)
    for written in directory.iterdir():
        _flush(written)
    return card


def _copy(program: Path, path: Path) -> str:
    """Copies a file of limited size; its sha256, of what was written."""
    import hashlib  # noqa: PLC0415 - together with its only use

    try:
        size = program.stat().st_size
        if size > MAX_PROGRAM_BYTES:
            raise EncoderError(f"{program} has {size} bytes; at most {MAX_PROGRAM_BYTES} are read")
        source = program.open("rb")
    except OSError as error:
        raise EncoderError(f"{program} cannot be read: {error.strerror}") from error
    with source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
    with path.open("rb") as copy:
        return hashlib.file_digest(copy, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """To the disk before the directory gets its name: a power cut leaves no empty files."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _not_written(models_dir: Path, error: OSError) -> StateError:
    return StateError(
        f"cannot write to {models_dir}: {error.strerror or error}",
        hint="Free some space, mend its permissions, or choose another --state-dir.",
    )
