"""``voiceguard unlock status`` and ``reset``."""

from __future__ import annotations

import math
import os
import pwd
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption
from voiceguard.cli.output import print_json, print_table, stderr
from voiceguard.cli.settings import configured
from voiceguard.clock import SystemClock, elapsed_s
from voiceguard.errors import UsageError
from voiceguard.paths import state_dir as find_state_dir
from voiceguard.unlock.counters import moment_at
from voiceguard.unlock.records import Records

if TYPE_CHECKING:
    from voiceguard.settings import Settings
    from voiceguard.unlock.attempts import Attempts


def status(
    config: ConfigOption = None, state_dir: StateDirOption = None, json_lines: JsonOption = False
) -> None:
    """Show every action: whose voice it takes, failures in a row, and whether it is locked out."""
    settings = configured(config, state_dir=state_dir)
    actions = settings.unlock.actions
    if not actions:
        stderr.print(
            "The settings name no action: [unlock.actions.NAME] (docs/unlock.md).", markup=False
        )
        return
    counters = _records(settings).counters.read()
    rows = [
        {
            "action": name,
            "level": action.level,
            "speakers": list(action.speakers),
            "streams": list(action.streams),
            "p_fa": action.p_fa,
            **_standing(counters.of(name)),
        }
        for name, action in actions.items()
    ]
    if json_lines:
        for row in rows:
            print_json(row)
        return
    table = Table("action", "level", "speakers", "streams", "p_fa", "failures", "state", box=None)
    for row in rows:
        table.add_row(
            row["action"],
            row["level"],
            ", ".join(row["speakers"]),
            ", ".join(row["streams"]) or "any",
            f"{row['p_fa']:g}",
            str(row["failures"]),
            row["state"],
        )
    print_table(table)


def _standing(attempts: Attempts) -> dict[str, Any]:
    wait_s = attempts.wait_s(moment_at(elapsed_s(SystemClock())))
    state = "a request is open" if attempts.is_open else "ready"
    if wait_s > 0:
        is_off = math.isinf(wait_s)
        state = "off until reset" if is_off else f"locked out for {math.ceil(wait_s)} s"
    return {"failures": attempts.num_failures, "state": state}


def reset(
    actions: Annotated[
        list[str] | None, typer.Argument(metavar="ACTION...", show_default=False)
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every action, also where the counters are damaged.")
    ] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Forget the failures of an action, here on the daemon's machine: it may be tried again.

    Noted in the audit log. A running daemon need not be told.
    """
    settings = configured(config, state_dir=state_dir)
    records = _records(settings)
    if everything == bool(actions):
        raise UsageError("name actions, or --all", hint="`voiceguard unlock status` lists them")
    by = _own_name()
    if everything:
        records.begin_anew(by=by)
        stderr.print("Every action may be tried again.")
        return
    for name in actions or ():
        if name not in settings.unlock.actions:
            raise UsageError(
                f"there is no action {name!r}", hint="`voiceguard unlock status` lists them"
            )
    records.reset(tuple(actions or ()), by=by)
    stderr.print(f"{', '.join(actions or ())}: may be tried again.", markup=False)


def _own_name() -> str:
    """Whose process this is; a number where the machine has no name for it, as in a container."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _records(settings: Settings) -> Records:
    clock = SystemClock()
    return Records(find_state_dir(settings.state_dir), lambda: moment_at(elapsed_s(clock)))
