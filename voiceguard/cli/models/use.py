"""``voiceguard models use``: another encoder from now on, and what that means for everything."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from voiceguard.cli.models.names import check_here
from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption
from voiceguard.cli.output import print_json, stderr, stdout
from voiceguard.cli.settings import configured
from voiceguard.cli.shell.values import encoders
from voiceguard.service.encoders import Choice, choose
from voiceguard.service.kit import installed_in


def use_model(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|default",
            help="An encoder that is installed or shipped.",
            autocompletion=encoders,
        ),
    ],
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Make the daemon and every command use this encoder; "default": the one that is shipped.

    Voiceprints of another encoder are refused by name until `voiceguard voiceprints migrate` or a
    new enrollment, and an encoder without a calibration decides nothing until `voiceguard
    calibrate`. A running daemon goes on with the old one until it is restarted.
    """
    settings = configured(config, state_dir=state_dir)
    if name != "default":
        name = check_here(name, installed_in(settings))
    choice = choose(settings, name)
    if choice.fault is not None:
        fault = escape(str(choice.fault))
        stderr.print(f"the voiceprints can't be looked at: {fault}", soft_wrap=True)
    if json_lines:
        print_json(_payload(choice))
        return
    stdout.print(f"in use: [bold]{escape(choice.name)}[/], encoder id {choice.encoder_id or '?'}")
    if choice.overruled_by is not None:
        stderr.print(
            f"[yellow]not yet:[/] the configuration names encoder.model = "
            f"{escape(repr(choice.overruled_by))}, which comes first",
            soft_wrap=True,
        )
    if not choice.is_calibrated:
        stderr.print(
            "it has no calibration: every decision is inconclusive (uncalibrated) until "
            "`voiceguard calibrate` made one; embeddings, scores and `voiceguard evaluate` work",
            soft_wrap=True,
        )
    for error in choice.refused.values():
        stderr.print(f"{escape(str(error))}: {escape(error.hint)}", soft_wrap=True)
    stderr.print("A daemon that is running goes on with the old one until it is restarted.")


def _payload(choice: Choice) -> dict[str, Any]:
    return {
        "name": choice.name,
        "encoder_id": choice.encoder_id,
        "is_calibrated": choice.is_calibrated,
        "other_voiceprints": [
            {"speaker": speaker, "reason": str(error), "hint": error.hint}
            for speaker, error in choice.refused.items()
        ],
        "overruled_by": choice.overruled_by,
    }
