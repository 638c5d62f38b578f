"""``voiceguard models``: which encoders there are, and all that is known about one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from voiceguard.cli.options import ConfigOption, JsonOption
from voiceguard.cli.output import print_json, stderr, stdout
from voiceguard.errors import EncoderError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.snorm import Cohort
    from voiceguard.settings import Settings

app = typer.Typer(help="Encoders: which there are, and what is known of one.", no_args_is_help=True)


@app.command("list")
def list_models(json_lines: JsonOption = False) -> None:
    """List the encoders that are shipped; any .safetensors file with its card works as well."""
    from voiceguard.encoder.registry import (
        DEFAULT_MODEL,
        calibration_path,
        find_model,
        shipped_models,
        stated_encoder_id,
    )

    table = Table("name", "", "encoder id", "parameters", "file", "calibrated", "licence", box=None)
    for name in shipped_models():
        path = find_model(name)
        card = json.loads(path.with_suffix(".json").read_bytes())
        row = {
            "name": name,
            "is_default": name == DEFAULT_MODEL,
            "encoder_id": stated_encoder_id(name),
            "num_parameters": card.get("num_parameters"),
            "num_bytes": path.stat().st_size,
            "is_calibrated": calibration_path(name).is_file(),
            "licence": card.get("licence"),
        }
        if json_lines:
            print_json(row)
        table.add_row(
            name,
            "default" if row["is_default"] else "",
            row["encoder_id"] or "-",
            _millions(row["num_parameters"]),
            _megabytes(path.stat().st_size),
            "yes" if row["is_calibrated"] else "no",
            row["licence"] or "-",
        )
    if not json_lines:
        stdout.print(table)


@app.command()
def info(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|PATH]",
            help="A shipped encoder or a .safetensors file; the one in use without.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    json_lines: JsonOption = False,
) -> int:
    """Show a model's card, and check its files: weights against hash, cohort, calibration.

    Exits with 1 when a file is damaged or does not belong to the others.
    """
    from voiceguard.settings import load_settings

    known = examine(load_settings(config, encoder={"model": model}))
    if json_lines:
        print_json(known)
    else:
        _print(known)
        for fault in known["faults"]:
            stderr.print(f"[bold red]fault:[/] {escape(fault)}", soft_wrap=True)
    return ExitCode.FAILURE if known["faults"] else ExitCode.OK


def examine(settings: Settings) -> dict[str, Any]:
    """All that is known about the encoder in use, in plain values; no ``faults`` when all fits.

    Raises:
        EncoderError: There is no such model, or its card can't be read.
    """
    from voiceguard.compose import calibration_in_force
    from voiceguard.encoder.checkpoints import native
    from voiceguard.encoder.registry import cohort_path, find_model
    from voiceguard.scoring.calibration import load_calibration
    from voiceguard.scoring.snorm import load_cohort

    model = settings.encoder.model
    path = find_model(model)
    card = native.read_card(native.card_path(path))
    faults: list[str] = []
    precision = cohort = calibration = fitted = None
    try:
        native.load(path)
        precision = _precision(path)
    except EncoderError as error:
        faults.append(str(error))
    try:
        if cohort_path(model).exists():
            cohort = load_cohort(cohort_path(model), encoder_id=card.encoder_id)
        fitted = calibration_in_force(settings, card.encoder_id)
        if fitted is not None:
            calibration = load_calibration(
                fitted,
                encoder_id=card.encoder_id,
                cohort_id=None if cohort is None else cohort.cohort_id,
            )
    except EncoderError as error:
        faults.append(str(error))
    return {
        **card.to_json(),
        "encoder_id": card.encoder_id,
        "path": str(path),
        "num_bytes": path.stat().st_size if path.is_file() else None,
        "weights_are_intact": precision is not None,
        "precision": precision,
        "cohort": None if cohort is None else _about_cohort(cohort),
        "calibration": None
        if calibration is None
        else {"path": str(fitted), **_about_calibration(calibration)},
        "faults": faults,
    }


def _precision(path: Path) -> str:
    """What most of the file's numbers are stored in: "F16", "F32"."""
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        slices = [file.get_slice(name) for name in file.keys()]  # noqa: SIM118 - no mapping
        largest = max(slices, key=lambda each: _product(each.get_shape()))
        return str(largest.get_dtype())


