"""What may stand for an argument or option: the names that there are here, for completion.

Each function is named in the declaration of the option (``autocompletion=people``) and in
``completion.json``. Each takes what was typed so far, gives what may follow, and an empty list
where it can't look: a shell that completes shows no errors. Nothing slow is imported.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from voiceguard.errors import VoiceguardError
from voiceguard.paths import (
    COMMENTED_CONFIG,
    enrolled_in,
    find_config_file,
    models_dir,
    state_dir,
)
from voiceguard.validation.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_CONFIG_BYTES = 1 << 20
_TABLE = re.compile(r"(?:# )?\[+([\w.]+)\]+")
_SETTING = re.compile(r"(?:# )?(\w+) = ")


def people(incomplete: str) -> list[str]:
    """Everybody who is enrolled."""
    with contextlib.suppress(OSError):
        return _starting(incomplete, enrolled_in(_state()))
    return []


def encoders(incomplete: str) -> list[str]:
    """Shipped and installed encoders, and "default"."""
    from voiceguard.encoder.library import shipped_models  # noqa: PLC0415 - a few milliseconds

    return _starting(incomplete, ("default", *shipped_models(), *installed_encoders(incomplete)))


def installed_encoders(incomplete: str) -> list[str]:
    """Encoders that were brought here."""
    with contextlib.suppress(OSError):
        cards = models_dir(_state()).glob("*/model.json")
        return _starting(incomplete, (card.parent.name for card in cards))
    return []


def published_encoders(incomplete: str) -> list[str]:
    """Encoders that can be fetched."""
    from voiceguard.encoder.foreign.catalogue import CATALOGUE  # noqa: PLC0415 - likewise

    return _starting(incomplete, (known.name for known in CATALOGUE if not known.elsewhere))


def known_encoders(incomplete: str) -> list[str]:
    """Encoders that are here, and those that can be fetched."""
    return [*encoders(incomplete), *published_encoders(incomplete)]


def sources(incomplete: str) -> list[str]:
    """Microphones as ``device:NAME``, and the other kinds of source."""
    kinds = ["device", "file:", "stdin"]
    if not incomplete.startswith("device:"):
        return _starting(incomplete, kinds)
    return _starting(incomplete, (f"device:{name}" for name in _microphones()))


def microphones(incomplete: str) -> list[str]:
    """Microphones as ``device:NAME``."""
    return _starting(incomplete, ("device", *(f"device:{name}" for name in _microphones())))


def brokers(incomplete: str) -> list[str]:
    """How an address begins, and the two words that are none."""
    return _starting(incomplete, ("mqtt://", "mqtts://", "embedded", "none"))


def devices(incomplete: str) -> list[str]:
    """What an encoder may compute on."""
    return _starting(incomplete, ("auto", "cpu", "cuda"))


def detectors(incomplete: str) -> list[str]:
    """What may tell speech from other sound."""
    return _starting(incomplete, ("cascade", "energy", "silero"))


def runtimes(incomplete: str) -> list[str]:
    """What may compute an encoder."""
    return _starting(incomplete, ("auto", "torch", "onnx", "openvino"))


def languages(incomplete: str) -> list[str]:
    """Of the sentences that are read at an enrollment."""
    from voiceguard.cli.people.sentences import SENTENCES  # noqa: PLC0415 - likewise

    return _starting(incomplete, SENTENCES)


def settings_in(incomplete: str) -> list[str]:
    """Every setting as ``table.setting``, and the tables."""
    found, table = [], ""
    for line in COMMENTED_CONFIG.read_text("utf-8").splitlines():
        if heading := _TABLE.match(line):
            table = heading[1]
            found.append(table)
        elif setting := _SETTING.match(line):
            found.append(f"{table}.{setting[1]}" if table else setting[1])
    return _starting(incomplete, found)


VALUES: dict[str, Callable[[str], list[str]]] = {
    each.__name__: each
    for each in (
        *(people, encoders, installed_encoders, published_encoders, known_encoders),
        *(sources, microphones, brokers, devices, detectors, languages, runtimes),
        settings_in,
    )
}
"""By name, as ``completion.json`` refers to them."""


def _starting(incomplete: str, names: object) -> list[str]:
    assert hasattr(names, "__iter__")
    return list(dict.fromkeys(str(name) for name in names if str(name).startswith(incomplete)))


def _state() -> Path:
    chosen = ""
    with contextlib.suppress(VoiceguardError, OSError, ValueError, RecursionError):
        if (file := find_config_file()) is not None:
            text = read_regular(file, _MAX_CONFIG_BYTES).decode("utf-8-sig")
            chosen = str(tomllib.loads(text).get("state_dir", ""))
    return state_dir(chosen)


def _microphones() -> list[str]:
    from voiceguard.audio.devices import describe, import_sounddevice  # noqa: PLC0415

    with contextlib.suppress(Exception):  # whatever an audio server that is broken may do
        return [each.name for each in describe(import_sounddevice())]
    return []
