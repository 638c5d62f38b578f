"""``voiceguard models list``: what there is and what could be had, two lines for each encoder."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.markup import escape

from voiceguard.cli.models.show import megabytes, millions, origin
from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption
from voiceguard.cli.output import print_hanging, print_json, stdout
from voiceguard.cli.settings import configured
from voiceguard.encoder.library import resolve_name
from voiceguard.service.encoders import Row, rows
from voiceguard.service.kit import installed_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.settings import Settings

_COMMERCIAL = {None: "?", True: "yes", False: "no"}
_HERE = ("  name", "params", "dim.", "file", "calibrated", "commercial")
_ELSEWHERE = ("  name", "params", "dim.", "commercial")
_INDENT = 4


def list_models(
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """List the encoders that are shipped, installed, and known to be published elsewhere.

    The one in use has a star; "commercial" is whether its licence allows commercial use. Any
    .safetensors file with its card works as well. Published figures are their publishers' own, on
    other trials than voiceguard's.
    """
    settings = configured(config, state_dir=state_dir)
    found = rows(settings)
    if json_lines:
        for row in found:
            print_json(asdict(row))
        return
    here = [row for row in found if row.state != "known"]
    _print([_HERE, *map(_cells_here, here)], [[], *map(_details_here, here)])
    if not any(row.is_in_use for row in here):
        _say_elsewhere(settings)
    published = [row for row in found if row.state == "known"]
    stdout.print("\npublished, not installed; `voiceguard models info NAME` says how to get it:\n")
    _print(
        [_ELSEWHERE, *map(_cells_elsewhere, published)], [[], *map(_details_elsewhere, published)]
    )


def _say_elsewhere(settings: Settings) -> None:
    """None of the rows is in use: a file is, or one that was removed by hand."""
    model = settings.encoder.model
    if model != "default":
        told = f"in use: {model}, which the configuration names"
    else:
        told = (
            f"in use: {resolve_name(model, installed_in(settings))}, which is not here any more; "
            "`voiceguard models use default` goes back to the shipped one"
        )
    stdout.print(told, markup=False, soft_wrap=True)


def _cells_here(row: Row) -> Sequence[str]:
    return (
        f"{'*' if row.is_in_use else ' '} {row.name}",
        millions(row.num_parameters),
        str(row.embedding_dim or "?"),
        megabytes(row.num_bytes),
        "yes" if row.is_calibrated else "no",
        _COMMERCIAL[row.commercial_use],
    )


def _details_here(row: Row) -> Sequence[str]:
    licence = row.licence or "licence not known"
    if licence.startswith("not stated"):  # as importers write it; whoever wants more asks `info`
        licence = "licence not stated"
    return (
        *([row.note] if row.note else []),
        f"{row.state}, id {row.encoder_id or '?'}, {licence}",
        *([origin(_short(row.source))] if row.state == "installed" and row.source else []),
        *([f"its publisher says: {row.published}"] if row.published else []),
    )


def _cells_elsewhere(row: Row) -> Sequence[str]:
    return (
        f"  {row.name}",
        millions(row.num_parameters),
        str(row.embedding_dim or "?"),
        _COMMERCIAL[row.commercial_use],
    )


def _details_elsewhere(row: Row) -> Sequence[str]:
    return (
        *([row.note] if row.note else []),
        f"{row.licence or 'licence not known'}, {origin(_short(row.source))}",
        *([f"its publisher says: {row.published}"] if row.published else []),
    )


def _short(source: str) -> str:
    """A repository or path; its commit and hashes are in `models info`."""
    return source.partition(" (")[0].partition("@")[0]


def _print(table: Sequence[Sequence[str]], details: Sequence[Sequence[str]]) -> None:
    """Aligned rows, never folded; below each what may be long, indented and folded.

    Not rich's table: its cells can't span columns.
    """
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for number, (cells, below) in enumerate(zip(table, details, strict=True)):
        line = escape("  ".join(map(str.ljust, cells, widths)).rstrip())
        style = "bold" if number == 0 else "green" if cells[0].startswith("*") else ""
        stdout.print(f"[{style}]{line}[/]" if style else line, soft_wrap=True)
        for detail in below:
            print_hanging(stdout, "", detail, _INDENT, style="dim", is_folded=True)