def _product(shape: list[int]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size


def _about_cohort(cohort: Cohort) -> dict[str, Any]:
    return {
        "cohort_id": cohort.cohort_id,
        "num_speakers": cohort.num_speakers,
        "top_k": cohort.top_k,
        "sources": [
            {"corpus": each.corpus, "licence": each.licence, "num_speakers": each.num_speakers}
            for each in cohort.sources
        ],
    }


def _about_calibration(calibration: Calibration) -> dict[str, Any]:
    about = calibration.provenance
    return {
        "created_on": about.created_on,
        "corpora": list(about.corpora),
        "num_speakers": about.num_speakers,
        "num_target_trials": about.num_target_trials,
        "num_nontarget_trials": about.num_nontarget_trials,
        "cllr": about.cllr,
        "min_cllr": about.min_cllr,
        "eer": about.eer,
    }


# --- for people -----------------------------------------------------------------------------


def _print(known: Mapping[str, Any]) -> None:
    size = _megabytes(known["num_bytes"])
    intact = "[green]intact[/]" if known["weights_are_intact"] else "[bold red]damaged[/]"
    features = known["features"]
    _say(f"[bold]{escape(known['name'])}[/]  encoder id {known['encoder_id']}")
    _say(f"weights {escape(known['path'])}: {size}, {known['precision'] or '?'}, {intact}")
    _say(
        f"{known['architecture']['type']}, {_millions(known['num_parameters'])} parameters, "
        f"channels {', '.join(map(str, known['architecture']['channels']))}; "
        f"{features['num_mels']} {features['type']} bands up to {features['max_hz']:g} Hz; "
        f"{known['embedding_dim']} dimensions; at least {known['min_window_s']:g} s"
    )
    _say(f"licence {escape(known['licence'])}")
    _say(f"\n[bold]Trained on[/] {escape(known['trained_on'])}")
    _print_training(known)
    _print_figures(known)
    if known["limits"]:
        _say("\n[bold]Where it fails[/]")
        for sentence in known["limits"]:
            _say(f"- {escape(sentence)}")
    _print_scoring(known)


def _print_training(known: Mapping[str, Any]) -> None:
    if known["data"]:
        table = Table("corpus", "speakers", "hours", "licence", "", box=None)
        for row in known["data"]:
            table.add_row(
                escape(row["corpus"]),
                str(row["num_speakers"]),
                f"{row['hours']:.1f}",
                escape(row["licence"]),
                escape(row["note"]),
            )
        table.add_row(
            "[bold]together[/]",
            str(sum(row["num_speakers"] for row in known["data"])),
            f"{sum(row['hours'] for row in known['data']):.1f}",
        )
        stdout.print(table)
    if teacher := known["teacher"]:
        _say(
            f"teacher {escape(teacher['name'])} ({escape(teacher['licence'])}), which learned from "
            f"{escape(teacher['trained_on'])}"
        )
    if known["compute"]:
        _say(f"compute {escape(known['compute'])}")
    if known["recipe"]:
        _say("\n[bold]Recipe[/]")
        for name, value in known["recipe"].items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            _say(f"  {escape(name)} = {escape(text)}")


def _print_figures(known: Mapping[str, Any]) -> None:
    if not known["figures"]:
        return
    _say("\n[bold]Figures[/]")
    command = ""
    for figure in known["figures"]:
        if figure["command"] and figure["command"] != command:
            _say(f"  [dim]$ {escape(figure['command'])}[/]")
        command = figure["command"]
        value = f": [bold]{escape(figure['value'])}[/]" if figure["value"] else ""
        _say(f"  {escape(figure['what'])}{value}")


def _print_scoring(known: Mapping[str, Any]) -> None:
    _say("\n[bold]Scoring[/]")
    if cohort := known["cohort"]:
        sources = ", ".join(
            f"{escape(each['corpus'])} ({each['num_speakers']}, {escape(each['licence'])})"
            for each in cohort["sources"]
        )
        _say(f"cohort of {cohort['num_speakers']} unnamed speakers: {sources or 'source unknown'}")
    else:
        _say("no cohort: scores are not normalised")
    if about := known["calibration"]:
        _say(
            f"calibrated {escape(about['created_on'])} on {about['num_speakers']} speakers of "
            f"{escape(', '.join(about['corpora']))}; cross-fitted Cllr {about['cllr']:.3f} "
            f"(at best {about['min_cllr']:.3f}): {escape(about['path'])}"
        )
    else:
        _say("no calibration: every decision is inconclusive; `voiceguard calibrate` makes one")


def _say(line: str) -> None:
    stdout.print(line, soft_wrap=True)


def _millions(count: int | None) -> str:
    return "?" if count is None else f"{count / 1e6:.2f} M"


def _megabytes(num_bytes: int | None) -> str:
    return "no file" if num_bytes is None else f"{num_bytes / 1e6:.1f} MB"
