"""The importable API: what ``from voiceguard import ...`` gives.

``guard`` holds what takes whole recordings, and the people; ``pushed`` what takes audio as the
caller has it. Both are the product's own path: the daemon's ear, judge and decisions.
"""

from __future__ import annotations

from voiceguard.api.guard import Guard, Person, Recording, listen, open_guard
from voiceguard.api.pushed import AsyncPushedStream, PushedStream

__all__ = [
    "AsyncPushedStream",
    "Guard",
    "Person",
    "PushedStream",
    "Recording",
    "listen",
    "open_guard",
]
