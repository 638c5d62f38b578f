"""How `voiceguard models info` shows a card and what was found of its files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from voiceguard.cli.output import print_table, stdout
from voiceguard.encoder.library import shipped_calibration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voiceguard.encoder.foreign.catalogue import KnownEncoder


def print_card(known: Mapping[str, Any]) -> None:
    """All that ``about.examine`` found, for people."""
    size = megabytes(known["num_bytes"])
    intact = "[green]intact[/]" if known["weights_are_intact"] else "[bold red]damaged[/]"
    precision = f"{known['precision']}, " if known["precision"] else ""
    features = {name: value for name, value in known["features"].items() if name != "type"}
    _say(f"[bold]{escape(known['name'])}[/]  encoder id {known['encoder_id']}")
    _say(f"weights {escape(known['path'])}: {size}, {precision}{intact}")
    _say(
        f"{known['architecture']['type']}, {millions(known['num_parameters'])} parameters; "
        f"features {escape(features['version'])}; "
        f"{known['embedding_dim']} dimensions; at least {known['min_window_s']:g} s"
    )
    _say(f"licence {escape(known['licence'])}{_use(known.get('commercial_use'))}")
    if known.get("source"):
        _say(f"{escape(origin(known['source']))}, {escape(known.get('origin_format', ''))}")
    if known.get("published"):
        _say(f"its publisher says: {escape(known['published'])}")
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
        print_table(table)
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
        _say(f"cohort of {cohort['num_speakers']} unnamed voices: {sources or 'source unknown'}")
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


def millions(count: int | None) -> str:
    """``20.80 M``."""
    return "?" if count is None else f"{count / 1e6:.2f} M"


def megabytes(num_bytes: int | None) -> str:
    """``83.3 MB``."""
    return "no file" if num_bytes is None else f"{num_bytes / 1e6:.1f} MB"


def origin(source: str) -> str:
    """A card's source as the end of a sentence: "from DIRECTORY", "exported from NAME"."""
    return source if source.startswith("exported from ") else f"from {source}"


def _use(commercial_use: bool | None) -> str:
    return {None: "", True: " (commercial use allowed)", False: " (no commercial use)"}[
        commercial_use
    ]


def print_known(known: KnownEncoder) -> None:
    """What the catalogue knows of an encoder that is not installed."""
    _say(f"[bold]{escape(known.name)}[/]  {escape(known.family)}, not installed")
    if known.note:
        _say(escape(known.note))
    _say(f"published at {escape(known.source)}")
    _say(f"licence {escape(known.licence or 'not known')}{_use(known.commercial_use)}")
    dimensions = "?" if known.embedding_dim is None else str(known.embedding_dim)
    _say(f"{millions(known.num_parameters)} parameters, {dimensions} dimensions")
    if known.published:
        _say(f"its publisher says: {escape(known.published)}")
    if known.trained_on:
        _say(f"trained on {escape(known.trained_on)}")
    if known.attribution:
        _say(escape(known.attribution))
    if known.needs_trust:
        _say("a program (TorchScript): it can do anything that you can do when it runs")
    _say(calibration_told(known.encoder_id))
    _say(how_to_get(known))


def calibration_told(encoder_id: str | None) -> str:
    """Whether an encoder decides as soon as it is installed, for people."""
    if encoder_id is not None and shipped_calibration(encoder_id) is not None:
        return "voiceguard brings a calibration for it: it decides at once"
    return "voiceguard has no calibration for it: before `voiceguard calibrate` it decides nothing"


def how_to_get(known: KnownEncoder) -> str:
    """The command, for people."""
    if known.elsewhere:
        return (
            f"fetch it at {known.elsewhere}, then "
            f"`voiceguard models import FILE --name {known.name}`"
        )
    trust = " --trust" if known.needs_trust else ""
    return f"`voiceguard models pull {known.name}{trust}` fetches and installs it"
