"""``voiceguard service``: systemd starts the daemon, now and always."""

from __future__ import annotations

import subprocess
from typing import Annotated

import typer
from rich.markup import escape

from voiceguard.cli.options import ConfigOption, JsonOption
from voiceguard.cli.output import print_json, stdout
from voiceguard.cli.shell.values import people
from voiceguard.errors import ExitCode
from voiceguard.service.setup.units import Service

UserOption = Annotated[
    bool, typer.Option("--user", help="Of your own session, not of the machine.")
]


def install(user: UserOption = False, config: ConfigOption = None) -> None:
    """Let systemd run voiceguard, now and from every start on.

    Without --user it is the machine's own, for which it takes root: an account that exists only
    while it runs, a sandbox, /etc/voiceguard/voiceguard.toml, which is made of your settings
    where there is none. Waits until it listens.
    """
    service = Service(of_user=user)
    unit = service.install(config)
    stdout.print(f"[bold green]running[/], by {escape(str(unit))}", soft_wrap=True)
    stdout.print(f"`{service.log_command}` shows what it hears.")
    if not user:
        stdout.print("It has people of its own: `sudo voiceguard service enroll NAME`.")
    else:
        stdout.print("It ends when you log out, unless: `loginctl enable-linger`.")


def status(user: UserOption = False, json_lines: JsonOption = False) -> int:
    """Show whether the service is installed and runs. Exits with 1 where it does not."""
    told = Service(of_user=user).state()
    if json_lines:
        print_json(told)
    elif not told["installed"]:
        stdout.print(f"not installed: `voiceguard service install{' --user' if user else ''}`")
    else:
        style = "bold green" if told["active"] == "active" else "bold red"
        stdout.print(f"[{style}]{told['active']}[/], at the next start: {told['enabled']}")
        stdout.print(f"unit {escape(str(told['unit']))}", soft_wrap=True)
        stdout.print(f"log  `{told['log']}`; `voiceguard status` says what it is doing")
    return int(ExitCode.OK if told["active"] == "active" else ExitCode.FAILURE)


def uninstall(user: UserOption = False) -> None:
    """Stop the service and take it away. Voiceprints, history and configuration stay."""
    service = Service(of_user=user)
    if not service.uninstall():
        stdout.print("it was not installed")
    elif service.is_packaged:
        stdout.print("stopped, and starts no more; `sudo apt remove voiceguard` takes it away")
    else:
        stdout.print("removed; voiceprints, history and configuration are still there")


def enroll(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The speaker.", autocompletion=people)],
    user: UserOption = False,
) -> int:
    """Enroll a speaker for the service, as `voiceguard enroll` does: its account, key and state.

    The service is stopped meanwhile, because a microphone can be open once. Further options are
    those of `voiceguard enroll`.
    """
    service = Service(of_user=user)
    service.check()
    command = service.enrolling([name, *context.args])
    was_active = service.state()["active"] == "active"
    if was_active:
        service.stop()
    try:
        return subprocess.run(command, check=False).returncode  # noqa: S603 - voiceguard itself
    finally:
        if was_active:
            service.start()
