"""``voiceguard doctor``: what is wrong with this installation, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from voiceguard.cli.credentials import without_credentials
from voiceguard.cli.options import (
    ConfigOption,
    JsonOption,
    PasswordFileOption,
    StateDirOption,
    UsernameOption,
    broker_option,
    overrides,
)
from voiceguard.cli.output import print_hanging, print_json, stdout
from voiceguard.errors import ExitCode
from voiceguard.logs import LogConfig, configure_logging
from voiceguard.service.checks.check import Status
from voiceguard.service.checks.doctor import examine

_INDENT = 22
_MARKS = {
    "ok": "[green]ok  [/]",
    "warn": "[yellow]warn[/]",
    "fail": "[bold red]fail[/]",
    "skip": "[dim]skip[/]",
}


def doctor(
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    broker: Annotated[
        str | None,
        broker_option("Broker to try instead."),
    ] = None,
    username: UsernameOption = None,
    password_file: PasswordFileOption = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Publish nothing: only connect to the broker.")
    ] = False,
    json_lines: JsonOption = False,
) -> int:
    """Check program, model, microphone, key, voiceprints and broker; say how to mend each.

    Changes nothing here and may run beside the daemon. At the broker it publishes, subscribes,
    retains and leaves a will as the daemon does, as CLIENT_ID-check on topics of its own, which it
    empties again. Exits with 1 if any check fails.
    """
    configure_logging(LogConfig(level="error"))
    mqtt = {"broker": broker, "username": username, "password_file": password_file}
    settings = {**overrides(state_dir=state_dir), "mqtt": mqtt}
    statuses = set()
    for check in examine(config, settings, is_read_only=read_only):
        statuses.add(check.status)
        detail, remedy = without_credentials(check.detail), without_credentials(check.remedy)
        if json_lines:
            print_json({**asdict(check), "detail": detail, "remedy": remedy})
            continue
        print_hanging(stdout, f"{_MARKS[check.status]} [bold]{check.name:16}[/]", detail, _INDENT)
        if remedy:
            print_hanging(stdout, "", f"to mend it: {remedy}", _INDENT)
    return int(ExitCode.FAILURE if Status.FAIL in statuses else ExitCode.OK)
