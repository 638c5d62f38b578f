"""voiceguard: who is speaking, decided while they speak.

The importable API is small and loads torch only when it is used::

    import voiceguard

    guard = voiceguard.open_guard()              # the shipped encoder and your voiceprints
    guard.enroll("anna", ["a1.wav", "a2.wav", "a3.wav"], consent=True)
    decision = guard.verify("anna", "test.wav")
    print(decision.outcome, decision.scores[0].llr)

How the parts hang together is told in :mod:`voiceguard.pipeline.stream`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from voiceguard.decisions.result import Decision
from voiceguard.errors import VoiceguardError
from voiceguard.types import VERSION, Outcome, Reason

if TYPE_CHECKING:
    from voiceguard.api import Guard, listen, open_guard
    from voiceguard.encoder import load_encoder

__version__ = VERSION

__all__ = [
    "Decision",
    "Guard",
    "Outcome",
    "Reason",
    "VoiceguardError",
    "__version__",
    "listen",
    "load_encoder",
    "open_guard",
]

_LAZY = {
    "Guard": "voiceguard.api",
    "listen": "voiceguard.api",
    "load_encoder": "voiceguard.encoder",
    "open_guard": "voiceguard.api",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # whatever the module has under that name
    """Imports what needs torch at its first use (PEP 562)."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'voiceguard' has no attribute {name!r}")
