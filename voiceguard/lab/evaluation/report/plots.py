"""Curves, histograms and bars as SVG that takes its colours from the page it stands in.

Needs matplotlib (extra ``report``). In: scores and figures. Out: SVG text without fonts, scripts or
anything to fetch. Colours are drawn as marks and replaced by CSS variables, so that one drawing
serves light and dark.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from voiceguard.lab.fitting.metrics import det_points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

INK, FAINT, RULE, SOFT = "#010101", "#020202", "#030303", "#040404"
SERIES = ("#0a0001", "#0a0002", "#0a0003", "#0a0004", "#0a0005", "#0a0006")
_VARIABLES = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    RULE: "var(--rule)",
    SOFT: "var(--soft)",
    **{mark: f"var(--series-{number})" for number, mark in enumerate(SERIES, 1)},
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "voiceguard",  # ids that are referred to come of content, not of chance
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": FAINT,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
}
_MAX_COLUMNS = 3
_PANEL_INCHES = 2.9

_DET_TICKS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4)
_DET_LIMITS = (0.0008, 0.5)
_RULE_OF_THIRTY = 30
"""Fewer errors than this leave a rate uncertain by a third or more (Doddington's rule)."""
_NUM_BINS = 45
_PART_COLOURS = (SERIES[0], SOFT, SERIES[2], INK)
_PIXELS_PER_POINT = 1.45
"""A little larger than drawn: matplotlib's points are 4/3 of a pixel."""
_SIZE = re.compile(r'width="[\d.]+pt" height="[\d.]+pt"')
_UNUSED_ID = re.compile(
    r' id="(?:figure|axes|patch|line2d|matplotlib\.axis|[xy]tick|text|legend)_\d+"'
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """One detection-error curve: a name, and the scores of ``(num_trials,)`` of each kind."""

    name: str
    target: NDArray[np.float64]
    nontarget: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Histogram:
    """Scores of several kinds of trial, and where decisions fall."""

    title: str
    groups: dict[str, NDArray[np.float64]]
    """``(num_trials,)`` each, by what they are called."""
    marks: dict[str, float]
    """Thresholds, by what they are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Shares of one whole, from left to right."""

    name: str
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value and how sure it is."""

    name: str
    value: float
    low: float
    high: float


def det_panels(panels: dict[str, list[Curve]]) -> str:
    """Detection-error trade-off, one panel per title, on normal deviate axes.

    Dotted where fewer than thirty errors of a kind were seen.

    Source: A. Martin et al., "The DET curve in assessment of detection task performance",
    Eurospeech 1997.
    """
    with mpl.rc_context(_STYLE):
        figure, axes = _grid(len(panels), _PANEL_INCHES + 0.25)
        for axis, (title, curves) in zip(axes, panels.items(), strict=True):
            axis.set_title(title)
            for colour, curve in zip(SERIES, curves, strict=False):
                _draw_det(axis, curve, colour)
            _dress_det(axis)
        _legend(figure, axes[0])
        return _svg(figure)


def _draw_det(axis: Axes, curve: Curve, colour: str) -> None:
    points = det_points(curve.target, curve.nontarget)
    low, high = _DET_LIMITS
    p_fa = np.clip(points.p_fa, low / 2, 1 - low)
    p_miss = np.clip(points.p_miss, low / 2, 1 - low)
    sure = (points.p_fa * len(curve.nontarget) >= _RULE_OF_THIRTY) & (
        points.p_miss * len(curve.target) >= _RULE_OF_THIRTY
    )
    steps = np.linspace(0, len(p_fa) - 1, 1500).round().astype(np.int64)
    kept = np.unique(steps[(p_fa[steps] <= high * 1.2) & (p_miss[steps] <= high * 1.2)])
    x, y = _probit(p_fa[kept]), _probit(p_miss[kept])
    axis.plot(x, y, color=colour, linewidth=1.0, linestyle=(0, (1, 1.6)), alpha=0.8)
    axis.plot(
        np.where(sure[kept], x, np.nan),
        np.where(sure[kept], y, np.nan),
        color=colour,
        label=curve.name,
    )


def _dress_det(axis: Axes) -> None:
    ticks = _probit(np.array(_DET_TICKS))
    names = [f"{100 * tick:g}" for tick in _DET_TICKS]
    limits = _probit(np.array(_DET_LIMITS))
    axis.set_xticks(ticks, names)
    axis.set_yticks(ticks, names)
    axis.set_xlim(limits[0], limits[1])
    axis.set_ylim(limits[0], limits[1])
    axis.plot(limits, limits, color=RULE, linewidth=0.8)
    axis.set_aspect("equal")
    axis.set_xlabel("false accepts, %")
    axis.set_ylabel("misses, %")


def _probit(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    inverse = NormalDist().inv_cdf
    return np.array([inverse(float(rate)) for rate in rates])


def lines(series: dict[str, list[tuple[str, float]]], *, ylabel: str, title: str = "") -> str:
    """A value per length of speech and series; the y axis begins at 0."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(2 * _PANEL_INCHES, _PANEL_INCHES), layout="constrained")
        axis = figure.subplots()
        axis.set_title(title)
        names = list(dict.fromkeys(name for points in series.values() for name, _ in points))
        for colour, (label, points) in zip(SERIES, series.items(), strict=False):
            x = [names.index(name) for name, _ in points]
            y = [value for _, value in points]
            axis.plot(x, y, color=colour, marker="o", markersize=4, label=label)
        axis.set_xticks(range(len(names)), names)
        axis.set_ylim(bottom=0)
        axis.set_ylabel(ylabel)
        axis.grid(visible=False, axis="x")
        _legend(figure, axis, num_columns=2)
        return _svg(figure)


def histogram_panels(panels: Sequence[Histogram], *, xlabel: str) -> str:
    """Each group's density, on a shared axis, with thresholds as upright lines."""
    with mpl.rc_context(_STYLE):
        figure, axes = _grid(len(panels), 0.72 * _PANEL_INCHES)
        values = np.concatenate([each for panel in panels for each in panel.groups.values()])
        low, high = np.quantile(values, [0.0005, 0.9995])
        bins = np.linspace(low, high, _NUM_BINS)
        for axis, panel in zip(axes, panels, strict=True):
            axis.set_title(panel.title)
            for colour, (name, scores) in zip(SERIES, panel.groups.items(), strict=False):
                axis.hist(
                    np.clip(scores, low, high), bins=bins.tolist(), density=True,
                    histtype="stepfilled", facecolor=colour, alpha=0.35, label=name,
                )  # fmt: skip
            for style, (name, place) in zip(("-", "--", ":"), panel.marks.items(), strict=False):
                axis.axvline(place, color=INK, linewidth=1.0, linestyle=style, label=name)
            axis.set_yticks([])
            axis.spines["left"].set_visible(False)
            axis.set_xlabel(xlabel)
        _legend(figure, axes[0])
        return _svg(figure)


def bar_panels(panels: dict[str, list[Bar]], names: Sequence[str]) -> str:
    """Stacked shares of 100 %, one row per bar; ``names`` of the parts, in their order."""
    with mpl.rc_context(_STYLE):
        num_rows = max(len(bars) for bars in panels.values())
        figure, axes = _grid(len(panels), 0.55 + 0.24 * num_rows)
        for axis, (title, bars) in zip(axes, panels.items(), strict=True):
            axis.set_title(title)
            left = np.zeros(len(bars))
            for colour, part, name in zip(_PART_COLOURS, range(len(names)), names, strict=False):
                width = np.array([100 * bar.shares[part] for bar in bars])
                axis.barh(range(len(bars)), width, left=left, height=0.7, color=colour, label=name)
                left += width
            axis.set_yticks(range(len(bars)), [bar.name for bar in bars])
            axis.invert_yaxis()
            axis.set_xlim(0, 100)
            axis.grid(visible=False)
            axis.set_xlabel("% of the trials")
        _legend(figure, axes[0])
        return _svg(figure)


def interval_panels(
    panels: dict[str, list[Interval]], *, promises: Sequence[float], xlabel: str
) -> str:
    """Dots with their intervals, one panel per title, and its promise as an upright line."""
    with mpl.rc_context(_STYLE):
        num_rows = max(len(intervals) for intervals in panels.values())
        figure, axes = _grid(len(panels), 0.6 + 0.26 * num_rows)
        for axis, promise, (title, rows) in zip(axes, promises, panels.items(), strict=True):
            axis.set_title(title)
            axis.axvline(promise, color=SERIES[1], linewidth=1.4, label="promised")
            y = range(len(rows))
            axis.hlines(y, [row.low for row in rows], [row.high for row in rows], color=SERIES[0])
            values = [row.value for row in rows]
            axis.plot(values, y, "o", color=SERIES[0], label="measured", clip_on=False)
            axis.set_yticks(y, [row.name for row in rows])
            axis.set_ylim(len(rows) - 0.5, -0.5)
            axis.set_xlim(left=0)
            axis.grid(visible=False, axis="y")
            axis.set_xlabel(xlabel)
        _legend(figure, axes[0])
        return _svg(figure)


def _grid(num_panels: int, height_inches: float) -> tuple[Figure, list[Axes]]:
    num_columns = min(num_panels, _MAX_COLUMNS)
    num_rows = -(-num_panels // num_columns)
    figure = Figure(
        figsize=(_PANEL_INCHES * num_columns, height_inches * num_rows + 0.35),
        layout="constrained",
    )
    axes = figure.subplots(num_rows, num_columns, squeeze=False).ravel().tolist()
    for empty in axes[num_panels:]:
        empty.set_visible(False)
    return figure, axes[:num_panels]


def _legend(figure: Figure, axis: Axes, num_columns: int = 5) -> None:
    handles, names = axis.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=num_columns, fontsize=8.5)


def _svg(figure: Figure) -> str:
    """The drawing alone, its colours by name, its ids unlike any other drawing's."""
    buffer = io.StringIO()
    # Without a date, so that the same figures give the same file.
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = _UNUSED_ID.sub("", text)
    width_px = round(72 * figure.get_size_inches()[0] * _PIXELS_PER_POINT)
    text = _SIZE.sub(rf'style="max-width: {width_px}px"', text, count=1)
    for mark, variable in _VARIABLES.items():
        text = text.replace(mark, variable)
    return text
