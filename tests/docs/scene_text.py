"""The run over the demo's scene in characters, for README: it has no place for a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.docs.scene_run import level_dbfs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.docs.scene_run import SceneRun

COLUMNS_PER_S = 2
LABEL_WIDTH = 8
BARS = " ▁▂▃▄▅▆▇█"
QUIET_DBFS, LOUD_DBFS = -66.0, -20.0


def scene_text(run: SceneRun) -> str:
    """Lines of at most 86 characters."""
    width = round(run.scene.duration_s * COLUMNS_PER_S)
    said = [(item.start_s, item.who or item.text.strip("()")) for item in run.scene.said]
    decided = [(each["start_s"], each["outcome"]) for each in run.finals]
    llr = [
        (each["start_s"], f"{each['scores'][0]['llr']:+.1f}" if each["scores"] else "too short")
        for each in run.finals
    ]
    lines = [
        ("seconds", _placed([(s, str(s)) for s in range(0, int(run.scene.duration_s), 5)], width)),
        *_rows("said", said, width),
        ("level", _level(run, width)),
        ("gate", _gate(run, width)),
        *_rows("LLR", llr, width),
        *_rows("decided", decided, width),
    ]
    return "\n".join(f"{name:{LABEL_WIDTH}} {line}".rstrip() for name, line in lines)


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


def _placed(labels: Iterable[tuple[float, str]], width: int) -> str:
    line = [" "] * width
    for at_s, text in labels:
        column = round(at_s * COLUMNS_PER_S)
        line[column : column + len(text)] = text
    return "".join(line)


def _rows(name: str, labels: list[tuple[float, str]], width: int) -> list[tuple[str, str]]:
    """As few rows as it takes for no label to run into another."""
    rows: list[list[tuple[float, str]]] = [[]]
    for at_s, text in labels:
        for row in rows:
            if not row or row[-1][0] * COLUMNS_PER_S + len(row[-1][1]) + 1 <= at_s * COLUMNS_PER_S:
                row.append((at_s, text))
                break
        else:
            rows.append([(at_s, text)])
    return [(name if not number else "", _placed(row, width)) for number, row in enumerate(rows)]
