"""What a person may mean by an encoder's name, and by a path to import, asked before the work."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from voiceguard.cli.models.show import how_to_get
from voiceguard.encoder.foreign import catalogue
from voiceguard.encoder.foreign.catalogue import find_known
from voiceguard.encoder.installed import installed_models
from voiceguard.encoder.library import check_name, resolve_name, shipped_models
from voiceguard.errors import UsageError
from voiceguard.paths import is_there
from voiceguard.validation.files import open_regular

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.encoder.foreign.catalogue import KnownEncoder


def check_here(name: str, directory: Path) -> str:
    """The name of the shipped or installed encoder that a person means.

    Args:
        name: As they said it; "default": the one in use.
        directory: Where installed encoders are.

    Raises:
        UsageError: There is none of that name here; says how to get it, where that is known.
    """
    here = (*shipped_models(), *installed_models(directory))
    chosen = resolve_name(name, directory)
    if chosen in here:
        return chosen
    if name == "default":
        raise UsageError(
            f"the encoder {chosen!r} was chosen, and it is not here any more",
            hint="`voiceguard models use default` goes back to the shipped one.",
        )
    if (known := find_known(name)) is not None:
        raise UsageError(f"{name} is published, and not installed here", hint=how_to_get(known))
    raise UsageError(
        f"there is no encoder {name!r} here; there are {', '.join(here)}",
        hint="`voiceguard models import` or `pull` brings others.",
    )


def free_name(name: str, directory: Path) -> str:
    """The name, before anything large is read or fetched for it.

    Raises:
        UsageError: A model can't be called that, or one is already.
    """
    if check_name(name) in installed_models(directory):
        raise UsageError(
            f"a model {name!r} is installed already",
            hint=f"`voiceguard models remove {name}`, or another name with --name.",
        )
    return name


def check_path(path: Path) -> None:
    """Tells apart what no reader can: nothing there, nothing in it, or ours already.

    Raises:
        UsageError: One of these.
    """
    if not is_there(path):
        raise UsageError(f"{path} does not exist", hint="check its name and directory")
    if path.is_dir() and not any(path.iterdir()):
        raise UsageError(f"the directory {path} is empty", hint="is it the right one?")
    if path.suffix == ".safetensors" and is_there(path.with_suffix(".json")):
        raise UsageError(
            f"{path} is in voiceguard's own form already, with its card beside it: there is "
            "nothing to import",
            hint=f'--model {path}, or model = "{path.resolve()}" under [encoder] in '
            "voiceguard.toml",
        )


def known_file(path: Path, name: str | None) -> KnownEncoder | None:
    """The encoder of the catalogue that this file of a wheel is, by its size and then its hash.

    Args:
        path: What is imported.
        name: What it is to be called: of two that come from the same file, the one of that name,
            else the first.
    """
    size = path.stat().st_size if path.is_file() else None
    of_size = [
        (known, known.wheel.sha256)
        for known in catalogue.CATALOGUE
        if known.wheel is not None and known.wheel.num_bytes == size
    ]
    if not of_size:
        return None
    with open_regular(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    found = [known for known, sha256 in of_size if sha256 == digest]
    return next((known for known in found if known.name == name), found[0] if found else None)


def name_of(path: Path) -> str:
    """A name that a model may have, out of a file's."""
    stem = path.resolve().name
    for suffix in (".nemo", ".onnx", ".pt", ".model", ".ckpt"):
        stem = stem.removesuffix(suffix)
    return re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:64] or "imported"
