"""``voiceguard voiceprints migrate``: another encoder, and nobody has to read again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from voiceguard.cli.options import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    StateDirOption,
    VadOption,
)
from voiceguard.cli.output import print_json, print_table, stderr, stdout
from voiceguard.cli.settings import configured
from voiceguard.cli.shell.values import people
from voiceguard.enrollment.migration import Migrator
from voiceguard.errors import ExitCode
from voiceguard.service.kit import make_take_judge, open_encoder, open_store
from voiceguard.voiceprints import speaker_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.enrollment.migration import Migration
    from voiceguard.voiceprints.store import VoiceprintStore

_STYLES = {
    "migrated": "bold green",
    "would_migrate": "green",
    "current": "dim",
    "enroll_again": "bold yellow",
    "failed": "bold red",
}


def migrate(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Speakers; everybody without.",
            autocompletion=people,
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    partial: Annotated[
        bool,
        typer.Option(
            "--partial", help="Give up takes without audio where there is some of others."
        ),
    ] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    vad_backend: VadOption = None,
    json_lines: JsonOption = False,
) -> int:
    """Make voiceprints of an older encoder anew, from audio that was kept (`enroll --keep-audio`).

    Each old voiceprint stays until its new one is on disk. Exits with 1 when somebody must enroll
    again.
    """
    settings = configured(
        config, state_dir=state_dir, model=model, device=device, vad_backend=vad_backend
    )
    store = open_store(settings)
    speakers = list(dict.fromkeys(map(speaker_id, names) if names else store.names()))
    if not speakers:
        stderr.print("Nobody is enrolled: `voiceguard enroll NAME`.")
        return ExitCode.OK
    store.prepare()  # a missing key is said once
    for name in set(speakers) - set(store.names()):
        store.load(name)  # says who is there, before anything is done
    with stderr.status("loading the encoder"):
        loaded = open_encoder(settings)
    migrator = Migrator(store, make_take_judge(settings, loaded), allow_partial=partial)
    done = []
    try:
        for name in speakers:
            with stderr.status(f"{name}"):
                done.append(migrator.migrate(name, now=datetime.now(UTC), dry_run=dry_run))
            if json_lines:
                print_json(_payload(done[-1]))
    finally:  # Ctrl-C included: what is done is done, and is said
        if not json_lines and done:
            _print(done, store, loaded.info.encoder_id)
    return ExitCode.OK if all(each.is_well for each in done) else ExitCode.FAILURE


def _payload(migration: Migration) -> dict[str, Any]:
    return {
        "speaker": migration.speaker,
        "status": migration.status,
        "from_encoder_id": migration.encoder_id,
        "num_templates": migration.num_templates,
        "num_migrated": migration.num_migrated,
        "reason": migration.reason,
    }


def _print(migrations: Sequence[Migration], store: VoiceprintStore, encoder_id: str) -> None:
    table = Table("speaker", "", "takes", "from encoder", "why", box=None)
    for each in migrations:
        style = _STYLES[each.status]
        table.add_row(
            each.speaker,
            f"[{style}]{each.status.replace('_', ' ')}[/]",
            f"{each.num_migrated} of {each.num_templates}" if each.num_migrated else "-",
            escape(store.describe_encoder(each.encoder_id)) if each.encoder_id else "-",
            escape(each.reason),
        )
    print_table(table)
    for each in migrations:
        if each.hint:
            stdout.print(f"{each.speaker}: {escape(each.hint)}", soft_wrap=True)
    stdout.print(f"[dim]to encoder {escape(store.describe_encoder(encoder_id))}[/]")
