"""``voiceguard train``: speech in, an encoder out."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceguard.cli.measuring.corpora import show_progress, tell_skips
from voiceguard.cli.options import DeviceOption, JsonOption
from voiceguard.cli.output import print_json, stderr, stdout
from voiceguard.errors import InterruptedRunError, StateError, install_command
from voiceguard.lab.corpora.corpus import read_corpus, refuse_held_back, together
from voiceguard.lab.stopping import stopped_by_signal
from voiceguard.lab.training.config import DRAWN
from voiceguard.lab.training.hardware import find_hardware
from voiceguard.lab.training.inputs import Inputs, Schedule
from voiceguard.lab.training.plots import can_plot, plot_progress
from voiceguard.lab.training.recipe import recipe
from voiceguard.lab.training.run import Run
from voiceguard.lab.training.students.campplus import TunedCamPlusPlus
from voiceguard.lab.training.students.kept import keep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voiceguard.lab.training.students.kept import Kept
    from voiceguard.lab.training.trainer import Progress


def _print_recipe(context: typer.Context, is_wanted: bool) -> None:
    if is_wanted:
        print_json(recipe([], tuned=context.params.get("tune")).to_json())
        raise typer.Exit


def train(
    directories: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR...",
            help="A folder per speaker, a manifest CSV, or a folder with one in or above it; "
            "several are taken together.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The run's folder; the model gets its name.")],
    noise: Annotated[
        Path | None,
        typer.Option(help="Noise to train with: a folder or a manifest.", show_default=False),
    ] = None,
    rir: Annotated[
        Path | None,
        typer.Option(
            help="Measured room responses, beside the simulated ones.", show_default=False
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Only this split of the manifests.", show_default=False),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            help="A model to begin with instead of random weights: fine-tuning.",
            show_default=False,
        ),
    ] = None,
    tune: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            is_eager=True,  # --show-recipe looks for it
            help="Tune this CAM++, a name or a path, by what it hears itself: rooms, noise, "
            "telephones, short speech.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Of the optimiser.", show_default=False)
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Anything else of the recipe (--show-recipe lists it), e.g. aam_weight=0 or "
            "augment.p_room=0. Repeatable.",
        ),
    ] = None,
    _show_recipe: Annotated[
        bool,
        typer.Option(
            "--show-recipe",
            callback=_print_recipe,
            is_eager=True,
            help="Print the default recipe (of --tune, if that stands before it) and leave.",
        ),
    ] = False,
    device: DeviceOption = None,
    precision: Annotated[
        str, typer.Option(help="auto, float32 or bfloat16 (where the processor has it).")
    ] = "auto",
    compile_network: Annotated[
        bool,
        typer.Option("--compile", help="Compile the network: minutes first, faster steps then."),
    ] = False,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 for all cores.")] = 0,
    heldout_every: Annotated[
        int, typer.Option(min=1, help="Steps between measurements and checkpoints.")
    ] = 500,
    half: Annotated[
        bool | None,
        typer.Option(
            "--half/--full",
            help="Store the weights in half precision; left out: yes, but of --tune only what "
            "changed.",
            show_default=False,
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            help="Of the weights, for the model's card; left out: not stated, of --tune as before.",
            show_default=False,
        ),
    ] = None,
    json_lines: JsonOption = False,
) -> None:
    """Train an encoder on labelled speech; stopped, it goes on with the same command."""
    config = recipe(set_ or [], num_steps=steps, tuned=tune)
    hardware = find_hardware(
        device or "auto", precision, num_threads=threads, compile_network=compile_network
    )
    corpora = [read_corpus(directory, split=split) for directory in directories]
    corpus = together(corpora)
    for directory in directories:
        refuse_held_back(directory, corpus)
    inputs = Inputs(
        corpus=corpus,
        out=out,
        noise=noise,
        rooms=rir,
        split=split,
        initial=init,
        on_skips=tell_skips,
    )
    run = Run(config, inputs, hardware, track=show_progress)
    begun, report = time.monotonic(), _Report(run, json_lines=json_lines)
    with stopped_by_signal() as is_stopped:  # before it says that it begins
        _tell_start(run, hardware.device.type)
        is_done = run.train(
            Schedule(heldout_every=heldout_every, save_every=heldout_every),
            on_report=report,
            is_stopped=is_stopped,
        )
    if not is_done:
        raise InterruptedRunError(
            f"stopped at step {run.trainer.step}", hint="the same command goes on from there"
        )
    compute = f"{(time.monotonic() - begun) / 3600:.2f} h in the last sitting"
    command = "voiceguard " + shlex.join(sys.argv[1:])
    kept = keep(run, command=command, compute=compute, licence=licence, half=half)
    _tell_end(run, kept, json_lines=json_lines)


def _tell_start(run: Run, device: str) -> None:
    material = run.material
    for count in material.counts:
        stderr.print(
            f"  {count.corpus}: {count.num_speakers} speakers, {count.speech_s / 60:.1f} min of "
            f"speech ({', '.join(count.licences)})"
        )
    for line in particulars(run):
        stderr.print(line, markup=False)
    where = "begins" if run.trainer.step == 0 else f"goes on at step {run.trainer.step}"
    voices = f"{run.source.num_classes} voices"
    if run.config.voices == DRAWN:
        voices = f"a voice for every {run.config.window_s:g} s"
    stderr.print(
        f"{len(material.speakers)} speakers, {run.num_heldout} of them held out, "
        f"{voices}; training {where} on {device}"
    )


def particulars(run: Run) -> Iterator[str]:
    """What a recipe does not say: it shows by ear, and by what the teacher is."""
    if isinstance(run.student, TunedCamPlusPlus):
        num = sum(each.numel() for each in run.student.learning())
        whole = sum(each.numel() for each in run.student.network.parameters())
        yield f"  tuning {run.student.card.name}: {num:,} of its {whole:,} weights learn"
    if run.num_apart:
        yield (
            f"  {run.num_apart} voices more than labels: passages of one label that the teacher "
            "calls different voices are taken apart"
        )
    if run.config.voices == DRAWN and not run.config.frames_weight:
        yield "  the teacher's frames are not learnt: frames_weight is 0, or it has none"
    if not can_plot():
        install = install_command("matplotlib")
        yield f"  progress.png is not drawn: matplotlib is not installed (`{install}`)"


class _Report:
    """Prints every report and redraws the plot at every measurement."""

    def __init__(self, run: Run, *, json_lines: bool) -> None:
        self._run = run
        self._json_lines = json_lines

    def __call__(self, progress: Progress) -> None:
        if self._json_lines:
            print_json(
                {
                    "step": progress.step,
                    "losses": progress.losses,
                    "eers": progress.eers,
                    "crops_per_s": round(progress.crops_per_s, 1),
                    "remaining_s": round(progress.remaining_s),
                }
            )
        else:
            stdout.print(_line(progress))
        if progress.eers and can_plot():
            self._plot(progress)

    def _plot(self, progress: Progress) -> None:
        folder = self._run.folder
        title = f"{folder.name}: {progress.step} of {progress.num_steps} steps"
        try:
            plot_progress(self._run.trainer.history, folder / "progress.png", title=title)
        except StateError as error:  # a picture ends no run
            stderr.print(f"warning: {error}", markup=False)


def _line(progress: Progress) -> str:
    losses = "  ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
    minutes = progress.remaining_s / 60
    line = (
        f"step {progress.step}/{progress.num_steps}  {losses}  "
        f"{progress.crops_per_s:.0f} crops/s  {minutes:.0f} min left"
    )
    if progress.eers:
        eers = ", ".join(f"{name} {100 * value:.1f} %" for name, value in progress.eers.items())
        line += f"\n  EER on held-out speakers: {eers}"
    return line


def _tell_end(run: Run, kept: Kept, *, json_lines: bool) -> None:
    if json_lines:
        files = {"model": str(kept.model)}
        files |= {} if kept.tuning is None else {"tuning": str(kept.tuning)}
        change = "whitening" if kept.tuning is None else "tuning"
        print_json({**files, f"eers_before_{change}": kept.before, "eers": kept.eers})
        return
    words = ("before the last turn", "after") if kept.tuning is None else ("as it was", "tuned")
    for name, after in kept.eers.items() if kept.tuning or run.config.whitening else ():
        before = f"{100 * kept.before[name]:.1f} % {words[0]}"
        stdout.print(f"  {name}: EER {before}, {100 * after:.1f} % {words[1]}")
    if kept.tuning is not None:
        stdout.print(f"  {kept.tuning} has the tensors that changed, and nothing else")
    stdout.print(
        f"[bold]{kept.model}[/] is ready. Next: voiceguard cohort, calibrate and evaluate, each "
        f"with --model {kept.model}"
    )
