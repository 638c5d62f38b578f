"""What a speaker is asked before anything is recorded: a voiceprint, and perhaps its audio."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.markup import escape

from voiceguard.cli.output import stderr
from voiceguard.errors import UsageError


def confirmed(question: str) -> bool:
    """Asks until it is yes or no: an Enter by accident is neither, and ends nothing."""
    while True:
        answer = str(typer.prompt(f"{question} [y/n]", "", show_default=False, err=True))
        if answer.strip().lower()[:1] in {"y", "n"}:
            return answer.strip().lower()[:1] == "y"


def ask_consent(name: str, directory: Path, *, agreed: bool) -> datetime:
    """When the person agreed to a voiceprint.

    Raises:
        UsageError: Nobody is there to ask.
        typer.Abort: They don't agree.
    """
    if not agreed:
        if not sys.stdin.isatty():
            raise UsageError(
                "consent can't be asked here: standard input is no terminal",
                hint=f"if {name} agrees to be enrolled, say so with --yes",
            )
        stderr.print(
            f"voiceguard will keep a voiceprint of [bold]{name}[/]: numbers that describe the "
            f"voice, encrypted, in {escape(str(directory))}. Nothing leaves this machine, and "
            f"`voiceguard voiceprints remove {name}` deletes it."
        )
        if not confirmed(f"Does {name} agree?"):
            raise typer.Abort
    return datetime.now(UTC)


def ask_to_keep_audio(name: str, *, wanted: bool | None, agreed: bool) -> datetime | None:
    """When the person agreed to the audio being kept; None: it is not kept.

    Args:
        name: The speaker.
        wanted: What --keep-audio or --no-keep-audio said; None: neither was given.
        agreed: --yes, which speaks for the voiceprint and not for the audio: don't ask.
    """
    if wanted is None and not agreed and sys.stdin.isatty():
        stderr.print(
            "The audio of the takes can be kept too, encrypted beside the voiceprint, for one "
            f"purpose: when a better encoder comes, {name} need not read again. "
            f"`voiceguard voiceprints remove {name}` deletes it."
        )
        wanted = typer.confirm(f"Does {name} agree to that as well?", default=False, err=True)
    return datetime.now(UTC) if wanted else None
