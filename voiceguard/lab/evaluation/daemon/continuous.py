"""A stretch of each speaker's continuous speech, to put two voices beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from voiceguard.lab.corpora.clips import Speech
    from voiceguard.lab.corpora.corpus import Recording

TURN_S = 4.0
"""Net speech of each of two people who take turns, or share a take; a take of one person has twice
as much."""
MAX_TAKES = 2
_KEPT_S = MAX_TAKES * 2 * TURN_S


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Continuous:
    """The beginning of a speaker's longest session."""

    about: Recording
    speech: Speech

    @classmethod
    def of(cls, about: Recording, speech: Speech) -> Self:
        """Keeps no more of it than is compared."""
        return cls(about=about, speech=speech.between(0, min(speech.net_s, _KEPT_S)))

    @property
    def has_turn(self) -> bool:
        """Whether it is long enough to take turns."""
        return self.speech.net_s >= TURN_S

    @property
    def turn(self) -> Speech:
        """What they say in one."""
        return self.speech.between(0, TURN_S)
