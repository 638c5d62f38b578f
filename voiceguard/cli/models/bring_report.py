"""What a person is told while an encoder is fetched, read and installed."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from voiceguard.cli.models.show import calibration_told
from voiceguard.cli.output import print_json, stderr, stdout
from voiceguard.encoder.library import shipped_calibration
from voiceguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.encoder.foreign.catalogue import KnownEncoder
    from voiceguard.encoder.foreign.imported import Imported


def show_licence(known: KnownEncoder, *, accepted: bool) -> None:
    """Says what may be done with it, before anything is fetched.

    Raises:
        UsageError: It must be accepted, and nobody is there to ask.
        typer.Abort: It is not accepted.
    """
    stderr.print(
        f"[bold]{escape(known.name)}[/] from {escape(known.source)}: licence "
        f"[bold]{escape(known.licence or 'not known')}[/]",
        soft_wrap=True,
    )
    if known.commercial_use is False:
        stderr.print("[yellow]Its licence does not allow commercial use.[/]")
    if accepted or not known.asks_for_consent:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            f"the licence of {known.name} ({known.licence or 'not known'}) must be accepted, and "
            "standard input is no terminal to ask on",
            hint="read it at its publisher's, then say so with --accept-licence",
        )
    typer.confirm("Have you read it, and will you keep to it?", abort=True, err=True)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar per file, on a terminal."""
    bars: dict[str, Any] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as progress:

        def update(name: str, done: int, total: int | None) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=total)
            progress.update(bars[name], completed=done)

        yield update


def say_found(format_name: str, imported: Imported) -> None:
    """The format, and what the reader made out."""
    stderr.print(f"format: {escape(format_name)}", soft_wrap=True)
    for sentence in imported.found:
        stderr.print(f"  {escape(sentence)}", soft_wrap=True)


def say_installed(card: ModelCard, *, json_lines: bool) -> None:
    """What it is called now, and whether it can decide."""
    if json_lines:
        print_json(
            {
                "name": card.name,
                "encoder_id": card.encoder_id,
                "format": card.origin_format,
                "licence": card.licence,
                "commercial_use": card.commercial_use,
                "num_parameters": card.num_parameters,
                "embedding_dim": card.architecture.embedding_dim,
                "source": card.source,
                "weights_sha256": card.weights_sha256,
                "is_calibrated": shipped_calibration(card.encoder_id) is not None,
            }
        )
        return
    stdout.print(f"installed [bold]{escape(card.name)}[/], encoder id {card.encoder_id}")
    stdout.print(calibration_told(card.encoder_id), markup=False)
    stdout.print(f"`voiceguard models use {card.name}` chooses it", markup=False)
