"""Hop 6 of 6: who is speaking, as a state that never outlives the decision it rests on.

Pure: time comes in as an argument, in seconds that nobody sets (``clock.elapsed_s``). In: decisions
of all streams. Out: the set of speakers that are present, and what the latest decision said. An
identity ends with a final decision that says otherwise, with another speaker's accept on that
stream, with the hold time, or with ``clear`` (disarmed, unavailable).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voiceguard.decisions.wire import SCHEMA, iso_utc, judgement_payload
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from voiceguard.decisions.result import Decision


@dataclass(frozen=True, slots=True)
class _Latest:
    """One stream's latest verdict."""

    decision: Decision
    until_s: float


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
        self._latest: dict[str, _Latest] = {}
        """By stream, the newest last."""
        self._last_accepted: Decision | None = None

    def apply(self, decision: Decision, now_s: float) -> None:
        """Takes in a provisional accept or a final decision, made just now."""
        until_s = now_s + self._hold_s
        if decision.outcome is Outcome.ACCEPTED:
            if decision.speaker is None:
                return
            self._note(decision, until_s)
            self._last_accepted = decision
            self._holds[decision.stream] = _Hold(
                speaker=decision.speaker,
                segment=decision.segment,
                decision_id=decision.decision_id,
                until_s=until_s,
            )
        elif decision.is_final:
            self._note(decision, until_s)
            held = self._holds.get(decision.stream)
            if held is not None and _takes_back(decision, held):
                del self._holds[decision.stream]

    def _note(self, decision: Decision, until_s: float) -> None:
        self._latest.pop(decision.stream, None)
        self._latest[decision.stream] = _Latest(decision, until_s)

    def forget(self, speaker: str) -> None:
        """A removed speaker leaves no trace."""
        self._holds = {name: hold for name, hold in self._holds.items() if hold.speaker != speaker}
        self._latest = {
            stream: each
            for stream, each in self._latest.items()
            if each.decision.speaker != speaker
        }
        if self._last_accepted is not None and self._last_accepted.speaker == speaker:
            self._last_accepted = None

    def clear(self) -> None:
        """Nobody is present, and the latest verdict no longer stands."""
        self._holds, self._latest = {}, {}

    def expire(self, now_s: float) -> None:
        """Ends what has been held for long enough."""
        self._holds = {name: hold for name, hold in self._holds.items() if hold.until_s > now_s}
        self._latest = {name: each for name, each in self._latest.items() if each.until_s > now_s}

    def next_expiry_s(self) -> float | None:
        """When ``expire`` will next have something to do."""
        moments = [hold.until_s for hold in self._holds.values()]
        moments += [each.until_s for each in self._latest.values()]
        return min(moments, default=None)

    def until_s(self, speaker: str) -> float | None:
        """How long a speaker counts as present if nothing more is said; None: not present."""
        held = [hold.until_s for hold in self._holds.values() if hold.speaker == speaker]
        return max(held, default=None)

    @property
    def present(self) -> frozenset[str]:
        """The speakers who are there."""
        return frozenset(hold.speaker for hold in self._holds.values())

    def latest(self, stream: str | None = None) -> Decision | None:
        """The latest decision that still stands, on one stream or on any."""
        if stream is not None:
            each = self._latest.get(stream)
        else:
            each = next(reversed(self._latest.values()), None)
        return None if each is None else each.decision

    def payload(self) -> dict[str, Any]:
        """The ``speaker`` topic's JSON (topics.py), but for the name that people read."""
        latest, accepted = self.latest(), self._last_accepted
        return {
            "schema": SCHEMA,
            **verdict(latest),
            "stream": None if latest is None else latest.stream,
            "last_accepted": None if accepted is None else accepted.speaker,
            "last_accepted_at": None if accepted is None else iso_utc(accepted.decided_at),
            **_figures(latest),
        }


def verdict(decision: Decision | None) -> dict[str, Any]:
    """Who was accepted, if anybody, and when; all null without a decision."""
    if decision is None:
        return dict.fromkeys(("speaker", "outcome", "decision_id", "decided_at"))
    is_accepted = decision.outcome is Outcome.ACCEPTED
    return {
        "speaker": decision.speaker if is_accepted else None,
        "outcome": decision.outcome.value,
        "decision_id": decision.decision_id,
        "decided_at": iso_utc(decision.decided_at),
    }


def _figures(decision: Decision | None) -> dict[str, Any]:
    """Behind a decision, rounded as in its own message; all null without one."""
    names = ("accept_llr", "posterior", "p_target", "net_speech_s", "snr_db")
    if decision is None:
        return dict.fromkeys(("llr", *names))
    payload = judgement_payload(decision.judgement)
    llr = payload["scores"][0]["llr"] if payload["scores"] else None
    return {"llr": llr, **{name: payload[name] for name in names}}


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
