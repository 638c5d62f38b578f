"""``voiceguard models``: which encoders there are, all that is known of one, which is in use."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from voiceguard.cli.models.about import examine
from voiceguard.cli.models.bring import import_model, pull_model
from voiceguard.cli.models.export import export_command
from voiceguard.cli.models.listing import list_models
from voiceguard.cli.models.names import check_here
from voiceguard.cli.models.show import print_card, print_known
from voiceguard.cli.models.use import use_model
from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption, overrides
from voiceguard.cli.output import print_json, stderr, stdout
from voiceguard.errors import EncoderError, ExitCode, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.settings import Settings

__all__ = [
    "app",
    "examine",
    "info",
    "list_models",
    "remove",
    "use_model",
    "verify",
]

app = typer.Typer(
    help="Encoders: which there are, bring others, choose one. A TorchScript file is a program: "
    "it runs only where it was imported with --trust.",
    no_args_is_help=True,
)

NameOption = Annotated[str, typer.Argument(metavar="NAME", help="An installed encoder.")]


app.command("list")(list_models)


@app.command()
def info(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|PATH]",
            help="A shipped, installed or published encoder, or a .safetensors file; the one in "
            "use without.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> int:
    """Show a model's card, and check its files: weights against hash, cohort, calibration.

    Exits with 1 when a file is damaged or does not belong to the others.
    """
    from voiceguard.encoder.foreign.catalogue import find_known
    from voiceguard.encoder.installed import installed_models
    from voiceguard.encoder.library import resolve_name

    settings = _settings(config, state_dir, model)
    published = None if model is None else find_known(model)
    directory = _directory(settings)
    chosen = resolve_name(settings.encoder.model, directory)
    if published is not None and chosen not in installed_models(directory):
        if json_lines:
            print_json(asdict(published))
        else:
            print_known(published)
        return ExitCode.OK
    known = examine(settings)
    if json_lines:
        print_json(known)
    else:
        print_card(known)
        for fault in known["faults"]:
            stderr.print(f"[bold red]fault:[/] {escape(fault)}", soft_wrap=True)
    return ExitCode.FAILURE if known["faults"] else ExitCode.OK


@app.command()
def verify(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="One encoder; all without.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> int:
    """Recompute the hashes of encoders, and the embedding that each gave when it was installed.

    The hash finds a changed file; the embedding finds a torch, an ONNX Runtime or a processor that
    computes something else from the same file. Exits with 1 when one is not intact.
    """
    from voiceguard.encoder.installed import installed_models
    from voiceguard.encoder.library import shipped_models

    settings = _settings(config, state_dir)
    known = (*shipped_models(), *installed_models(_directory(settings)))
    all_intact = True
    for each in known if name is None else [check_here(name, _directory(settings))]:
        with stderr.status(each):
            result = _verified(each, settings)
        all_intact &= result["is_intact"]
        if json_lines:
            print_json(result)
            continue
        told = _told_golden(result["deviation"]) if result["is_intact"] else ""
        state = "[green]intact[/]" if result["is_intact"] else "[bold red]not verified[/]"
        stdout.print(f"{each}: {state}{told}", soft_wrap=True)
        if result["fault"]:
            stderr.print(f"[bold red]fault:[/] {escape(result['fault'])}", soft_wrap=True)
        if result["hint"]:
            stderr.print(f"[bold]hint:[/] {escape(result['hint'])}", soft_wrap=True)
    return ExitCode.OK if all_intact else ExitCode.FAILURE


def _told_golden(deviation: float | None) -> str:
    if deviation is None:
        return " by its hash (its card holds no embedding to compare with)"
    if deviation == 0:
        return ", and gives the very embedding that it gave then"
    return f", and gives the embedding that it gave then, to {deviation:.0e} of its largest entry"


def _verified(name: str, settings: Settings) -> dict[str, Any]:
    from voiceguard.encoder import golden
    from voiceguard.encoder.card import native
    from voiceguard.encoder.library import find_model
    from voiceguard.encoder.loading import load_file

    fault, hint, deviation = "", "", None
    try:
        path = find_model(name, _directory(settings))
        card = native.read_card(native.card_path(path))
        encoder = load_file(path, device="cpu")  # where the golden embedding was made
        if card.golden is not None:
            deviation = golden.deviation(encoder, card.golden)
            if not deviation <= golden.TOLERANCE:
                fault = (
                    f"its golden embedding is off by {deviation:.1e} of its largest entry "
                    f"(at most {golden.TOLERANCE:g}): this machine computes something else"
                )
    except EncoderError as error:
        fault, hint = str(error), error.hint
    return {
        "name": name,
        "is_intact": not fault,
        "deviation": deviation,
        "fault": fault,
        "hint": hint,
    }


@app.command()
def remove(
    name: NameOption,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Delete an installed encoder. Neither the one in use nor one that is shipped."""
    from voiceguard.encoder import installed
    from voiceguard.encoder.library import resolve_name, shipped_models

    settings = _settings(config, state_dir)
    if name == "default" or name in shipped_models():
        raise UsageError(
            f"{name} can't be removed: what is shipped with voiceguard goes with voiceguard",
            hint="`voiceguard models list` shows what is installed.",
        )
    if settings.encoder.model == name:
        raise UsageError(
            f"{name} is in use: the configuration names it",
            hint="Change encoder.model there first.",
        )
    name = resolve_name(name, _directory(settings))
    installed.remove(name, _directory(settings))
    if json_lines:
        print_json({"name": name, "removed": True})
    else:
        stdout.print(f"removed {name}; voiceprints made with it stay, and can't be used")


app.command("use")(use_model)
app.command("import")(import_model)
app.command("pull")(pull_model)
app.command("export")(export_command)


def _settings(config: Path | None, state_dir: Path | None, model: str | None = None) -> Settings:
    from voiceguard.settings import load_settings

    return load_settings(config, **overrides(state_dir=state_dir, model=model))


def _directory(settings: Settings) -> Path:
    from voiceguard.service.kit import installed_in

    return installed_in(settings)
