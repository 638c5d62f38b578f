"""The screen's lines: the model in words and bars, as rich text."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from voiceguard.cli.listening.words import heard
from voiceguard.types import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voiceguard.cli.monitor.model import Guess, Monitor, StreamView

QUIETEST_DB, LOUDEST_DB = -70.0, -10.0
"""The ends of the level's bar."""
SURE, PERHAPS = 0.9, 0.5
MOST_PERCENT = 99
_BLOCKS = " ▏▎▍▌▋▊▉█"


def bar(share: float, columns: int) -> str:
    """A bar of eighths of a column, padded to its full width."""
    eighths = round(8 * columns * min(max(share, 0.0), 1.0))
    full, rest = divmod(eighths, 8)
    drawn = "█" * full + (_BLOCKS[rest] if rest else "")
    return drawn.ljust(columns)


def headline(monitor: Monitor) -> str:
    """State, and whom it knows."""
    style = {"listening": "bold green", "disarmed": "bold yellow"}.get(monitor.state, "bold red")
    state = monitor.state
    names = ", ".join(escape(name) for name in monitor.speakers.values())
    known = f"knows {names}" if names else "[yellow]nobody is enrolled: voiceguard enroll NAME[/]"
    reason = f" [red]{escape(monitor.reason)}[/]" if monitor.reason else ""
    if not monitor.encoder:
        return f"[{style}]{state}[/]{reason}"
    uncalibrated = "" if monitor.is_calibrated else " [red](not calibrated: decides nothing)[/]"
    return f"[{style}]{state}[/]{reason}  {known}  [dim]{escape(monitor.encoder)}[/]{uncalibrated}"


def stream_lines(name: str, stream: StreamView, monitor: Monitor, columns: int) -> list[str]:
    """Two lines: the level with the gate, and who it is as far as it was heard."""
    if stream.state != "listening":
        detail = f": {escape(stream.detail)}" if stream.detail else ""
        return [f"[bold]{escape(name)}[/]  [yellow]{escape(stream.state)}{detail}[/]", ""]
    share = (stream.level_db - QUIETEST_DB) / (LOUDEST_DB - QUIETEST_DB)
    style = "green" if stream.is_speech else "dim"
    gate = "speech" if stream.is_speech else "quiet"
    width = max(columns - len(name) - 12, 4)
    level = f"[bold]{escape(name)}[/]  [{style}]{bar(share, width)}[/]  [{style}]{gate}[/]"
    return [level, f"  {_guessed(stream.guess, monitor)}"]


def _guessed(guess: Guess | None, monitor: Monitor) -> str:
    if guess is None:
        return ""
    name, so_far = (
        escape(monitor.name_of(guess.speaker)),
        f"[dim]({guess.speech_s:.1f} s so far)[/]",
    )
    if guess.p_speaker is None:
        return f"nearest to {name} {so_far}"
    percent = min(round(100 * guess.p_speaker), MOST_PERCENT)  # no look at scores is a certainty
    sure = f"[dim]{bar(guess.p_speaker, 10)}[/] {percent} %"
    if guess.p_speaker >= SURE:
        return f"sounds like [bold]{name}[/]  {sure} {so_far}"
    if guess.p_speaker >= PERHAPS:
        return f"perhaps {name}  {sure} {so_far}"
    return f"nobody I know so far  [dim]nearest {name}[/] {sure} {so_far}"


def decision_line(payload: Mapping[str, Any], monitor: Monitor) -> str:
    """``21:04:05  kitchen: Anna, sure (2.7 s)``."""
    spoken = SimpleNamespace(
        outcome=Outcome(payload["outcome"]),
        reason=Reason(payload["reason"]),
        speaker=payload["speaker"],
        revokes=payload.get("revokes"),
        rule=payload.get("rule"),
        net_speech_s=payload["net_speech_s"],
        scores=[SimpleNamespace(speaker=each["speaker"]) for each in payload["scores"]],
    )
    at = datetime.fromisoformat(payload["ended_at"]).astimezone()
    words = heard(spoken, monitor.speakers)  # type: ignore[arg-type]  # the same attributes
    return f"[dim]{at:%H:%M:%S}[/]  {escape(payload['stream'])}: {words}"


def losses(monitor: Monitor) -> str:
    """What was lost, in seconds where it is known."""
    said = []
    for name, stream in monitor.streams.items():
        seconds = sum(stream.lost.get(key, 0.0) for key in ("overflow_s", "outage_s"))
        samples = sum(stream.lost.get(key, 0.0) for key in ("samples_lost", "samples_missed"))
        parts = [f"{seconds:.1f} s"] if seconds else []
        parts += [f"{samples:.0f} samples"] if samples else []
        if dropped := stream.lost.get("segments_dropped"):
            parts.append(f"{dropped:.0f} stretches of speech not looked at")
        if parts:
            said.append(f"{escape(name)} {' and '.join(parts)}")
    lost = f"[yellow]lost: {'; '.join(said)}[/]" if said else "[dim]nothing lost[/]"
    late = f"  [yellow]{monitor.num_dropped} events not shown[/]" if monitor.num_dropped else ""
    return lost + late
