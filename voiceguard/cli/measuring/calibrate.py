"""``voiceguard calibrate`` and ``cohort``: the data that turns scores into decisions."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voiceguard.cli.measuring.corpora import (
    DirArgument,
    EnrollOption,
    ExcludeOption,
    SplitOption,
    measuring_kit,
    show_progress,
    tell_skips,
)
from voiceguard.cli.options import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    StateDirOption,
)
from voiceguard.cli.output import print_json, print_table, stdout
from voiceguard.encoder.library import calibration_path, own_cohort_path
from voiceguard.errors import UsageError
from voiceguard.lab.corpora.conditions import Clean
from voiceguard.lab.corpora.corpus import read_corpus
from voiceguard.lab.evaluation.daemon import calibration as calibrating
from voiceguard.lab.evaluation.daemon.cohort import MIN_TAUGHT_SPEAKERS, TOP_K, make_cohort
from voiceguard.lab.evaluation.material import conditions_to_fit
from voiceguard.lab.evaluation.plan import Plan
from voiceguard.lab.evaluation.report.layout import plain
from voiceguard.lab.evaluation.report.tables import score_table
from voiceguard.paths import make_private_dir, own_calibration_file, state_dir
from voiceguard.scoring.calibration import load_calibration, save_calibration
from voiceguard.scoring.snorm import save_cohort
from voiceguard.service.kit import installed_in

if TYPE_CHECKING:
    from voiceguard.lab.corpora.conditions import Condition
    from voiceguard.lab.evaluation.daemon.calibration import CalibrationRun
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.service.kit import Kit


def cohort(
    directory: DirArgument,
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write it; the default is beside the weights."),
    ] = None,
    split: SplitOption = None,
    exclude: ExcludeOption = None,
    min_seconds: Annotated[
        float, typer.Option(min=1.0, help="Net speech below which a speaker is left out.")
    ] = 3.0,
    top_k: Annotated[
        int | None, typer.Option(min=2, help="How many of them a trial is compared with.")
    ] = None,
    noise: Annotated[
        Path | None,
        typer.Option(
            help="Noise, a folder or a manifest of which the split train counts: with rooms, it "
            "teaches scores to tell voices from channels (50 speakers at least).",
            show_default=False,
        ),
    ] = None,
    rir: Annotated[
        Path | None,
        typer.Option(help="Rooms' impulse responses, likewise.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Make the cohort that scores are normalised with: strangers, plain and by telephone."""
    corpus = read_corpus(directory, split=split, exclude=exclude or ())
    ways = _ways(noise, rir)
    with measuring_kit(
        config, model, device, state_dir=state_dir, with_cohort=False, with_calibration=False
    ) as kit:
        path = out or own_cohort_path(kit.settings.encoder.model, installed_in(kit.settings))
        made, skips = make_cohort(
            kit,
            corpus,
            min_speech_s=min_seconds,
            top_k=top_k or TOP_K,
            ways=ways,
            track=show_progress,
        )
    tell_skips(skips)
    save_cohort(made, path)
    if json_lines:
        print_json(
            {
                "path": str(path),
                "encoder_id": made.encoder_id,
                "cohort_id": made.cohort_id,
                "num_speakers": made.num_speakers,
                "top_k": made.top_k,
                "has_projection": made.projection is not None,
            }
        )
        return
    stdout.print(f"[bold green]written[/] {path}: {made.num_speakers} voices, top {made.top_k}")
    for source in made.sources:
        stdout.print(f"  {source.num_speakers} of {source.corpus} ({source.licence})", markup=False)
    if ways and made.projection is None:
        stdout.print(
            f"too few speakers to learn channels from: {MIN_TAUGHT_SPEAKERS} are needed; "
            "scores are made without"
        )
    stdout.print("[dim]next: `voiceguard calibrate DIR`; the old calibration no longer fits[/]")


def _ways(noise: Path | None, rir: Path | None) -> tuple[Condition, ...]:
    """Both, or none.

    Raises:
        UsageError: There is one of them, or one has no files.
    """
    if (noise is None) != (rir is None):
        raise UsageError(
            "channels are learnt from noise and rooms together, and one of them is missing",
            hint="name both --noise and --rir, or neither",
        )
    return conditions_to_fit(noise, rir)


