"""``voiceguard audit``: the log of what concerns locks."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from voiceguard.audit.log import AuditLog
from voiceguard.cli.history import local_time
from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption
from voiceguard.cli.output import print_json, print_table, stderr, stdout
from voiceguard.cli.settings import configured
from voiceguard.paths import audit_file, unlock_counters_file
from voiceguard.paths import state_dir as find_state_dir
from voiceguard.unlock.checking import check_audit

if TYPE_CHECKING:
    from pathlib import Path

_OWN = {"number", "at", "event", "previous"}


def show(
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="Show so many entries.")] = 20,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Show the last entries of the audit log, newest first."""
    log = AuditLog(audit_file(_state(config, state_dir)))
    entries = deque((entry for entry, _ in log.entries()), maxlen=last)
    if json_lines:
        for entry in reversed(entries):
            print_json(entry)
        return
    table = Table("number", "time", "event", "what", box=None)
    for entry in reversed(entries):
        table.add_row(
            str(entry["number"]), local_time(str(entry["at"])), str(entry["event"]), _about(entry)
        )
    print_table(table)


def _about(entry: dict[str, Any]) -> str:
    if entry["event"] == "policy_changed":
        return ", ".join(entry["policy"].get("actions", {})) or "no actions"
    names = ("action", "speaker", "stream", "failures", "seconds", "until", "why", "by", "takes")
    said = [f"{name} {entry[name]}" for name in names if name in entry]
    return ", ".join(said) or ", ".join(str(entry[name]) for name in entry.keys() - _OWN)


def verify(
    head: Annotated[
        str | None,
        typer.Option(
            metavar="HASH",
            help="A hash that this command printed before: its entry must still be there.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Check that no entry of the audit log was changed, removed or inserted.

    Prints the last entry's hash. Keep it elsewhere: whoever may write to the state directory could
    write the whole log anew, and only that hash would tell.
    """
    state = _state(config, state_dir)
    last = check_audit(AuditLog(audit_file(state)), unlock_counters_file(state), known_digest=head)
    if json_lines:
        print_json({"entries": last.number, "head": last.digest})
        return
    stderr.print(
        f"{last.number} entries, each follows from the one before it; the last one's hash:"
    )
    stdout.print(last.digest, soft_wrap=True)


def _state(config: Path | None, state_dir: Path | None) -> Path:
    return find_state_dir(configured(config, state_dir=state_dir).state_dir)
