"""Requests that are under way, speech that was judged for one, and the daemon around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from voiceguard.types import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from voiceguard.decisions.result import Decision
    from voiceguard.scoring.policy import Verdict

NOT_JUDGED = frozenset(
    {
        *(Reason.TOO_SHORT, Reason.TOO_NOISY, Reason.MORE_THAN_ONE_VOICE, Reason.NO_VOICEPRINTS),
        *(Reason.UNCALIBRATED, Reason.AUDIO_LOST, Reason.OVERLOADED, Reason.INFERENCE_FAILED),
    }
)
"""Whatever the voice, this was no accept: no attempt at guessing one, then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """What the desk asks of the daemon around it. Event loop; nothing of it waits."""

    is_listening: Callable[[], bool]
    """Whether anybody could be accepted now."""
    enrolled: Callable[[], Iterable[str]]
    """The speakers in force."""
    judge_for: Callable[[Decision, str, float], Verdict]
    """What a final decision would have been for an action, at this ``p_fa`` or a lower one that
    counts."""
    send: Callable[[str, bytes, float], None]
    """Topic, payload and lifetime in seconds: to the broker, not retained, once."""


class Phase(Enum):
    """How far a request is."""

    OPENING = auto()
    """Being charged on disk."""
    OPEN = auto()
    """Listening for speech."""
    SETTLING = auto()
    """Its one attempt, or its end, is being noted."""


@dataclass(slots=True)
class OpenRequest:
    """One request of one lock."""

    action: str
    nonce: str
    arrived_s: float
    phase: Phase = Phase.OPENING
    opened_s: float = 0.0
    until_s: float = 0.0
    digits: str = ""
    """That must be said; empty: none."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Speech that was judged for a request."""

    request: OpenRequest
    decision: Decision
    verdict: Verdict


@dataclass(slots=True)
class DeskStatistics:
    """Counters since the start."""

    requests_opened: int = 0
    requests_refused: dict[str, int] = field(default_factory=dict)
    attempts_failed: int = 0
    envelopes: int = 0