def calibrate(
    directory: DirArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to write it; the default is the state directory, for this machine."
        ),
    ] = None,
    noise: Annotated[
        Path | None,
        typer.Option(
            help="Noise to add at 10 dB: a folder, or a manifest, of which the split train counts.",
            show_default=False,
        ),
    ] = None,
    rir: Annotated[
        Path | None,
        typer.Option(
            help="Rooms' impulse responses to fit with as well: a folder, or a manifest as above.",
            show_default=False,
        ),
    ] = None,
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch", help="Keep nothing of the calibration in the weights' folder."
        ),
    ] = False,
    split: SplitOption = None,
    exclude: ExcludeOption = None,
    num_enroll: EnrollOption = 3,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Fit what turns scores into likelihood ratios, on speakers that the encoder has not learnt.

    The shipped calibration is corrected, not replaced, so ten speakers of your own room do. The
    figures printed are cross-fitted on two halves of the speakers.
    """
    corpus = read_corpus(
        directory, split=split, exclude=exclude or (), min_speakers=calibrating.MIN_SPEAKERS
    )
    plan = Plan(num_enroll=num_enroll, conditions=(Clean(), *conditions_to_fit(noise, rir)))
    with measuring_kit(config, model, device, state_dir=state_dir, with_calibration=False) as kit:
        shipped = None if from_scratch else _shipped(kit)
        path = _writable(out or _own_file(kit))
        run = calibrating.calibrate(
            kit,
            corpus,
            plan,
            today=datetime.now(UTC).date(),
            shipped=shipped,
            track=show_progress,
        )
    tell_skips(run.experiment.skips)
    save_calibration(run.calibration, path)
    if json_lines:
        print_json(_payload(run, path))
        return
    _tell(run, len(corpus.by_speaker()))
    stdout.print(f"[bold green]written[/] {path}")
    if out is not None:
        stdout.print(f'[dim]in force with encoder.calibration = "{path}", or beside the weights[/]')


def _shipped(kit: Kit) -> Calibration | None:
    """The one beside the weights, if there is one."""
    path = calibration_path(kit.settings.encoder.model, installed_in(kit.settings))
    if not path.exists():
        return None
    return load_calibration(
        path,
        encoder_id=kit.encoder.info.encoder_id,
        cohort_id=kit.cohort.cohort_id if kit.cohort else None,
    )


def _writable(path: Path) -> Path:
    """Asked before the work, not after it.

    Raises:
        UsageError: The file could not be written there.
    """
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(
            f"{path} cannot be written: {path.parent} is no directory that one may write into",
            hint="make it, or name another place with --out",
        )
    return path


def _own_file(kit: Kit) -> Path:
    """Where the daemon on this machine looks first; its directory is made."""
    path = own_calibration_file(state_dir(kit.settings.state_dir), kit.encoder.info.encoder_id)
    make_private_dir(path.parent)
    return path


def _caught(run: CalibrationRun) -> float | None:
    """Share of changes of speaker that are noticed; None: unknown."""
    change_cosine = run.calibration.change_cosine
    return None if change_cosine is None else run.changes.caught(change_cosine)


def _tell(run: CalibrationRun, num_speakers: int) -> None:
    made = run.calibration
    kept = made.provenance.prior_speakers
    print_table(score_table(run.figures))
    stdout.print(
        f"{len(run.experiment.enrolled)} of {num_speakers} speakers enrolled; "
        + (f"{kept} speakers' worth of the shipped calibration kept" if kept else "from scratch")
    )
    if (caught := _caught(run)) is not None:
        stdout.print(
            f"change of speaker: cosine under {made.change_cosine:.3f}; notices "
            f"{100 * caught:.0f} % of {len(run.changes.lowest_at_change)} changes without a pause"
        )


def _payload(run: CalibrationRun, path: Path) -> dict[str, Any]:
    made = run.calibration
    return {
        "path": str(path),
        "encoder_id": made.encoder_id,
        "cohort_id": made.cohort_id,
        "slope": made.slope,
        "slope_quality": made.slope_quality,
        "offset": made.offset,
        "offset_quality": made.offset_quality,
        "prior_speakers": made.provenance.prior_speakers,
        "change_cosine": made.change_cosine,
        "changes_caught": _caught(run),
        "figures": plain(run.figures),
    }
