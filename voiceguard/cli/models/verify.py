"""``voiceguard models verify``: whether encoders still give what they gave."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from voiceguard.cli.models.names import check_here
from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption
from voiceguard.cli.output import print_json, stderr, stdout
from voiceguard.cli.settings import configured
from voiceguard.cli.shell.values import encoders
from voiceguard.encoder.installed import installed_models
from voiceguard.encoder.library import shipped_models
from voiceguard.errors import ExitCode
from voiceguard.service import encoder_check
from voiceguard.service.kit import installed_in


def verify(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="One encoder; all without.",
            autocompletion=encoders,
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> int:
    """Recompute the hashes of encoders, and the embedding that each gave when it was installed.

    The hash finds a changed file; the embedding finds a torch, an ONNX Runtime or a processor that
    computes something else from the same file. Exits with 1 when one is not intact.
    """
    settings = configured(config, state_dir=state_dir)
    known = (*shipped_models(), *installed_models(installed_in(settings)))
    all_intact = True
    for each in known if name is None else [check_here(name, installed_in(settings))]:
        with stderr.status(each):
            result = encoder_check.verify(each, settings)
        all_intact &= result.is_intact
        if json_lines:
            print_json(asdict(result))
            continue
        told = _told_golden(result.deviation) if result.is_intact else ""
        state = "[green]intact[/]" if result.is_intact else "[bold red]not verified[/]"
        stdout.print(f"{each}: {state}{told}", soft_wrap=True)
        if result.fault:
            stderr.print(f"[bold red]fault:[/] {escape(result.fault)}", soft_wrap=True)
        if result.hint:
            stderr.print(f"[bold]hint:[/] {escape(result.hint)}", soft_wrap=True)
    return ExitCode.OK if all_intact else ExitCode.FAILURE


def _told_golden(deviation: float | None) -> str:
    if deviation is None:
        return " by its hash (its card holds no embedding to compare with)"
    if deviation == 0:
        return ", and gives the very embedding that it gave then"
    return f", and gives the embedding that it gave then, to {deviation:.0e} of its largest entry"
