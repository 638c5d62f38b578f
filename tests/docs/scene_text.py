"""The run over the demo's scene in characters, for README: it has no place for a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.docs.scene_run import level_dbfs

if TYPE_CHECKING:
    from tests.docs.scene_run import SceneRun

COLUMNS_PER_S = 2
LABEL_WIDTH = 8
BARS = " ▁▂▃▄▅▆▇█"
QUIET_DBFS, LOUD_DBFS = -66.0, -20.0


def scene_text(run: SceneRun) -> str:
    """Lines of at most 86 characters."""
    width = round(run.scene.duration_s * COLUMNS_PER_S)
    said = [
        (_middle(item.start_s, item.end_s), item.who or " ".join(item.text.strip("()").split()[:2]))
        for item in run.scene.said
        if run.about(item)
    ]
    finals = [(_middle(each["start_s"], each["end_s"]), each) for each in run.finals]
    decided = [
        (at, str(each["reason"] if each["outcome"] == "inconclusive" else each["outcome"]))
        for at, each in finals
    ]
    llr = [(at, f"{each['scores'][0]['llr']:+.1f}") for at, each in finals if each["scores"]]
    seconds = [(float(at_s * COLUMNS_PER_S), str(at_s)) for at_s in range(0, int(width / 2), 5)]
    lines = [
        *_rows("seconds", seconds, width),
        *_rows("said", said, width),
        ("level", _level(run, width)),
        ("gate", _gate(run, width)),
        *_rows("LLR", llr, width),
        *_rows("decided", decided, width),
    ]
    return "\n".join(f"{name:{LABEL_WIDTH}} {line}".rstrip() for name, line in lines)


def _middle(start_s: float, end_s: float) -> float:
    return (start_s + end_s) / 2 * COLUMNS_PER_S


def _level(run: SceneRun, width: int) -> str:
    loudest = [part.max() for part in np.array_split(level_dbfs(run.scene), width)]
    share = np.clip((np.array(loudest) - QUIET_DBFS) / (LOUD_DBFS - QUIET_DBFS), 0, 1)
    return "".join(BARS[round(each * (len(BARS) - 1))] for each in share.tolist())


def _gate(run: SceneRun, width: int) -> str:
    middles_s = (np.arange(width) + 0.5) / COLUMNS_PER_S
    is_open = np.zeros(width, dtype=bool)
    for segment in run.segments:
        is_open |= (middles_s >= segment.start_s) & (middles_s < segment.end_s)
        is_open[round(segment.start_s * COLUMNS_PER_S)] = True
    return "".join("█" if each else "·" for each in is_open.tolist())


def _rows(name: str, labels: list[tuple[float, str]], width: int) -> list[tuple[str, str]]:
    """Labels around their columns, in as few rows as it takes for none to touch another."""
    rows: list[list[str]] = []
    for middle, label in labels:
        text = label.replace("_", " ")
        first = max(0, round(middle - len(text) / 2))
        place = slice(max(0, first - 1), first + len(text) + 1)
        row = next((row for row in rows if set(row[place]) == {" "}), None)
        if row is None:
            row = [" "] * width
            rows.append(row)
        row[first : first + len(text)] = text
    return [(name if not number else "", "".join(row)) for number, row in enumerate(rows)]
