"""The evaluation as one HTML page: curves, histograms, tables, and how to read them.

In: an ``EncoderEvaluation``, an ``Evaluation`` of the daemon's path, and what was measured on. Out:
a file that needs nothing but itself: no scripts, no fonts, nothing fetched. Light or dark, as the
reader's system has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from importlib import resources
from importlib.util import find_spec
from typing import TYPE_CHECKING

from voiceguard.errors import UsageError, install_command
from voiceguard.lab.evaluation.report.encoder_tables import encoder_tables
from voiceguard.lab.evaluation.report.tables import daemon_tables, eer_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.table import Table

    from voiceguard.lab.evaluation.daemon.evaluation import Evaluation
    from voiceguard.lab.evaluation.encoders.results import EncoderEvaluation
    from voiceguard.lab.evaluation.report.drawings import Drawing, Tile

_LONG_TABLE = 24
"""Rows; a longer table is folded away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What was measured, on what, by whom."""

    title: str
    facts: dict[str, str]
    """Corpus, encoder, command, date, machine: by name."""


def check_report(path: Path) -> None:
    """Refuses a report that could not be written in the end, before hours of work.

    Args:
        path: Where it shall go.

    Raises:
        UsageError: matplotlib is missing, or no file can be written there.
    """
    if find_spec("matplotlib") is None:
        raise UsageError(
            "a report with plots needs matplotlib, which is not installed",
            hint=f"run `{install_command('matplotlib')}`, or leave --report out",
        )
    is_new = not path.exists()
    try:
        with path.open("ab"):
            pass
        if is_new:
            path.unlink()
    except OSError as error:
        raise UsageError(
            f"the report {path} cannot be written: {error.strerror}",
            hint="name a file in a directory that exists and that you may write to",
        ) from error


def write_report(
    path: Path,
    about: About,
    *,
    encoders: EncoderEvaluation,
    daemon: Evaluation | None,
) -> None:
    """Draws and writes the page.

    Args:
        path: Replaced if it is there.
        about: For the head of the page.
        encoders: Encoder by encoder.
        daemon: The daemon's path; None: scores only.
    """
    from voiceguard.lab.evaluation.report import drawings  # noqa: PLC0415 - matplotlib is an extra

    sections = [
        _facts(about),
        _tiles(drawings.tiles(encoders, daemon)),
        *(_figure(each) for each in drawings.encoder_drawings(encoders)),
        *(_table(each) for each in (eer_table(encoders), *encoder_tables(encoders))),
    ]
    if daemon is not None:
        sections += [
            f"<h2>The daemon's path</h2><p>{escape(_judged_by(daemon))}</p>",
            *(_figure(each) for each in drawings.daemon_drawings(daemon)),
            *(_table(each) for each in daemon_tables(daemon)),
        ]
    sections.append(_resource("how_to_read.html"))
    page = _resource("report.html")
    page = page.replace("@@TITLE@@", escape(about.title)).replace("@@BODY@@", "\n".join(sections))
    path.write_text(page, encoding="utf-8")


def _judged_by(daemon: Evaluation) -> str:
    return (
        f"Microphone to decision: gate, windows, encoder, score normalisation, calibration and "
        f"policy as the daemon has them. Calibration: {daemon.choice.judged} "
        f"({daemon.choice.reason}). {len(daemon.experiment.enrolled)} speakers enrolled, each in "
        "turn the only one."
    )


def _resource(name: str) -> str:
    return (
        resources.files("voiceguard.lab.evaluation.report")
        .joinpath(name)
        .read_text(encoding="utf-8")
    )


def _facts(about: About) -> str:
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in about.facts.items()
    )
    return f"<dl class='facts'>{rows}</dl>"


def _tiles(tiles: Sequence[Tile]) -> str:
    cards = "".join(
        f"<div class='tile'><b>{escape(tile.value)}</b><span>{escape(tile.what)}</span>"
        f"<small>{escape(tile.note)}</small></div>"
        for tile in tiles
    )
    return f"<div class='tiles'>{cards}</div>"


def _figure(drawing: Drawing) -> str:
    return (
        f"<figure><h3>{escape(drawing.title)}</h3>{drawing.svg}"
        f"<figcaption>{escape(drawing.caption)}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    """A table made for the terminal, for the page."""
    heads = "".join(
        f"<th class='{column.justify}'>{escape(str(column.header))}</th>"
        for column in table.columns
    )
    cells = zip(*(list(column.cells) for column in table.columns), strict=True)
    justify = [column.justify for column in table.columns]
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td class='{side}'>{escape(str(cell))}</td>"
            for side, cell in zip(justify, row, strict=True)
        )
        + "</tr>"
        for row in cells
    )
    body = (
        f"<div class='scroll'><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        f"</div><p class='caption'>{escape(str(table.caption or ''))}</p>"
    )
    title = escape(str(table.title or ""))
    if table.row_count > _LONG_TABLE:
        return (
            f"<details><summary>{title} <small>({table.row_count} rows)</small></summary>"
            f"{body}</details>"
        )
    return f"<section class='sheet'><h3>{title}</h3>{body}</section>"
