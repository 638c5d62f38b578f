"""``voiceguard bench encoders``: every encoder that is here, side by side on this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from voiceguard.cli.models.names import check_here
from voiceguard.cli.options import ConfigOption, JsonOption, RuntimeOption, StateDirOption
from voiceguard.cli.output import print_json, print_table, stderr, stdout
from voiceguard.cli.settings import configured
from voiceguard.cli.shell.values import encoders
from voiceguard.encoder.installed import installed_models
from voiceguard.encoder.library import shipped_models
from voiceguard.errors import ExitCode
from voiceguard.lab.bench.encoders import measure
from voiceguard.service.kit import installed_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.lab.bench.encoders import Measured, Place, Run


def bench_encoders(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Only these; all without.",
            autocompletion=encoders,
            show_default=False,
        ),
    ] = None,
    runtime: RuntimeOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> int:
    """Measure every shipped and installed encoder: speed per window, rolling, memory, start-up.

    On the CPU with one and two threads, and on CUDA where there is one; each in a process of its
    own, one after the other, on the runtime that is configured. Exits with 1 when one can't be
    measured.
    """
    settings = configured(config, state_dir=state_dir, runtime=runtime)
    directory = installed_in(settings)
    known = [*shipped_models(), *installed_models(directory)]
    chosen = [check_here(name, directory) for name in names or known]
    found: list[Measured] = []
    with stderr.status("") as status:

        def show(name: str, place: Place) -> None:
            status.update(f"{name}, {place}")

        for name in dict.fromkeys(chosen):
            found.append(measure(name, directory, settings.encoder.runtime, on_progress=show))
            if json_lines:
                print_json({**found[-1].as_dict(), "cores": os.cpu_count()})
    if not json_lines:
        _print(found)
    return ExitCode.FAILURE if any(each.fault for each in found) else ExitCode.OK


def _print(found: Sequence[Measured]) -> None:
    table = Table(
        title=f"milliseconds per window, median; {os.cpu_count()} cores",
        title_justify="left",
        box=None,
    )
    table.add_column("encoder", overflow="fold")
    table.add_column("on", no_wrap=True)
    for title in ("1 s", "2 s", "3 s", "RTF", "memory", "start"):
        table.add_column(title, justify="right", no_wrap=True)
    for each in found:
        for number, run in enumerate(each.runs):
            sizes = f"  {run.num_parameters / 1e6:.2f} M, {run.embedding_dim}, {run.runtime}"
            about = {0: each.name, 1: sizes}.get(number, "")
            table.add_row(about, *_cells(run))
    if any(each.runs for each in found):
        print_table(table)
        stdout.print(
            "[dim]below a name: parameters, dimensions, runtime; RTF: seconds of work per second "
            "of speech, windows as the daemon cuts them; start: Python, the runtime and the first "
            "embedding[/]"
        )
    for each in found:
        if each.fault:
            stderr.print(f"[bold red]fault:[/] {each.name}: {escape(each.fault)}", soft_wrap=True)


def _cells(run: Run) -> list[str]:
    windows = [run.window_ms.get(length) for length in ("1", "2", "3")]
    half = ", half" if run.precision == "half" else ""
    where = str(run.place).removeprefix("CPU, ")
    return [
        f"{where}{half}",
        *("-" if each is None else f"{each:.1f}" for each in windows),
        f"{run.rolling_rtf:.4f}",
        f"{run.memory_mb:.0f} MB",
        f"{run.start_up_s:.1f} s",
    ]
