"""voiceguard: who is speaking, decided while they speak.

The importable API is small and loads numpy and torch only when they are used::

    import voiceguard

    guard = voiceguard.open_guard()              # the shipped encoder and your voiceprints
    guard.enroll("anna", ["a1.wav", "a2.wav", "a3.wav"], consent=True)
    judgement = guard.verify("anna", "test.wav")
    print(judgement.outcome, judgement.scores[0].llr)

    with guard.stream() as stream:               # audio that you have yourself
        for decision in stream.feed(samples, sample_rate=48_000):
            print(decision.outcome, decision.speaker)

What your own tests can use instead of an encoder and weights is in :mod:`voiceguard.testing`.

How the parts hang together is told in :mod:`voiceguard.pipeline.stream`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from voiceguard.errors import VoiceguardError

if TYPE_CHECKING:
    from voiceguard.api import AsyncPushedStream, Guard, Person, PushedStream, listen, open_guard
    from voiceguard.decisions.result import Decision
    from voiceguard.encoder import load_encoder
    from voiceguard.types import VERSION as __version__  # noqa: N811 - what everybody asks for
    from voiceguard.types import Outcome, Reason

__all__ = [
    "AsyncPushedStream",
    "Decision",
    "Guard",
    "Outcome",
    "Person",
    "PushedStream",
    "Reason",
    "VoiceguardError",
    "__version__",
    "listen",
    "load_encoder",
    "open_guard",
]

_LAZY = {
    "AsyncPushedStream": "voiceguard.api:AsyncPushedStream",
    "Decision": "voiceguard.decisions.result:Decision",
    "Guard": "voiceguard.api:Guard",
    "Outcome": "voiceguard.types:Outcome",
    "Person": "voiceguard.api:Person",
    "PushedStream": "voiceguard.api:PushedStream",
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


def __dir__() -> list[str]:
    """The public names, for a person at a prompt."""
    return sorted(__all__)
