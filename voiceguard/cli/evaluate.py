"""``voiceguard evaluate``, ``calibrate``, ``cohort``: how good it is, and the data behind that."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from voiceguard.cli.options import ConfigOption, DeviceOption, JsonOption, ModelOption, overrides
from voiceguard.cli.output import print_json, stderr, stdout

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from voiceguard.compose import Kit
    from voiceguard.evaluation.corpus import Skip
    from voiceguard.evaluation.experiment import Noise

DirArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DIR",
        help="A folder per speaker, a manifest CSV, or a folder with one in or above it.",
    ),
]
SplitOption = Annotated[
    str | None, typer.Option(help="Only this split of the manifest.", show_default=False)
]
NoiseOption = Annotated[
    Path | None,
    typer.Option(
        help="Noise to add at 10 dB: a folder, or a manifest with the splits train (to fit "
        "with) and eval (to test with).",
        show_default=False,
    ),
]
EnrollOption = Annotated[
    int, typer.Option("--enroll-utterances", min=1, help="Utterances per voiceprint.")
]
NOISE_SNR_DB = 10.0

_T = TypeVar("_T")
_NAMED_SKIPS = 5


def cohort(
    directory: DirArgument,
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write it; the default is beside the weights."),
    ] = None,
    split: SplitOption = None,
    min_seconds: Annotated[
        float, typer.Option(min=1.0, help="Net speech below which a speaker is left out.")
    ] = 3.0,
    top_k: Annotated[
        int | None, typer.Option(min=2, help="How many of them a trial is compared with.")
    ] = None,
    config: ConfigOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Make the cohort that scores are normalised with: strangers, one embedding each, unnamed."""
    from voiceguard.encoder.registry import cohort_path
    from voiceguard.evaluation.cohorts import TOP_K, make_cohort
    from voiceguard.evaluation.corpus import read_corpus
    from voiceguard.scoring.snorm import save_cohort

    corpus = read_corpus(directory, split=split)
    with _kit(config, model, device, with_cohort=False, with_calibration=False) as kit:
        path = out or cohort_path(kit.settings.encoder.model)
        made, skips = make_cohort(
            kit, corpus, min_speech_s=min_seconds, top_k=top_k or TOP_K, track=_track
        )
    _tell_skips(skips)
    save_cohort(made, path)
    if json_lines:
        print_json(
            {
                "path": str(path),
                "encoder_id": made.encoder_id,
                "cohort_id": made.cohort_id,
                "num_speakers": made.num_speakers,
                "top_k": made.top_k,
            }
        )
        return
    stdout.print(f"[bold green]written[/] {path}: {made.num_speakers} speakers, top {made.top_k}")
    for source in made.sources:
        stdout.print(f"  {source.num_speakers} of {source.corpus} ({source.licence})", markup=False)
    stdout.print("[dim]next: `voiceguard calibrate DIR`; the old calibration no longer fits[/]")


