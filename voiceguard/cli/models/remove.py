"""``voiceguard models remove``: an installed encoder goes."""

from __future__ import annotations

from typing import Annotated

import typer

from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption
from voiceguard.cli.output import print_json, stdout
from voiceguard.cli.settings import configured
from voiceguard.cli.shell.values import installed_encoders
from voiceguard.encoder import installed
from voiceguard.encoder.library import shipped_models
from voiceguard.errors import UsageError
from voiceguard.service.kit import installed_in


def remove(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="An installed encoder.", autocompletion=installed_encoders
        ),
    ],
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Delete an installed encoder. Neither the one in use nor one that is shipped."""
    settings = configured(config, state_dir=state_dir)
    if name == "default" or name in shipped_models():
        raise UsageError(
            f"{name} can't be removed: what is shipped with voiceguard goes with voiceguard",
            hint="`voiceguard models list` shows what is installed.",
        )
    if settings.encoder.model == name:
        raise UsageError(
            f"{name} is in use: the configuration names it",
            hint="Change encoder.model there first.",
        )
    installed.remove(name, installed_in(settings))
    if json_lines:
        print_json({"name": name, "removed": True})
    else:
        stdout.print(f"removed {name}; voiceprints made with it stay, and can't be used")
