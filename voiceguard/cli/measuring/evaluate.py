"""``voiceguard evaluate``: how good it is, on labelled speech: encoders alone, and as a daemon."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceguard import __version__
from voiceguard.cli.measuring.corpora import (
    DirArgument,
    EnrollOption,
    SplitOption,
    check_distinct,
    load_kit,
    show_progress,
    tell_skips,
)
from voiceguard.cli.options import ConfigOption, DeviceOption, JsonOption, StateDirOption
from voiceguard.cli.output import print_json, print_table, stderr, stdout
from voiceguard.errors import UsageError
from voiceguard.lab.corpora.corpus import Corpus, read_corpus
from voiceguard.lab.corpora.embedding_cache import cache_dir
from voiceguard.lab.evaluation.daemon.evaluation import Judged
from voiceguard.lab.evaluation.encoders.summary import summary_plan
from voiceguard.lab.evaluation.encoders.trial_list import read_trial_list
from voiceguard.lab.evaluation.material import read_material
from voiceguard.lab.evaluation.report.encoder_tables import encoder_tables, plain_evaluation
from voiceguard.lab.evaluation.report.page import About, check_report, write_report
from voiceguard.lab.evaluation.report.summary_table import plain_summary, summary_tables
from voiceguard.lab.evaluation.report.tables import daemon_tables, eer_table, plain_daemon
from voiceguard.lab.evaluation.run import Request, labelled, run
from voiceguard.service.kit import assemble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.lab.evaluation.encoders.trial_list import TrialList
    from voiceguard.lab.evaluation.material import Material
    from voiceguard.lab.evaluation.run import Findings
    from voiceguard.service.kit import Kit


def evaluate(
    directory: DirArgument,
    trials: Annotated[
        Path | None,
        typer.Option(
            help="A list of trials in VoxCeleb's format (label, two paths in DIR): scores only.",
            show_default=False,
        ),
    ] = None,
    noise: Annotated[
        Path | None,
        typer.Option(
            help="Noise for 10, 5 and 0 dB: a folder, or a manifest with the splits train (to fit "
            "calibrations with) and eval (to test with).",
            show_default=False,
        ),
    ] = None,
    rir: Annotated[
        Path | None,
        typer.Option(
            help="Rooms' impulse responses, for reverberant speech; as for --noise.",
            show_default=False,
        ),
    ] = None,
    split: SplitOption = None,
    num_enroll: EnrollOption = 3,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Encoder: a name, a .safetensors file, or resemblyzer. Repeat it: the first is "
            "judged, the others stand beside it.",
            show_default=False,
        ),
    ] = None,
    conditions: Annotated[
        str | None,
        typer.Option(
            help="Only these, separated by commas: clean, 10 dB, 5 dB, 0 dB, reverberant, "
            "10 dB reverberant, telephone.",
            show_default=False,
        ),
    ] = None,
    summary: Annotated[
        bool,
        typer.Option(
            "--summary",
            help="Eight figures per encoder and corpus, and their mean, scores only: 1, 2, 3 and "
            "5 s clean, 3 s at 5 dB, 3 s in rooms, 2 s at 10 dB in rooms, minDCF at 3 s.",
        ),
    ] = False,
    decisions: Annotated[
        bool,
        typer.Option("--decisions/--no-decisions", help="The daemon's path, or scores only."),
    ] = True,
    scores: Annotated[
        bool,
        typer.Option("--scores/--no-scores", help="Encoders alone, or the daemon's path only."),
    ] = True,
    calibration: Annotated[
        str | None,
        typer.Option(
            help="crossed: fitted here, each half of the speakers judged by the other's; shipped: "
            "the one beside the weights. The default is shipped, but crossed on speech that it was "
            "fitted to.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write curves and tables to this HTML file.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    device: DeviceOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Measure errors on labelled speech: encoders side by side, and the daemon's decisions.

    Every speaker is enrolled in turn. Embeddings are remembered, so that a second run is quick.
    """
    judged = _judged(calibration)
    _check_together(
        summary=summary,
        scores=scores,
        decisions=decisions,
        conditions=conditions,
        trials=trials,
        report=report,
    )
    if report is not None:
        check_report(report)
    material = read_material(noise, rir, conditions, split=split)
    speech = _speech(directory, trials, split)
    models: list[str | None] = [*dict.fromkeys(model or [])] or [None]
    decides = decisions and not summary
    kit = load_kit(config, models[0], device, state_dir=state_dir, with_overlap=decides)
    check_distinct(models, kit)
    plan = material.plan(num_enroll=num_enroll)
    if not scores:
        plan = replace(plan, cells=frozenset())
    request = Request(
        kits=labelled(_kits(kit, [name for name in models[1:] if name is not None])),
        speech=speech,
        plan=summary_plan(plan) if summary else plan,
        with_decisions=decides,
        judged=judged,
    )
    today = datetime.now(UTC).date()
    found = run(request, today=today, cache=cache_dir(), track=show_progress)
    tell_skips(found.skips)
    if summary:
        _tell_summary(found, split=split, json_lines=json_lines)
    else:
        _tell(kit, found, json_lines=json_lines)
    if trials is not None and decisions:
        stderr.print("a list of trials names no speakers: scores only, no decisions", markup=False)
    if report is not None:
        _write_report(report, directory, request, found, material)
        stderr.print(f"written: {report}", markup=False)


