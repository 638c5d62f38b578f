"""``voiceguard models info``: all that is known of one encoder."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from voiceguard.cli.models.show import print_card, print_known
from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption
from voiceguard.cli.output import print_json, stderr
from voiceguard.cli.settings import configured
from voiceguard.cli.shell.values import known_encoders
from voiceguard.encoder.foreign.catalogue import find_known
from voiceguard.encoder.installed import installed_models
from voiceguard.encoder.library import resolve_name
from voiceguard.errors import ExitCode
from voiceguard.service.encoder_check import examine
from voiceguard.service.kit import installed_in


def info(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|PATH]",
            help="A shipped, installed or published encoder, or a .safetensors file; the one in "
            "use without.",
            autocompletion=known_encoders,
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> int:
    """Show a model's card, and check its files: weights against hash, cohort, calibration.

    Exits with 1 when a file is damaged or does not belong to the others.
    """
    settings = configured(config, state_dir=state_dir, model=model)
    published = None if model is None else find_known(model)
    directory = installed_in(settings)
    chosen = resolve_name(settings.encoder.model, directory)
    if published is not None and chosen not in installed_models(directory):
        if json_lines:
            print_json(asdict(published))
        else:
            print_known(published)
        return ExitCode.OK
    known = examine(settings)
    if json_lines:
        print_json(known)
    else:
        print_card(known)
        for fault in known["faults"]:
            stderr.print(f"[bold red]fault:[/] {escape(fault)}", soft_wrap=True)
    return ExitCode.FAILURE if known["faults"] else ExitCode.OK
