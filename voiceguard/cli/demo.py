"""``voiceguard demo``: a scene with an enrolled voice and strangers, decided while you watch."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from voiceguard.cli.options import JsonOption
from voiceguard.cli.output import print_json, stderr, stdout, styled_outcome
from voiceguard.demo.household import match, run_demo, summarise
from voiceguard.demo.scene import load_scene
from voiceguard.errors import ExitCode, install_command
from voiceguard.logs import LogConfig, configure_logging
from voiceguard.mqtt import embedded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from voiceguard.demo.household import Heard, Summary
    from voiceguard.demo.scene import Scene


_WITH_LATENCY = 80
"""Columns."""


def demo(
    fast: Annotated[
        bool, typer.Option("--fast", help="As fast as it goes, not in real time.")
    ] = False,
    json_lines: JsonOption = False,
) -> int:
    """Watch voiceguard work, without a microphone, in under a minute.

    Starts a broker, enrolls a synthetic voice, runs the daemon with its built-in settings over a
    scene in real time, and shows what was said and what an MQTT client was told. Leaves nothing
    behind. Exits with 1 if the enrolled voice was never accepted, or anybody else ever was.
    """
    configure_logging(LogConfig(level="error"))
    if not embedded.is_installed():
        stderr.print(
            "MQTT is left out, decisions come from the process itself; to have it, run: "
            + install_command("amqtt"),
            markup=False,
            soft_wrap=True,  # to be copied in one piece
        )
    scene = load_scene()
    show = _show_json if json_lines else _show_table
    summary = show(scene, is_paced=not fast)
    return int(ExitCode.OK if summary.is_success else ExitCode.FAILURE)


def _show_table(scene: Scene, *, is_paced: bool) -> Summary:
    stdout.print(
        f"Enrolling the synthetic voice [bold]{scene.display_name}[/] and starting the daemon; "
        f"then {scene.duration_s:.0f} s of scene{' in real time' if is_paced else ''}."
        f"{' The decisions come over MQTT.' if embedded.is_installed() else ''}\n"
    )
    heard: list[Heard] = []
    with Live(decision_table(scene, heard), console=stdout, auto_refresh=False) as live:

        def show(decision: Heard) -> None:
            heard.append(decision)
            live.update(decision_table(scene, heard), refresh=True)

        _run(scene, show, is_paced=is_paced)
        live.update(decision_table(scene, heard, is_over=True), refresh=True)
    summary = summarise(scene, heard)
    stdout.print(conclusion(scene, summary))
    return summary


def _show_json(scene: Scene, *, is_paced: bool) -> Summary:
    """One line per decision as it is received, and a last one that sums up."""
    heard: list[Heard] = []

    def show(decision: Heard) -> None:
        heard.append(decision)
        about = match(decision, scene.said)
        print_json(
            {
                "said": None if about is None else asdict(about),
                "latency_ms": round(decision.latency_ms, 1),
                "decision": decision.payload,
            }
        )

    _run(scene, show, is_paced=is_paced)
    summary = summarise(scene, heard)
    print_json(
        {
            "is_success": summary.is_success,
            "num_enrolled": summary.num_enrolled,
            "num_accepted": summary.num_accepted,
            "num_too_short": summary.num_too_short,
            "num_decisions": summary.num_decisions,
            "false_accepts": [each.payload["decision_id"] for each in summary.false_accepts],
            "latency_ms": summary.latency_ms,
        }
    )
    return summary


def _run(scene: Scene, on_heard: Callable[[Heard], None], *, is_paced: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="voiceguard-demo-") as folder:
        running = run_demo(scene, Path(folder), is_paced=is_paced, on_heard=on_heard)
        is_complete = asyncio.run(running)
    if not is_complete:
        raise typer.Abort


def decision_table(scene: Scene, heard: Sequence[Heard], *, is_over: bool = False) -> Table:
    """What was said, beside what was decided about it; fits a terminal of 80 columns.

    In a narrower one without the latencies, which `conclusion` sums up.
    """
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("s", justify="right")
    headers = ["who", "said", "decided", "LLR"]
    if stdout.width >= _WITH_LATENCY:
        headers.append("latency")
    for header in headers:
        table.add_column(header, no_wrap=header != "said")
    for item in scene.said:
        about = [decision for decision in heard if match(decision, scene.said) is item]
        finals = [decision for decision in about if decision.is_final]
        who = f"[bold]{escape(item.who)}[/]" if item.is_enrolled else escape(item.who)
        said = (f"{item.start_s:.0f}", who, escape(item.text))
        if not finals:
            table.add_row(*said, "[dim]no speech heard[/]" if is_over else "")
        early = (each.payload for each in about if each.is_accept and not each.is_final)
        first_accept = next(early, None)
        for decision in finals:
            table.add_row(*said, *_figures(decision, first_accept)[: len(headers) - 2])
            said, first_accept = ("", "", ""), None
    return table


def _figures(decision: Heard, first_accept: Mapping[str, Any] | None) -> tuple[str, str, str]:
    """Two lines each: outcome and reason, LLR and what was needed, latency and first accept."""
    payload = decision.payload
    why = payload["reason"].replace("_", " ")
    llr = "" if decision.llr is None else f"{decision.llr:+.1f}"
    needed = f"of {payload['accept_llr']:+.1f}" if llr and payload["accept_llr"] else ""
    after_s = first_accept["end_s"] - first_accept["start_s"] if first_accept else None
    return (
        f"{styled_outcome(payload['outcome'])}\n[dim]{why}[/]",
        f"{llr}\n[dim]{needed}[/]",
        f"{decision.latency_ms:.0f} ms\n"
        + ("" if after_s is None else f"[dim]accept at {after_s:.1f} s[/]"),
    )


def conclusion(scene: Scene, summary: Summary) -> str:
    """Two sentences and a verdict, as rich markup."""
    spoken = (
        f"{scene.display_name} spoke {summary.num_enrolled} times: {summary.num_accepted} "
        f"accepted, {summary.num_too_short} too short to judge. Anybody or anything else: "
        f"{len(summary.false_accepts)} accepted."
    )
    lines = ["", spoken]
    if summary.latency_ms is not None:
        median_ms, max_ms = summary.latency_ms
        figures = f"median {median_ms:.0f} ms, at most {max_ms:.0f} ms"
        lines.append(f"From the last sample needed to the decision received: {figures}.")
    if summary.is_success:
        lines.append("[bold green]It has worked.[/] Next: `voiceguard enroll YOUR-NAME`.")
    elif summary.false_accepts:
        lines.append("[bold red]It has failed: something was accepted that must not be.[/]")
    else:
        lines.append("[bold red]It has failed: the enrolled voice was never accepted.[/]")
    return "\n".join(lines)
