"""``voiceguard history``: the last decisions, and why they are what they are."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption
from voiceguard.cli.output import (
    format_llr,
    print_json,
    print_table,
    stderr,
    stdout,
    styled_outcome,
)
from voiceguard.cli.people.adapt import mark_decision
from voiceguard.cli.settings import configured
from voiceguard.cli.shell.values import people
from voiceguard.decisions.explain import explain
from voiceguard.decisions.history import History
from voiceguard.errors import StateError, UsageError
from voiceguard.paths import history_file
from voiceguard.paths import state_dir as find_state_dir
from voiceguard.types import Outcome
from voiceguard.validation.boundary import refusing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_View = TypeVar("_View")


def history(
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="Show so many decisions.")] = 20,
    speaker: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=people,
            help="Only those about this speaker (accepted or nearest).",
        ),
    ] = None,
    outcome: Annotated[Outcome | None, typer.Option(help="Only those with this outcome.")] = None,
    why: Annotated[
        str | None,
        typer.Option(metavar="ID|last", help="Explain one decision: its id, or the last one."),
    ] = None,
    mark: Annotated[
        tuple[str, str],
        typer.Option(
            metavar="ID right|wrong|NAME",
            show_default=False,
            help="Say that a decision was right, wrong, or who it was: moves that speaker's "
            "threshold within bounds (`voiceguard voiceprints adapt`).",
        ),
    ] = ("", ""),
    diagnostics: Annotated[
        bool, typer.Option("--diagnostics", help="Show what streams have lost instead, and where.")
    ] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Show the last decisions of the daemon, newest first, and why they were made.

    The history holds what was published: no audio and no embeddings.
    """
    settings = configured(config, state_dir=state_dir)
    store = History(history_file(find_state_dir(settings.state_dir)), settings.history)
    filters: dict[str, Any] = {"speaker": speaker and _named(speaker), "outcome": outcome}
    try:
        if mark != ("", ""):
            mark_decision(settings, _id_of(store, mark[0]), mark[1], json_lines=json_lines)
        elif diagnostics:
            _show_losses(store.diagnostics()[:last], json_lines=json_lines)
        elif why is None:
            nothing = "No decisions yet: `voiceguard run` makes them."
            if any(filters.values()) and store.recent(1):
                nothing = "No such decision: `voiceguard history` lists all."
            _show(store.recent(last, **filters), nothing, json_lines=json_lines)
        else:
            _explain(_find(store, why, filters), json_lines=json_lines)
    finally:
        store.close()


def _find(store: History, why: str, filters: dict[str, Any]) -> dict[str, Any]:
    found = next(iter(store.recent(1, **filters)), None) if why == "last" else store.find(why)
    if found is None:
        raise UsageError(
            "there is no decision yet that could be explained"
            if why == "last"
            else f"no decision in {store.path} has the id {why!r}, or several begin with it",
            hint="`voiceguard history` lists the decisions with their ids",
        )
    return found


def _id_of(store: History, which: str) -> str:
    return str(_find(store, which, {})["decision_id"]) if which == "last" else which


def _show(payloads: list[dict[str, Any]], nothing: str, *, json_lines: bool) -> None:
    if json_lines:
        for line in _understood(payloads, _explained):
            print_json(line)
        return
    if not payloads:
        stderr.print(nothing)
        return
    columns = ("time", "stream", "outcome", "speaker", "LLR", "speech", "why", "id")
    table = Table(*columns, box=None, padding=(0, 1, 0, 0))
    for row in _understood(payloads, _row):
        table.add_row(*row)
    print_table(table)
    stderr.print("`voiceguard history --why ID` explains one of them.", style="dim")


def _who(payload: dict[str, Any]) -> str:
    """By name; entries of earlier releases have the id alone."""
    if payload["speaker"]:
        return str(payload.get("speaker_name") or payload["speaker"])
    best = payload["scores"][0] if payload["scores"] else None
    return f"({best.get('name') or best['speaker']}?)" if best else "-"


def _row(payload: dict[str, Any]) -> list[str]:
    best = payload["scores"][0] if payload["scores"] else None
    moment = datetime.fromisoformat(payload["decided_at"]).astimezone()
    is_today = moment.date() == datetime.now().astimezone().date()
    return [
        f"{moment:%H:%M:%S}" if is_today else local_time(payload["decided_at"]),
        str(payload["stream"]),
        styled_outcome(payload["outcome"]),
        escape(_who(payload)),
        format_llr(best["llr"] if best else None),
        f"{payload['net_speech_s']:.1f} s",
        str(payload["reason"]).replace("_", " "),
        payload["decision_id"][:8],
    ]


def _explained(payload: dict[str, Any]) -> dict[str, Any]:
    return {**payload, "why": explain(payload)}


def _understood(
    payloads: list[dict[str, Any]], view: Callable[[dict[str, Any]], _View]
) -> Iterator[_View]:
    """Views of entries; one that is not what a decision looks like is told and left out."""
    for payload in payloads:
        try:
            with refusing(_called(payload), StateError):
                shown = view(payload)
        except StateError as error:
            stderr.print(f"left out: {error}", markup=False, soft_wrap=True)
            continue
        yield shown


def _called(payload: dict[str, Any]) -> str:
    return f"the entry {str(payload.get('decision_id'))[:40]!r} of the history"


def _show_losses(notes: list[dict[str, Any]], *, json_lines: bool) -> None:
    if json_lines:
        for note in notes:
            print_json(note)
        return
    if not notes:
        stderr.print("No stream has lost anything.")
        return
    table = Table("stream", "opened", "until", "lost", box=None)
    for row in _understood(notes, _losses):
        table.add_row(*row)
    print_table(table)


def _losses(note: dict[str, Any]) -> list[str]:
    return [
        str(note["stream"]),
        local_time(note["opened_at"]),
        local_time(note["noted_at"]),
        ", ".join(f"{name} {value}" for name, value in note.items() if name not in _ABOUT_NOTE),
    ]


_ABOUT_NOTE = {"stream", "opened_at", "noted_at"}


def _explain(payload: dict[str, Any], *, json_lines: bool) -> None:
    with refusing(_called(payload), StateError):
        text = explain(payload)
        headline = (
            f"{local_time(payload['decided_at'])} {styled_outcome(payload['outcome'])} "
            f"({payload['net_speech_s']:.1f} s of speech on {payload['stream']})"
        )
    if json_lines:
        print_json({**payload, "why": text})
        return
    stdout.print(headline)
    stdout.print(text, markup=False, soft_wrap=True)


def local_time(text: str) -> str:
    """A time of the wire as a person's clock shows it."""
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"


def _named(speaker: str) -> str:
    """The speaker whom a person calls so."""
    from voiceguard.voiceprints import speaker_id  # noqa: PLC0415 - brings ciphers along

    return speaker_id(speaker)
