"""What the daemon hears and what happens to it, in a person's words: a line each, no figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape

from voiceguard.audio.sources import parse_sources
from voiceguard.types import Outcome, Reason, SourceState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voiceguard.decisions.result import Decision
    from voiceguard.settings import Settings

_REASONS = {
    Reason.TOO_SHORT: "too short",
    Reason.TOO_NOISY: "too noisy to tell",
    Reason.HARDLY_SPEECH: "hardly a word: noise, perhaps",
    Reason.MORE_THAN_ONE_VOICE: "more than one voice",
    Reason.NO_VOICEPRINTS: "somebody; nobody is enrolled",
    Reason.UNCALIBRATED: "somebody; this encoder decides nothing before `voiceguard calibrate`",
    Reason.AUDIO_LOST: "a part of it was lost; say it again",
    Reason.OVERLOADED: "no time to look at it: this machine is too busy",
    Reason.INFERENCE_FAILED: "the encoder failed on it; -v shows why",
}


def heard(decision: Decision, names: Mapping[str, str]) -> str:
    """``Anna, sure (2.7 s)`` and the like, as rich markup.

    Args:
        decision: A final one.
        names: What speakers are called for people.
    """
    after_all = ", after all" if decision.revokes else ""
    return f"{_who(decision, names)}{after_all} [dim]({decision.net_speech_s:.1f} s)[/]"


def _who(decision: Decision, names: Mapping[str, str]) -> str:
    nearest = [escape(names.get(each.speaker, each.speaker)) for each in decision.scores[:2]]
    if decision.outcome is Outcome.ACCEPTED:
        speaker = str(decision.speaker)
        return f"[bold green]{escape(names.get(speaker, speaker))}[/], sure"
    if decision.outcome is Outcome.UNKNOWN:
        return "somebody I don't know"
    if decision.outcome is Outcome.REJECTED or decision.reason is Reason.NOT_ALLOWED:
        return _rejected(decision, nearest[0])
    if decision.reason is Reason.RUNNER_UP_TOO_CLOSE and len(nearest) > 1:
        return f"[yellow]{nearest[0]} or {nearest[1]}[/], can't tell which"
    if decision.reason in _REASONS or not nearest:
        return f"[dim]{_REASONS.get(decision.reason, str(decision.reason))}[/]"
    return f"[yellow]perhaps {nearest[0]}[/], not sure"


def _rejected(decision: Decision, nearest: str) -> str:
    if decision.reason is not Reason.NOT_ALLOWED:
        return f"not {nearest}"
    rule = f" [dim]by the rule {escape(decision.rule)}[/]" if decision.rule else ""
    return f"[yellow]{nearest}[/], not allowed{rule}"


def beginning(settings: Settings, names: Mapping[str, str]) -> list[str]:
    """What it listens to, where it says so, whom it knows; as rich markup, a line each."""
    sources = " and ".join(
        _SOURCES[spec.kind](spec.target) for spec in parse_sources(settings.audio.sources)
    )
    broker = settings.mqtt.place
    where = "" if broker == "none" else f", publishing to {escape(broker)}"
    lines = [f"Listening to {sources}{where}. Ctrl-C stops."]
    if names:
        *others, last = map(escape, names.values())
        known = f"{', '.join(others)} and {last}" if others else last
        lines.append(f"I know {known}.")
    else:
        lines.append("[yellow]Nobody is enrolled[/], so there is nobody to recognise yet. Do it")
        lines.append("in another terminal, this one notices: [bold]voiceguard enroll NAME[/]")
    return lines


_SOURCES: dict[str, Callable[[str], str]] = {
    "device": lambda name: f'the microphone "{escape(name)}"' if name else "the default microphone",
    "file": escape,
    "stdin": lambda _: "standard input",
}


# --- what happens ---------------------------------------------------------------------------

_QUIET = {"debug", "info"}
_ASIDE = {"event", "level", "timestamp", "hint", "exception", "logger"}


def happened(event: Mapping[str, Any]) -> str | None:
    """A log event as a sentence; None: nothing that a person waits for.

    Args:
        event: As structlog has it: ``event``, ``level`` and fields.
    """
    name = str(event["event"])
    if name in _EVENTS:
        return _EVENTS[name](event)
    if event.get("level") in _QUIET:
        return None
    told = next((str(event[key]) for key in ("error", "detail", "reason") if event.get(key)), "")
    fields = {key: value for key, value in event.items() if key not in _ASIDE and value}
    told = told or ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in fields.items())
    return f"warning: {name.replace('_', ' ')}{f': {told}' if told else ''}{_hint(event)}"


def _hint(event: Mapping[str, Any]) -> str:
    return f"\n  {event['hint']}" if event.get("hint") else ""


def _source_changed(event: Mapping[str, Any]) -> str | None:
    state, detail = event.get("state"), event.get("detail")
    if state in {SourceState.LISTENING, SourceState.STARTING, SourceState.ENDED}:
        return None
    return f"The microphone is {state}{f': {detail}' if detail else ''}."


def _health_changed(event: Mapping[str, Any]) -> str | None:
    state, reason = str(event.get("state")), event.get("reason")
    if state == "unavailable":
        return f"Nobody is recognised now: {reason}."
    return "Disarmed: it does not listen." if state == "disarmed" else None


def _rule_names_nobody(event: Mapping[str, Any]) -> str | None:
    """At the start it is why nobody is recognised, and said as that."""
    if event.get("level") != "warning":
        return None
    return f"{event.get('setting')} names {event.get('speaker')}, who is not enrolled any more."


_EVENTS: dict[str, Callable[[Mapping[str, Any]], str | None]] = {
    "source_changed": _source_changed,
    "health_changed": _health_changed,
    "broker_connected": lambda event: f"Connected to {event.get('address')}.",
    "broker_connection_failed": lambda event: (
        f"Not connected to {event.get('address')}: {event.get('detail')}. It is tried again; "
        f"meanwhile decisions are only shown here.{_hint(event)}"
    ),
    "voiceprints_unreadable": lambda event: f"Nobody can be recognised: {event.get('error')}",
    "rule_names_nobody": _rule_names_nobody,
    "embedded_broker_started": lambda event: (
        f"A broker of its own is at {event.get('address')}, without a password: for first runs."
    ),
    "command_received": lambda event: f"Told to {event.get('command')}.",
}
