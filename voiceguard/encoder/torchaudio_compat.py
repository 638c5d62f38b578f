"""torchaudio, also where its compiled part cannot be loaded.

torchaudio's x86-64 wheels link CUDA and cannot be imported beside a CPU-only torch
(``libc10_cuda.so`` is missing), nor beside a torch built for another CUDA release. What voiceguard
uses of it (``transforms``, ``functional``, ``compliance.kaldi``) is pure Python. So if, and only
if, the ordinary import fails in the compiled part, ``torchaudio._extension``, whose only business
is to load that part, is replaced by a stand-in which says that it is not available, as torchaudio
itself says where it was built without. Tried with torchaudio 2.6, 2.8 and 2.11.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_EXTENSION = "torchaudio._extension"


def import_torchaudio() -> ModuleType:
    """Imports torchaudio; its Python functions work, the compiled ones raise when called.

    Raises:
        ImportError: torchaudio is not installed.
        OSError, RuntimeError: The import failed for a reason that is not its compiled part.
    """
    try:
        return importlib.import_module("torchaudio")
    except (OSError, RuntimeError) as error:
        # OSError: the linker; RuntimeError: torchaudio found two different CUDA releases.
        if "torchaudio" not in str(error).lower():
            raise
    sys.modules[_EXTENSION] = _MissingExtension(_EXTENSION)
    return importlib.import_module("torchaudio")


class _MissingExtension(ModuleType):
    """Answers what torchaudio's modules ask of ``_extension`` while they are imported."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a flag, a decorator or a loader
        if name.startswith("_IS_"):  # _IS_ALIGN_AVAILABLE, ...
            return False
        if name.startswith("fail_if_no_"):
            return _refuse
        if name.startswith("lazy_import_"):  # up to torchaudio 2.8
            return lambda: self
        if name == "is_available":
            return lambda: False
        raise AttributeError(f"module {_EXTENSION!r} has no attribute {name!r}")


def _refuse(function: Any) -> Any:  # noqa: ANN401 - a decorator of any function
    """Replaces a function that needs the compiled part by one that says so when called."""

    def refused(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError(
            f"torchaudio's {function.__name__} needs its compiled part, which does not fit the "
            "installed torch; install the torchaudio that belongs to it"
        )

    return refused
