"""voiceguard: who is speaking, decided while they speak.

The importable API is small and loads numpy and torch only when they are used::

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

from voiceguard.errors import VoiceguardError

if TYPE_CHECKING:
    from voiceguard.api import Guard, listen, open_guard
    from voiceguard.decisions.result import Decision
    from voiceguard.encoder import load_encoder
    from voiceguard.types import VERSION as __version__  # noqa: N811 - what everybody asks for
    from voiceguard.types import Outcome, Reason

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
    "Decision": "voiceguard.decisions.result:Decision",
    "Guard": "voiceguard.api:Guard",
    "Outcome": "voiceguard.types:Outcome",
    "Reason": "voiceguard.types:Reason",
    "__version__": "voiceguard.types:VERSION",
    "listen": "voiceguard.api:listen",
    "load_encoder": "voiceguard.encoder:load_encoder",
    "open_guard": "voiceguard.api:open_guard",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # whatever the module has under that name
    """Imports what needs numpy or torch at its first use (PEP 562)."""
    if name in _LAZY:
        module, _, attribute = _LAZY[name].partition(":")
        return getattr(import_module(module), attribute)
    raise AttributeError(f"module 'voiceguard' has no attribute {name!r}")
