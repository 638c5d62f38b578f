"""Hop 6 of 6: who is speaking, as a state that never outlives the decision it rests on.

Pure: time comes in as an argument, in seconds that nobody sets (``clock.elapsed_s``). In: decisions
of all streams. Out: the set of speakers that are present, and what the latest decision said. An
identity ends with a final decision that says otherwise, with another speaker's accept on that
stream, with the hold time, or with ``clear`` (disarmed, unavailable).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voiceguard.decisions.wire import SCHEMA, iso_utc
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from voiceguard.decisions.result import Decision


@dataclass(frozen=True, slots=True)
class _Hold:
    """One stream's accepted speaker."""

    speaker: str
    segment: int
    decision_id: str
    until_s: float


class Presence:
    """Occupancy per speaker over all streams, and the latest verdict."""

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._holds: dict[str, _Hold] = {}
        self._latest: Decision | None = None
        self._latest_until_s = 0.0
        self._last_accepted: Decision | None = None

    def apply(self, decision: Decision, now_s: float) -> None:
        """Takes in a provisional accept or a final decision, made just now."""
        until_s = now_s + self._hold_s
        if decision.outcome is Outcome.ACCEPTED:
            if decision.speaker is None:
                return
            self._latest = self._last_accepted = decision
            self._latest_until_s = until_s
            self._holds[decision.stream] = _Hold(
                speaker=decision.speaker,
                segment=decision.segment,
                decision_id=decision.decision_id,
                until_s=until_s,
            )
        elif decision.is_final:
            self._latest = decision
            self._latest_until_s = until_s
            held = self._holds.get(decision.stream)
            if held is not None and _takes_back(decision, held):
                del self._holds[decision.stream]

    def forget(self, speaker: str) -> None:
        """A removed speaker leaves no trace."""
        self._holds = {name: hold for name, hold in self._holds.items() if hold.speaker != speaker}
        if self._latest is not None and self._latest.speaker == speaker:
            self._latest = None
        if self._last_accepted is not None and self._last_accepted.speaker == speaker:
            self._last_accepted = None

    def clear(self) -> None:
        """Nobody is present, and the latest verdict no longer stands."""
        self._holds = {}
        self._latest = None

    def expire(self, now_s: float) -> None:
        """Ends what has been held for long enough."""
        self._holds = {name: hold for name, hold in self._holds.items() if hold.until_s > now_s}
        if self._latest_until_s <= now_s:
            self._latest = None

    def next_expiry_s(self) -> float | None:
        """When ``expire`` will next have something to do."""
        moments = [hold.until_s for hold in self._holds.values()]
        if self._latest is not None:
            moments.append(self._latest_until_s)
        return min(moments, default=None)

    def until_s(self, speaker: str) -> float | None:
        """How long a speaker counts as present if nothing more is said; None: not present."""
        held = [hold.until_s for hold in self._holds.values() if hold.speaker == speaker]
        return max(held, default=None)

    @property
    def present(self) -> frozenset[str]:
        """The speakers who are there."""
        return frozenset(hold.speaker for hold in self._holds.values())

    def payload(self) -> dict[str, Any]:
        """The ``speaker`` topic's JSON (topics.py)."""
        latest, accepted = self._latest, self._last_accepted
        was_accepted = latest is not None and latest.outcome is Outcome.ACCEPTED
        return {
            "schema": SCHEMA,
            "speaker": latest.speaker if latest is not None and was_accepted else None,
            "outcome": None if latest is None else latest.outcome.value,
            "stream": None if latest is None else latest.stream,
            "decision_id": None if latest is None else latest.decision_id,
            "decided_at": None if latest is None else iso_utc(latest.decided_at),
            "last_accepted": None if accepted is None else accepted.speaker,
            "last_accepted_at": None if accepted is None else iso_utc(accepted.decided_at),
        }


def _takes_back(decision: Decision, held: _Hold) -> bool:
    """Whether a final decision that accepts nobody ends what its stream holds.

    A clear no does. An inconclusive one (a cough) only where it is about the very speech that was
    accepted.
    """
    return (
        decision.outcome is not Outcome.INCONCLUSIVE
        or decision.segment == held.segment
        or decision.revokes == held.decision_id
    )
