"""The run over the demo's scene as a picture: said, level, gate, LLR, decisions. SVG.

Drawn by matplotlib, with text as text. The same run gives the same file.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from tests.docs.scene_run import level_dbfs
from voiceguard.types import FRAME_S

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tests.docs.scene_run import SceneRun

INK, FAINT, RULE, PAPER, GATE = "#1f2933", "#66727f", "#d5dae0", "#ffffff", "#dbe7f5"
LEVEL = "#4a78b5"
EVERY_FRAMES = 5
WIDE_S = 2.0
"""A box shorter than this has its text beside it."""
OUTCOMES = {"accepted": "#2e7d4f", "unknown": "#b3402e", "inconclusive": "#8a6d1b"}
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "voiceguard",
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": FAINT,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def scene_svg(run: SceneRun) -> str:
    """The whole picture."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 5.2), facecolor=PAPER)
        said, level, llr, decided = figure.subplots(
            4,
            1,
            sharex=True,
            gridspec_kw={"height_ratios": (0.75, 1.3, 1.9, 0.75), "hspace": 0.12},
        )
        figure.subplots_adjust(left=0.08, right=0.985, top=0.985, bottom=0.1)
        _draw_said(said, run)
        _draw_level(level, run)
        _draw_llr(llr, run)
        _draw_decisions(decided, run)
        said.set_xlim(0, run.scene.duration_s)
        said.set_xticks(np.arange(0, run.scene.duration_s, 5))
        decided.tick_params(bottom=True, labelbottom=True)
        decided.set_xlabel("seconds")
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    # A hundredth of a point is enough, and half the size.
    short = re.sub(r"(\d\.\d\d)\d+", r"\1", out.getvalue())
    return re.sub(r"\s*\n(?=[ML] [\d-]|z)", " ", short)


def _draw_said(axes: Axes, run: SceneRun) -> None:
    _strip(axes, "said")
    for item in run.scene.said:
        if not run.about(item):
            continue
        colour, weight = (INK, "bold") if item.is_enrolled else (FAINT, "normal")
        who = item.who or item.text.strip("()")
        middle_s = (item.start_s + item.end_s) / 2
        axes.plot([item.start_s, item.end_s], [0.2, 0.2], color=colour, linewidth=3)
        axes.text(middle_s, 0.65, who, ha="center", va="center", weight=weight, color=colour)


def _draw_level(axes: Axes, run: SceneRun) -> None:
    level = level_dbfs(run.scene)[::EVERY_FRAMES]
    at_s = np.arange(len(level)) * EVERY_FRAMES * FRAME_S
    axes.fill_between(at_s, -75, level, color=LEVEL, linewidth=0)
    axes.set_ylim(-75, -10)
    axes.set_yticks([-60, -40, -20])
    axes.set_ylabel("level\ndBFS", rotation=0, ha="right", va="center")
    _shade_gate(axes, run)
    end_s = next(each.end_s for each in run.segments)
    axes.text(end_s + 0.1, -17, "\u25c2 gate open", color=FAINT, size=8.5, va="center")


def _draw_llr(axes: Axes, run: SceneRun) -> None:
    _shade_gate(axes, run)
    green = OUTCOMES["accepted"]
    axes.axhline(run.accept_llr, color=green, linewidth=1, linestyle=(0, (4, 3)))
    axes.axhline(0, color=RULE, linewidth=0.8)
    label = f"more than {run.accept_llr:.1f}: accepted"
    axes.text(28.0, run.accept_llr + 0.6, label, color=green, size=8.5)
    for segment in run.segments:
        axes.plot(segment.at_s, segment.llr, color=INK, linewidth=1.4, marker="o", markersize=3.2)
    early = [each for each in run.decisions if not each.is_final and each.llr is not None]
    for each in early:
        at = (each.payload["end_s"], each.llr or 0.0)
        axes.plot(*at, marker="o", markersize=8, color=green, fillstyle="none")
    for each in early[:1]:
        after_s = each.payload["end_s"] - each.payload["start_s"]
        note = f"accepted provisionally after {after_s:.1f} s"
        axes.text(5.45, (each.llr or 0.0) + 0.4, note, color=green, size=8.5, va="center")
    axes.set_ylim(-11, 12.5)
    axes.set_yticks([-10, -5, 0, 5, 10])
    axes.set_ylabel("LLR", rotation=0, ha="right", va="center")


def _draw_decisions(axes: Axes, run: SceneRun) -> None:
    _strip(axes, "decided")
    for payload in run.finals:
        outcome, start_s, end_s = payload["outcome"], payload["start_s"], payload["end_s"]
        colour = OUTCOMES[outcome]
        axes.axvspan(start_s, end_s, color=colour, linewidth=0)
        if end_s - start_s > WIDE_S:
            place: dict[str, Any] = {"x": (start_s + end_s) / 2, "ha": "center", "color": PAPER}
        else:
            outcome = outcome if outcome == "unknown" else payload["reason"].replace("_", "\n")
            place = {"x": end_s + 0.15, "ha": "left", "color": colour}
        axes.text(y=0.5, s=outcome, va="center", weight="bold", size=9, **place)


def _shade_gate(axes: Axes, run: SceneRun) -> None:
    for segment in run.segments:
        axes.axvspan(segment.start_s, segment.end_s, color=GATE, linewidth=0, zorder=0)


def _strip(axes: Axes, label: str) -> None:
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.set_ylabel(label, rotation=0, ha="right", va="center")
    axes.spines["left"].set_visible(False)
    axes.tick_params(bottom=False)