def calibrate(
    directory: DirArgument,
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write it; the default is beside the weights."),
    ] = None,
    noise: NoiseOption = None,
    split: SplitOption = None,
    num_enroll: EnrollOption = 3,
    config: ConfigOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Fit what turns scores into likelihood ratios, on speakers that the encoder has not learnt.

    The figures printed are cross-fitted on two halves of the speakers.
    """
    from datetime import UTC, datetime

    from voiceguard.encoder.registry import calibration_path
    from voiceguard.evaluation import calibrating
    from voiceguard.evaluation.corpus import read_corpus
    from voiceguard.evaluation.experiment import Plan
    from voiceguard.evaluation.report import plain, score_table
    from voiceguard.scoring.calibration import save_calibration

    corpus = read_corpus(directory, split=split, min_speakers=calibrating.MIN_SPEAKERS)
    plan = Plan(num_enroll=num_enroll, noises=_noises(noise, {"10 dB": "train"}))
    with _kit(config, model, device, with_calibration=False) as kit:
        path = out or calibration_path(kit.settings.encoder.model)
        run = calibrating.calibrate(kit, corpus, plan, today=datetime.now(UTC).date(), track=_track)
    _tell_skips(run.experiment.skips)
    save_calibration(run.calibration, path)
    change_cosine = run.calibration.change_cosine
    caught = None if change_cosine is None else run.changes.caught(change_cosine)
    if json_lines:
        print_json(
            {
                "path": str(path),
                "encoder_id": run.calibration.encoder_id,
                "cohort_id": run.calibration.cohort_id,
                "slope": run.calibration.slope,
                "offset": run.calibration.offset,
                "change_cosine": change_cosine,
                "changes_caught": caught,
                "figures": plain(run.figures),
            }
        )
        return
    stdout.print(score_table(run.figures))
    stdout.print(
        f"LLR = {run.calibration.slope:.3g} score {run.calibration.offset:+.3g}; "
        f"{len(run.experiment.enrolled)} of {len(corpus.by_speaker())} speakers enrolled"
    )
    if change_cosine is not None and caught is not None:
        stdout.print(
            f"change of speaker: cosine under {change_cosine:.3f}; notices {100 * caught:.0f} % of "
            f"{len(run.changes.lowest_at_change)} changes without a pause"
        )
    stdout.print(f"[bold green]written[/] {path}")


def evaluate(
    directory: DirArgument,
    noise: NoiseOption = None,
    split: SplitOption = None,
    num_enroll: EnrollOption = 3,
    config: ConfigOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Measure errors on labelled speech: the daemon's path, every speaker enrolled in turn.

    Calibrations are fitted anew, each half of the speakers being decided with the other's.
    """
    from datetime import UTC, datetime

    from voiceguard.evaluation.corpus import read_corpus
    from voiceguard.evaluation.evaluating import FIT_NOISE, TEST_NOISE
    from voiceguard.evaluation.evaluating import evaluate as run_evaluation
    from voiceguard.evaluation.experiment import Plan
    from voiceguard.evaluation.report import decision_table, plain, score_table

    corpus = read_corpus(directory, split=split)
    plan = Plan(
        num_enroll=num_enroll, noises=_noises(noise, {FIT_NOISE: "train", TEST_NOISE: "eval"})
    )
    with _kit(config, model, device) as kit:
        run = run_evaluation(kit, corpus, plan, today=datetime.now(UTC).date(), track=_track)
        policy, info = kit.settings.policy, kit.encoder.info
    _tell_skips(run.experiment.skips)
    if json_lines:
        print_json(
            {
                "encoder": info.name,
                "encoder_id": info.encoder_id,
                "num_speakers": len(corpus.by_speaker()),
                "num_enrolled": len(run.experiment.enrolled),
                "p_fa": policy.p_fa,
                "p_miss": policy.p_miss,
                "scores": plain(run.scores),
                "decisions": plain(run.decisions),
            }
        )
        return
    stdout.print(score_table(run.scores))
    stdout.print()
    stdout.print(decision_table(run.decisions, policy.p_fa))
    stdout.print(
        f"encoder {info.name}; {len(run.experiment.enrolled)} of {len(corpus.by_speaker())} "
        f"speakers enrolled from {num_enroll} utterances of one session",
        markup=False,
    )


@contextmanager
def _kit(
    config: Path | None,
    model: str | None,
    device: str | None,
    *,
    with_cohort: bool = True,
    with_calibration: bool = True,
) -> Iterator[Kit]:
    """The parts, with an encoder that remembers, and without the data that is to be made anew."""
    from voiceguard.compose import Kit, assemble
    from voiceguard.encoder import load_encoder
    from voiceguard.encoder.registry import cohort_path
    from voiceguard.evaluation.cache import RememberingEncoder, cache_dir
    from voiceguard.logs import configure_logging
    from voiceguard.scoring.snorm import load_cohort
    from voiceguard.settings import load_settings

    settings = load_settings(config, **overrides(model=model, device=device))
    configure_logging(settings.log)
    chosen = settings.encoder
    with stderr.status("loading the encoder"):
        if with_calibration:
            kit = assemble(settings)
        else:
            encoder = load_encoder(
                chosen.model, device=chosen.device, num_threads=chosen.num_threads
            )
            kit = Kit(settings=settings, encoder=encoder, cohort=None, calibration=None)
            path = cohort_path(chosen.model)
            if with_cohort and path.exists():
                kit = replace(kit, cohort=load_cohort(path, encoder_id=encoder.info.encoder_id))
    with RememberingEncoder(kit.encoder, cache_dir()) as remembering:
        yield replace(kit, encoder=remembering)


def _noises(source: Path | None, splits: dict[str, str]) -> tuple[Noise, ...]:
    from voiceguard.evaluation.corpus import read_noise
    from voiceguard.evaluation.experiment import Noise

    if source is None:
        return ()
    return tuple(
        Noise(name=name, snr_db=NOISE_SNR_DB, files=read_noise(source, split=split))
        for name, split in splits.items()
    )


def _track(items: Sequence[_T], description: str) -> Iterable[_T]:
    from rich.progress import track

    if not stderr.is_terminal:
        return items
    return track(items, description, console=stderr, transient=True)


def _tell_skips(skips: Sequence[Skip]) -> None:
    for skip in skips[:_NAMED_SKIPS]:
        stderr.print(f"left out: {skip.path}: {skip.reason}", markup=False)
    if len(skips) > _NAMED_SKIPS:
        reasons = Counter(skip.reason for skip in skips[_NAMED_SKIPS:]).most_common(3)
        counted = ", ".join(f"{count} x {reason}" for reason, count in reasons)
        stderr.print(f"left out as well: {counted}", markup=False)
