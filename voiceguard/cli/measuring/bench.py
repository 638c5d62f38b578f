"""``voiceguard bench``: speed on this machine, of the daemon or of encoders side by side."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.progress import Progress
from rich.table import Table

from voiceguard.audio.files import load_audio
from voiceguard.cli.measuring.bench_encoders import bench_encoders
from voiceguard.cli.options import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    RuntimeOption,
)
from voiceguard.cli.output import print_json, print_table, stderr
from voiceguard.cli.settings import configured
from voiceguard.cli.shell.help import HelpfulCommand, HelpfulGroup
from voiceguard.demo.scene import load_scene
from voiceguard.encoder.library import find_model
from voiceguard.lab.bench.daemon import as_dict, time_daemon, time_encoder
from voiceguard.service.kit import assemble, installed_in

if TYPE_CHECKING:
    from voiceguard.encoder.config import EncoderConfig
    from voiceguard.lab.bench.daemon import DaemonTiming, EncoderTiming
    from voiceguard.settings import Settings
    from voiceguard.types import EncoderInfo


app = typer.Typer(cls=HelpfulGroup, add_completion=False)


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    seconds: Annotated[
        float, typer.Option(min=15, help="How long to run the daemon, in real time.")
    ] = 90,
    config: ConfigOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    runtime: RuntimeOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Measure the encoder, and the whole daemon's latency, CPU time and memory.

    The daemon gets real-time audio on standard input (a third silence, a third speech without
    pauses, a third utterances) and publishes to mosquitto, or to the embedded broker where that
    is not installed. `bench encoders` compares encoders instead.
    """
    if context.invoked_subcommand is not None:
        return

    settings = configured(config, model=model, device=device, runtime=runtime)
    kit = assemble(settings)
    speech = np.concatenate([load_audio(take) for take in load_scene().takes])
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        progress.add_task("encoder", total=None)
        encoder = time_encoder(kit.encoder)
        tasks = {
            name: progress.add_task(name, total=1) for name in ("silence", "speech", "utterances")
        }
        daemon = asyncio.run(
            time_daemon(
                speech,
                seconds=seconds,
                encoder=_wherever(settings),
                on_progress=lambda name, done: progress.update(tasks[name], completed=done),
            )
        )
    if json_lines:
        print_json(
            {
                "encoder": kit.encoder.info.name,
                "runtime": kit.encoder.info.runtime,
                "cores": os.cpu_count(),
                "windows": [as_dict(timing) for timing in encoder],
                "daemon": as_dict(daemon),
            }
        )
    else:
        _print(kit.encoder.info, encoder, daemon)


def _wherever(settings: Settings) -> EncoderConfig:
    """The encoder by a path where it is installed: the measured daemon's state is elsewhere."""
    path = find_model(settings.encoder.model, installed_in(settings))
    is_ours = path.suffix == ".safetensors"
    return replace(settings.encoder, model=str(path)) if is_ours else settings.encoder


app.command("encoders", cls=HelpfulCommand)(bench_encoders)


def _print(info: EncoderInfo, windows: list[EncoderTiming], daemon: DaemonTiming) -> None:
    title = f"encoder {info.name} on {info.runtime}, one window"
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("window")
    table.add_column("median", justify="right")
    table.add_column("fastest", justify="right")
    for timing in windows:
        table.add_row(f"{timing.window_s:g} s", f"{timing.median_ms} ms", f"{timing.min_ms} ms")
    print_table(table)
    table = Table(
        title=f"daemon, {daemon.seconds:g} s in real time, broker {daemon.broker}, "
        f"{os.cpu_count()} cores",
        title_justify="left",
        show_header=False,
        box=None,
    )
    latency = (
        f"p50 {daemon.latency_p50_ms} ms, p99 {daemon.latency_p99_ms} ms "
        f"({daemon.num_decisions} decisions)"
    )
    for label, value in (
        ("start to ready", f"{daemon.start_to_ready_s} s"),
        ("last sample delivered to decision received", latency),
        ("CPU while somebody speaks", f"{daemon.cpu_speech_percent} % of one core"),
        ("CPU in silence", f"{daemon.cpu_silence_percent} % of one core"),
        ("resident memory, highest", f"{daemon.memory_mb} MB"),
    ):
        table.add_row(label, value)
    print_table(table)
