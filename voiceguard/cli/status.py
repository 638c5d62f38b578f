"""``voiceguard status``: what a running daemon says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape

from voiceguard.cli.options import (
    ConfigOption,
    JsonOption,
    StateDirOption,
)
from voiceguard.cli.output import print_json, stdout
from voiceguard.cli.settings import configured
from voiceguard.control.client import ControlClient
from voiceguard.errors import ExitCode
from voiceguard.paths import state_dir as settled_state_dir

if TYPE_CHECKING:
    from collections.abc import Mapping

_WELL = {"listening", "disarmed"}


def status(
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> int:
    """Show what the running daemon is doing: state, streams, encoder, who is enrolled.

    Exits with 1 where none is running, or where it can accept nobody.
    """
    settings = configured(config, state_dir=state_dir)
    with ControlClient(settled_state_dir(settings.state_dir)) as daemon:
        told = daemon.call("status")
    if json_lines:
        print_json(told)
    else:
        _show(told)
    return int(ExitCode.OK if told["state"] in _WELL else ExitCode.FAILURE)


def _show(told: Mapping[str, Any]) -> None:
    style = "bold green" if told["state"] in _WELL else "bold red"
    reason = f": {escape(told['reason'])}" if told["reason"] else ""
    stdout.print(f"[{style}]{told['state']}[/]{reason}", soft_wrap=True)
    for name, stream in told["streams"].items():
        detail = f" ({escape(stream['detail'])})" if stream["detail"] else ""
        lost = stream["samples_lost"] + stream["samples_missed"]
        stdout.print(
            f"  [bold]{escape(name)}[/] {stream['state']}{detail}: {stream['speech_s']:.0f} s of "
            f"speech in {stream['segments']} segment(s)"
            + (f", [yellow]{lost} samples lost[/]" if lost else ""),
            soft_wrap=True,
        )
    encoder = told["encoder"]
    calibrated = "" if encoder["is_calibrated"] else ", [red]not calibrated[/]"
    stdout.print(f"  encoder {escape(encoder['name'])}{calibrated}", soft_wrap=True)
    speakers = ", ".join(map(escape, told["speakers"])) or "[yellow]nobody[/]"
    stdout.print(f"  enrolled: {speakers}", soft_wrap=True)
    for name, each in told["voiceprints"].items():
        if each.get("threshold") in {"lowered", "raised"}:
            shift = f"{each['threshold']} by {abs(each['shift_llr']):.1f}"
            stdout.print(f"  threshold of {escape(name)} {shift}: `voiceguard voiceprints adapt`")
    for name, why in told["refused"].items():
        stdout.print(f"  [red]refused[/] {escape(name)}: {escape(why)}", soft_wrap=True)
