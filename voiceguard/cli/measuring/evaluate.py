"""``voiceguard evaluate``: how good it is, on labelled speech: encoders alone, and as a daemon."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from contextlib import ExitStack
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.lab.corpora.corpus import Corpus
    from voiceguard.lab.evaluation.daemon.evaluation import Evaluation, Judged
    from voiceguard.lab.evaluation.daemon.material import Material
    from voiceguard.lab.evaluation.encoders.evaluation import Entrant
    from voiceguard.lab.evaluation.encoders.results import EncoderEvaluation
    from voiceguard.lab.evaluation.encoders.trial_list import TrialList
    from voiceguard.service.kit import Kit

_USUAL_NOISE = "10 dB"
"""Heard at every length by the daemon; other conditions at one length and in whole utterances."""


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
            "telephone.",
            show_default=False,
        ),
    ] = None,
    decisions: Annotated[
        bool,
        typer.Option("--decisions/--no-decisions", help="The daemon's path, or scores only."),
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
    from voiceguard.lab.evaluation.daemon.evaluation import choose
    from voiceguard.lab.evaluation.daemon.material import read_material
    from voiceguard.lab.evaluation.report.page import check_report

    wanted = _judged(calibration)
    if report is not None:
        check_report(report)
    material = read_material(noise, rir, conditions)
    listed = None if trials is None else _trial_list(trials, directory)
    corpus = None if listed else _read(directory, split)
    models: list[str | None] = [*dict.fromkeys(model or [])] or [None]
    kit = load_kit(config, models[0], device, state_dir=state_dir)
    check_distinct(models, kit)
    decides = decisions and corpus is not None
    choice = choose(kit, corpus, wanted) if corpus is not None and decides else None
    entrants = _entrants(kit, [name for name in models[1:] if name is not None])
    encoders = _encoders(kit, entrants, corpus, listed, num_enroll, material)
    daemon = None
    if corpus is not None and choice is not None:
        daemon = _daemon(kit, corpus, num_enroll, material, choice.judged, wanted)
    tell_skips(daemon.experiment.skips if daemon else encoders.skips)
    _tell(kit, encoders, daemon, json_lines=json_lines)
    if listed and decisions:
        stderr.print("a list of trials names no speakers: scores only, no decisions", markup=False)
    if report is not None:
        _write_report(report, directory, corpus, kit, encoders, daemon, material)
        stderr.print(f"written: {report}", markup=False)


def _judged(calibration: str | None) -> Judged | None:
    from voiceguard.lab.evaluation.daemon.evaluation import Judged

    if calibration is None:
        return None
    try:
        return Judged(calibration)
    except ValueError:
        raise UsageError(
            f"--calibration must be crossed or shipped, not {calibration!r}",
            hint="leave it out for the one that fits the speech",
        ) from None


def _read(directory: Path, split: str | None) -> Corpus:
    from voiceguard.lab.corpora.corpus import read_corpus

    return read_corpus(directory, split=split)


def _trial_list(path: Path, directory: Path) -> TrialList:
    from voiceguard.lab.evaluation.encoders.trial_list import read_trial_list

    return read_trial_list(path, directory)


def _entrants(kit: Kit, others: Sequence[str]) -> list[Entrant]:
    """The encoder that is judged first; each with the data that lies beside its weights."""
    from voiceguard.lab.evaluation.encoders.evaluation import Entrant
    from voiceguard.service.kit import assemble

    kits = [kit]
    for name in others:
        encoder = replace(kit.settings.encoder, model=name)
        with stderr.status(f"loading {name}"):
            kits.append(assemble(kit.settings.model_copy(update={"encoder": encoder})))
    return [
        Entrant(each.encoder, cohort=each.cohort, calibration=each.calibration) for each in kits
    ]


def _encoders(
    kit: Kit,
    entrants: Sequence[Entrant],
    corpus: Corpus | None,
    listed: TrialList | None,
    num_enroll: int,
    material: Material,
) -> EncoderEvaluation:
    from voiceguard.lab.corpora.embedding_cache import cache_dir
    from voiceguard.lab.evaluation.encoders.evaluation import (
        EncoderPlan,
        evaluate_encoders,
        evaluate_trial_list,
    )

    plan = EncoderPlan(num_enroll=num_enroll, conditions=material.conditions)
    if listed is not None:
        return evaluate_trial_list(
            kit, entrants, listed, plan, cache=cache_dir(), track=show_progress
        )
    assert corpus is not None  # read where there is no list
    return evaluate_encoders(kit, entrants, corpus, plan, cache=cache_dir(), track=show_progress)


def _daemon(
    kit: Kit,
    corpus: Corpus,
    num_enroll: int,
    material: Material,
    judged: Judged,
    wanted: Judged | None,
) -> Evaluation:
    from voiceguard.lab.corpora.embedding_cache import RememberingEncoder, cache_dir
    from voiceguard.lab.evaluation.daemon.evaluation import FIT_ROOM, Judged, choose
    from voiceguard.lab.evaluation.daemon.evaluation import evaluate as run_evaluation
    from voiceguard.lab.evaluation.daemon.experiment import Plan

    tested = material.conditions[1:]
    fitted = material.fitting if judged is Judged.CROSSED else ()
    plan = Plan(
        num_enroll=num_enroll,
        noises=(*fitted, *tested),
        brief=(FIT_ROOM, *(each.name for each in tested if each.name != _USUAL_NOISE)),
    )
    with ExitStack() as stack:
        encoder = stack.enter_context(RememberingEncoder(kit.encoder, cache_dir()))
        return run_evaluation(
            replace(kit, encoder=encoder),
            corpus,
            plan,
            choice=choose(kit, corpus, wanted),
            today=datetime.now(UTC).date(),
            track=show_progress,
        )


def _tell(
    kit: Kit, encoders: EncoderEvaluation, daemon: Evaluation | None, *, json_lines: bool
) -> None:
    from voiceguard.lab.evaluation.report.encoder_tables import encoder_tables, plain_evaluation
    from voiceguard.lab.evaluation.report.tables import daemon_tables, eer_table, plain_daemon

    info = kit.encoder.info
    if json_lines:
        print_json(
            {
                "version": __version__,
                "encoder": info.name,
                "encoder_id": info.encoder_id,
                **plain_evaluation(encoders),
                "daemon": plain_daemon(daemon) if daemon else None,
            }
        )
        return
    shown = [eer_table(encoders), *encoder_tables(encoders)]
    for table in [*shown, *(daemon_tables(daemon) if daemon else ())]:
        print_table(table)
        stdout.print()
    if daemon:
        stdout.print(
            f"calibration: {daemon.choice.judged}, {daemon.choice.reason}; "
            f"{len(daemon.experiment.enrolled)} of {encoders.num_speakers} speakers enrolled",
            markup=False,
        )


def _write_report(
    path: Path,
    directory: Path,
    corpus: Corpus | None,
    kit: Kit,
    encoders: EncoderEvaluation,
    daemon: Evaluation | None,
    material: Material,
) -> None:
    from voiceguard.lab.evaluation.report.page import About, write_report

    speech = f"{directory}: {encoders.num_speakers} speakers"
    if corpus is not None:
        speech += f", {len(corpus.recordings)} recordings of {', '.join(corpus.corpora)}"
    if skips := daemon.experiment.skips if daemon else encoders.skips:
        speech += f"; {len(skips)} left out"
    ids = ", ".join(f"{cost.label} ({cost.encoder_id})" for cost in encoders.costs)
    facts = {
        "encoder" if len(encoders.costs) == 1 else "encoders": ids,
        "speech": speech,
        **material.facts,
        "conditions": ", ".join(encoders.conditions),
        "command": shlex.join(["voiceguard", *sys.argv[1:]]),
        "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC by voiceguard {__version__}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}; device {kit.settings.encoder.device}",
    }
    title = f"{encoders.labels[0]}: who is told apart from whom"
    write_report(path, About(title=title, facts=facts), encoders=encoders, daemon=daemon)
