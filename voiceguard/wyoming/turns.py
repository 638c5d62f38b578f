"""One turn with the assistant: what was decided of it, and what that makes of its transcript. Pure.

A turn has one speaker: whoever was accepted in it, where nobody else was heard who was accepted or
may not be, and no stretch of it sounded like nobody enrolled. Stretches that say nothing (too
short, say) change nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wyoming.asr import Transcript

from voiceguard.decisions.wire import rounded
from voiceguard.types import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wyoming.event import Event

    from voiceguard.decisions.result import Decision
    from voiceguard.wyoming.config import ProxyConfig

CONTEXT_KEY = "voiceguard"


@dataclass(slots=True)
class Turn:
    """What is known of a turn."""

    turn_id: str
    decisions: list[Decision] = field(default_factory=list)
    """Final ones, in their order."""
    is_decided: asyncio.Event = field(default_factory=asyncio.Event)
    """All that was heard of it is decided."""

    def verdict(self) -> Verdict:
        """Who speaks in it."""
        accepts = [each for each in self.decisions if each.outcome is Outcome.ACCEPTED]
        speakers = {each.speaker for each in accepts}
        is_disputed = len(speakers) > 1 or any(
            each.outcome is Outcome.UNKNOWN or each.reason is Reason.NOT_ALLOWED
            for each in self.decisions
        )
        if accepts and not is_disputed:
            return Verdict(turn_id=self.turn_id, outcome="accepted", decision=accepts[-1])
        if not self.decisions:
            return Verdict(turn_id=self.turn_id, outcome="no_speech", decision=None)
        if accepts:
            return Verdict(turn_id=self.turn_id, outcome="more_than_one_voice", decision=None)
        longest = max(self.decisions, key=lambda each: each.net_speech_s)
        return Verdict(turn_id=self.turn_id, outcome=str(longest.outcome), decision=longest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Who speaks in a turn."""

    turn_id: str
    outcome: str
    """``accepted``, ``rejected`` (recognised, and not allowed), ``unknown``, ``inconclusive``,
    ``more_than_one_voice`` or ``no_speech``."""
    decision: Decision | None
    """What it rests on."""

    @property
    def speaker(self) -> str | None:
        """The accepted one."""
        is_accept = self.outcome == Outcome.ACCEPTED and self.decision is not None
        return self.decision.speaker if is_accept and self.decision else None


def is_allowed(verdict: Verdict | None, config: ProxyConfig) -> bool:
    """Whether a gate lets a turn pass: never one without a verdict."""
    speaker = None if verdict is None else verdict.speaker
    return speaker is not None and (not config.allow or speaker in config.allow)


def tagged(transcript: Event, verdict: Verdict, prefix: str, names: Mapping[str, str]) -> Event:
    """The transcript with its speaker, everything else in it as it was.

    Args:
        transcript: The upstream's.
        verdict: Of its turn.
        prefix: Before the text of whoever was accepted.
        names: What people call the speakers.
    """
    text = str(transcript.data.get("text", ""))
    speaker = verdict.speaker
    if speaker is not None and text and prefix:
        name = names.get(speaker, speaker)
        text = prefix.replace("{speaker}", speaker).replace("{name}", name) + text
    context = transcript.data.get("context")
    context = {**context} if isinstance(context, dict) else {}
    context |= {"speaker": speaker, CONTEXT_KEY: _told(verdict)}
    event = Transcript(text=text, context=context).event()
    event.data = {**transcript.data, **event.data}
    return event


def emptied(transcript: Event | None = None) -> Event:
    """No words: Home Assistant ends the turn. The language stays."""
    language = None if transcript is None else transcript.data.get("language")
    return Transcript(text="", language=language if isinstance(language, str) else None).event()


def _told(verdict: Verdict) -> dict[str, Any]:
    told: dict[str, Any] = {"turn_id": verdict.turn_id, "outcome": verdict.outcome}
    if verdict.decision is not None:
        best = verdict.decision.scores[0] if verdict.decision.scores else None
        told["decision_id"] = verdict.decision.decision_id
        told["llr"] = None if best is None else rounded(best.llr, 3)
    return told
