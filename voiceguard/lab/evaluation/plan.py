"""What an evaluation asks of speech: who is enrolled from how much, and what is tested how.

One plan for both readings, the daemon's and the encoders', so that they mean the same by a length
and a condition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voiceguard.lab.corpora.conditions import Clean

if TYPE_CHECKING:
    from voiceguard.lab.corpora.conditions import Condition

LENGTHS_S = (1.0, 2.0, 3.0, 5.0)
FULL = "full"
"""The length of an utterance as spoken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is tested."""

    num_enroll: int = 3
    """Utterances of one session that a voiceprint is made from."""
    lengths_s: tuple[float, ...] = LENGTHS_S
    """Net speech of the crops."""
    with_whole: bool = True
    """Whether utterances are tested whole as well; most of the work."""
    max_places: int = 3
    """In each session, from where crops of every length are taken."""
    conditions: tuple[Condition, ...] = (Clean(),)
    """How test speech arrives, clean first; enrollment is clean."""
    fitting: tuple[Condition, ...] = ()
    """Further ones, which the daemon's calibrations are fitted with and nothing is tested in."""
    cells: frozenset[tuple[str, str]] | None = None
    """Conditions and lengths that encoders are tested in; None: every length in every condition."""
    every_session: bool = False
    """Whether tests take sessions that are shorter than the longest crop, at the lengths that they
    have."""
    brief: tuple[str, ...] = ()
    """Those in which the daemon hears crops of one length only, and every second utterance whole,
    each utterance in half of them."""
    brief_length_s: float = 3.0
    seed: int = 0
    num_draws: int = 400
    """Of speakers, for the intervals of encoders' error rates."""

    def __post_init__(self) -> None:
        names = [condition.name for condition in (*self.conditions, *self.fitting)]
        if not self.conditions or len(set(names)) != len(names):
            raise ValueError(f"conditions must have a name each, not {names}")
        if min(self.num_enroll, self.max_places, self.num_draws) < 1:
            raise ValueError("num_enroll, max_places and num_draws must be at least 1")
        if not self.lengths_s or min(self.lengths_s) <= 0:
            raise ValueError(f"lengths_s must be positive, at least one, not {self.lengths_s}")

    @property
    def heard_by_daemon(self) -> tuple[Condition, ...]:
        """Clean, what is fitted with, what is tested."""
        return (self.conditions[0], *self.fitting, *self.conditions[1:])

    def is_tested(self, length: str, condition: str) -> bool:
        """Whether encoders are tested with this length in this condition."""
        return self.cells is None or (condition, length) in self.cells

    def is_left_out(self, length: str, condition: str, number: int) -> bool:
        """Whether the daemon need not hear a session's ``number``-th piece in a condition."""
        if condition not in self.brief or length == length_name(self.brief_length_s):
            return False
        return length != FULL or (number + self.brief.index(condition)) % 2 == 1


def length_name(length_s: float) -> str:
    """``3 s``."""
    return f"{length_s:g} s"
