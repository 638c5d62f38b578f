"""``voiceguard models``: which encoders there are, all that is known of one, which is in use."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from voiceguard.cli.export import export_command
from voiceguard.cli.models_about import examine, rows
from voiceguard.cli.models_import import import_model, pull_model
from voiceguard.cli.models_show import megabytes, millions, print_card, print_known
from voiceguard.cli.models_use import use_model
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


@app.command("list")
def list_models(
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """List the encoders that are shipped, installed, and known to be published elsewhere.

    Any .safetensors file with its card works as well. Published figures are their publishers'
    own, on other trials than voiceguard's.
    """
    found = rows(_settings(config, state_dir))
    if json_lines:
        for row in found:
            print_json(asdict(row))
        return
    here = _table("encoder id", "parameters", "dimensions", "file", "calibrated", "from")
    published = _table("parameters", "dimensions", "its publisher says", "from")
    for row in found:
        about = [row.name, escape(row.licence or "?"), _COMMERCIAL[row.commercial_use]]
        sizes = [millions(row.num_parameters), str(row.embedding_dim or "?")]
        source = escape(row.source.partition(" (")[0].partition("@")[0] or "-")
        if row.state == "known":
            published.add_row(*about, *sizes, escape(row.published or "-"), source)
            continue
        state = "[bold green]in use[/]" if row.is_in_use else row.state
        file, calibrated = megabytes(row.num_bytes), "yes" if row.is_calibrated else "no"
        here.add_row(*about, row.encoder_id or "-", *sizes, file, calibrated, f"{source}, {state}")
    stdout.print(here)
    stdout.print("\npublished, not installed; `voiceguard models pull NAME`, `models info NAME`:")
    stdout.print(published)


_COMMERCIAL = {None: "?", True: "yes", False: "[yellow]no[/]"}


def _table(*titles: str) -> Table:
    """Begins with name and licence, which are never cut."""
    table = Table(box=None)
    for title in ("name", "licence", "commercial"):
        table.add_column(title, no_wrap=True)
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


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
    from voiceguard.encoder.catalogue import find_known
    from voiceguard.encoder.installed import installed_models

    settings = _settings(config, state_dir, model)
    published = None if model is None else find_known(model)
    if published is not None and model not in installed_models(_directory(settings)):
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
    from voiceguard.encoder.registry import shipped_models

    settings = _settings(config, state_dir)
    known = [*shipped_models(), *installed_models(_directory(settings))]
    if name is not None and name not in known:
        raise UsageError(f"there is no encoder {name!r} here", hint=f"there are {', '.join(known)}")
    all_intact = True
    for each in known if name is None else [name]:
        with stderr.status(each):
            result = _verified(each, settings)
        all_intact &= result["is_intact"]
        if json_lines:
            print_json(result)
            continue
        golden = result["deviation"]
        told = "" if golden is None else f", golden embedding to {golden:.0e} of its largest entry"
        state = "[green]intact[/]" if result["is_intact"] else "[bold red]not intact[/]"
        stdout.print(f"{each}: {state}{told}", soft_wrap=True)
        if result["fault"]:
            stderr.print(f"[bold red]fault:[/] {escape(result['fault'])}", soft_wrap=True)
    return ExitCode.OK if all_intact else ExitCode.FAILURE


def _verified(name: str, settings: Settings) -> dict[str, Any]:
    from voiceguard.encoder import golden
    from voiceguard.encoder.checkpoints import native
    from voiceguard.encoder.registry import find_model, load_file

    fault, deviation = "", None
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
        fault = str(error)
    return {"name": name, "is_intact": not fault, "deviation": deviation, "fault": fault}


@app.command()
def remove(
    name: NameOption,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Delete an installed encoder. Neither the one in use nor one that is shipped."""
    from voiceguard.encoder import installed
    from voiceguard.encoder.registry import shipped_models

    settings = _settings(config, state_dir)
    if name in shipped_models():
        raise UsageError(f"{name} is shipped with voiceguard, not installed", hint="Let it be.")
    if settings.encoder.model == name:
        raise UsageError(
            f"{name} is in use: the configuration names it",
            hint="Change encoder.model there first.",
        )
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
    from voiceguard.compose import installed_in

    return installed_in(settings)
