"""Installs a model that a reader has read: written aside, tried once, then there as a whole.

In: an ``Imported`` of a reader. Out: files that ``loading.load_encoder`` loads without any foreign
format.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from voiceguard.encoder.card.kinds import ARCHITECTURES, ArchitectureKind
from voiceguard.encoder.installed import CARD_NAME, aside
from voiceguard.encoder.library import check_name
from voiceguard.errors import AudioError, EncoderError, UsageError
from voiceguard.paths import is_there
from voiceguard.validation.files import open_regular

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.encoder.foreign.imported import Imported


MAX_PROGRAM_BYTES = 2**31
"""A larger file is no speaker encoder: the largest known ones have 1.3 GB."""


def install(imported: Imported, name: str, models_dir: Path, *, trust: bool = False) -> ModelCard:
    """Writes a model that was read to ``models_dir/<name>`` with its card, and tries it once.

    Args:
        imported: What a reader found.
        name: What it is called from now on.
        models_dir: Made where it is missing.
        trust: The person knows that a TorchScript file is a program, and lets it run.

    Returns:
        The card as it was written, with hash, number of parameters and golden embedding.

    Raises:
        UsageError: The name is not free or not possible, or the program is not trusted.
        EncoderError: Tensors do not fit the architecture, or the model embeds nothing.
        StateError: The directory cannot be written.
    """
    check_name(name)
    kind = ARCHITECTURES[imported.architecture.TYPE]
    if kind.needs_trust and not trust:
        raise UsageError(
            f"{imported.program} is a program (TorchScript): it can do anything that you can do "
            "when it runs",
            hint="If you trust where it comes from: --trust. Its hash is stored and checked.",
        )
    with aside(models_dir) as partial:
        if is_there(models_dir / name):
            raise UsageError(
                f"a model {name!r} is installed already",
                hint=f"`voiceguard models remove {name}`, or choose another name with --name.",
            )
        card = _write(imported, name, kind, partial)
        partial.rename(models_dir / name)
    return card


def _write(imported: Imported, name: str, kind: ArchitectureKind, directory: Path) -> ModelCard:
    """Fills a directory."""
    from voiceguard.encoder.card import native  # noqa: PLC0415 - with its only use

    path = directory / kind.file_name
    card = card_of(imported, name, is_trusted=kind.needs_trust)
    if imported.network is not None:
        card = native.save(path, card, imported.network)
    elif imported.arrays is not None:
        card = native.save_arrays(path, card, imported.arrays)
    else:
        assert imported.program is not None
        card = replace(card, weights_sha256=_copy(imported.program, path))
        native.save_card(directory / CARD_NAME, card)
    card = tried(path, card)
    for written in directory.iterdir():
        _flush(written)
    return card


def card_of(imported: Imported, name: str, *, is_trusted: bool = False) -> ModelCard:
    """The card, before anything is known of the file that will be written.

    Raises:
        EncoderError: What was read contradicts itself.
    """
    from voiceguard.encoder.card.model_card import ModelCard  # noqa: PLC0415 - numpy, by its features

    facts = {
        entry.name: getattr(imported, entry.name)
        for entry in fields(imported)
        if entry.name not in {"network", "arrays", "program", "found"}
    }
    try:
        return ModelCard(name=name, is_trusted=is_trusted, **facts)
    except ValueError as error:
        raise EncoderError(
            f"{imported.origin_format} model {name!r}: {error}",
            hint="Correct its description, or fetch it again.",
        ) from error


def tried(path: Path, card: ModelCard) -> ModelCard:
    """Loads a model that was just written and completes its card, the file's too.

    Args:
        path: Of its weights or program, the card beside it.
        card: As it was written.

    Returns:
        The card with the golden embedding, which ``models verify`` compares later, and the number
        of parameters.

    Raises:
        EncoderError: It can't be loaded, or embeds nothing.
    """
    from voiceguard.encoder import golden  # noqa: PLC0415 - imports numpy
    from voiceguard.encoder.card import native  # noqa: PLC0415 - only here
    from voiceguard.encoder.loading import load_file  # noqa: PLC0415 - only here
    from voiceguard.encoder.runtimes import is_installed  # noqa: PLC0415 - numpy

    # torch, where it is, is what the other runtimes are held to.
    runtime = "torch" if is_installed("torch") else "auto"
    try:
        encoder = load_file(path, device="cpu", runtime=runtime)
        expected = golden.embedding(encoder)
    except AudioError as error:  # of our own signal, which every encoder can embed
        raise EncoderError(
            f"the model {card.name!r} gives no usable numbers for ordinary audio",
            hint="Its weights are damaged, or hold NaN; fetch them again.",
        ) from error
    num_parameters = card.num_parameters or encoder.info.num_parameters
    card = replace(card, golden=expected, num_parameters=num_parameters)
    native.save_card(native.card_path(path), card)
    return card


def _copy(program: Path, path: Path) -> str:
    """Copies a file of limited size; its sha256, of what was written."""
    import hashlib  # noqa: PLC0415 - together with its only use

    try:
        source = open_regular(program)
        size = os.fstat(source.fileno()).st_size
    except OSError as error:
        raise EncoderError(
            f"{program} cannot be read: {error.strerror}",
            hint="Mend its permissions, or fetch it again.",
        ) from error
    with source, path.open("wb") as target:
        if size > MAX_PROGRAM_BYTES:
            raise EncoderError(
                f"{program} has {size} bytes; at most {MAX_PROGRAM_BYTES} are read",
                hint="No speaker encoder is that large: is it the right file?",
            )
        shutil.copyfileobj(source, target)
    with path.open("rb") as copy:
        return hashlib.file_digest(copy, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """To the disk before the directory gets its name: a power cut leaves no empty files."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