def _check_together(
    *,
    summary: bool,
    scores: bool,
    decisions: bool,
    conditions: str | None,
    trials: Path | None,
    report: Path | None,
) -> None:
    """Refuses options that contradict each other."""
    if summary and (trials is not None or conditions is not None or report is not None):
        raise UsageError(
            "--summary says what is tested and what is shown: it goes with none of --trials, "
            "--conditions and --report",
            hint="leave --summary out for every figure",
        )
    if not scores and (not decisions or summary or trials is not None or report is not None):
        raise UsageError(
            "--no-scores leaves the daemon's decisions alone: it goes with none of --no-decisions, "
            "--summary, --trials and --report",
            hint="leave --no-scores out",
        )


def _judged(calibration: str | None) -> Judged | None:
    if calibration is None:
        return None
    try:
        return Judged(calibration)
    except ValueError:
        raise UsageError(
            f"--calibration must be crossed or shipped, not {calibration!r}",
            hint="leave it out for the one that fits the speech",
        ) from None


def _speech(directory: Path, trials: Path | None, split: str | None) -> Corpus | TrialList:
    if trials is not None:
        return read_trial_list(trials, directory)
    return read_corpus(directory, split=split)


def _kits(kit: Kit, others: Sequence[str]) -> list[Kit]:
    """The one that is judged first; each with the data that lies beside its weights."""
    kits = [kit]
    for name in others:
        encoder = replace(kit.settings.encoder, model=name)
        with stderr.status(f"loading {name}"):
            settings = kit.settings.model_copy(update={"encoder": encoder})
            kits.append(assemble(settings, overlap=False))
    return kits


def _tell(kit: Kit, found: Findings, *, json_lines: bool) -> None:
    encoders, daemon = found.encoders, found.daemon
    if json_lines:
        print_json(
            {
                "version": __version__,
                "encoder": kit.encoder.info.name,
                "encoder_id": kit.encoder.info.encoder_id,
                **plain_evaluation(encoders),
                "daemon": plain_daemon(daemon) if daemon else None,
            }
        )
        return
    shown = [eer_table(encoders), *encoder_tables(encoders)] if encoders.figures else []
    for table in [*shown, *(daemon_tables(daemon) if daemon else ())]:
        print_table(table)
        stdout.print()
    if daemon:
        stdout.print(
            f"calibration: {daemon.choice.judged}, {daemon.choice.reason}; "
            f"{len(daemon.experiment.enrolled)} of {encoders.num_speakers} speakers enrolled",
            markup=False,
        )


def _tell_summary(found: Findings, *, split: str | None, json_lines: bool) -> None:
    if json_lines:
        print_json({"version": __version__, "split": split, **plain_summary(found.encoders)})
        return
    for table in summary_tables(found.encoders):
        print_table(table)
        stdout.print()


def _write_report(
    path: Path, directory: Path, request: Request, found: Findings, material: Material
) -> None:
    encoders = found.encoders
    speech = f"{directory}: {encoders.num_speakers} speakers"
    if isinstance(request.speech, Corpus):
        corpora = ", ".join(request.speech.corpora)
        speech += f", {len(request.speech.recordings)} recordings of {corpora}"
    if found.skips:
        speech += f"; {len(found.skips)} left out"
    device = next(iter(request.kits.values())).settings.encoder.device
    facts = {
        "encoder" if len(encoders.costs) == 1 else "encoders": ", ".join(
            f"{cost.label} ({cost.encoder_id})" for cost in encoders.costs
        ),
        "speech": speech,
        **material.facts,
        "conditions": ", ".join(encoders.conditions),
        "command": shlex.join(["voiceguard", *sys.argv[1:]]),
        "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC by voiceguard {__version__}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}; device {device}",
    }
    title = f"{encoders.labels[0]}: who is told apart from whom"
    write_report(path, About(title=title, facts=facts), encoders=encoders, daemon=found.daemon)
