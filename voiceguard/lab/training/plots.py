"""The course of a run as a picture.

In: the history of a trainer. Out: a PNG: losses, and errors on held-out speakers, over the steps.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from voiceguard.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def can_plot() -> bool:
    """Whether matplotlib is installed: an extra, which a run does without."""
    return find_spec("matplotlib") is not None


def plot_progress(history: Sequence[dict[str, Any]], path: Path, *, title: str) -> None:
    """Draws it.

    Args:
        history: Of ``Trainer``.
        path: Of the PNG.
        title: Above it.

    Raises:
        ImportError: See ``can_plot``.
        StateError: It could not be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy, and an extra

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    figure.suptitle(title)
    losses, errors = figure.subplots(1, 2)
    steps = [row["step"] for row in history]
    for name in history[0]["losses"] if history else ():
        losses.plot(steps, [row["losses"][name] for row in history], label=name, linewidth=1.2)
    losses.set(xlabel="step", ylabel="loss (parts unweighted)", yscale="log")
    measured = [row for row in history if row["eers"]]
    for name in measured[0]["eers"] if measured else ():
        style = "--" if "corrupted" in name else "-"
        values = [100 * row["eers"][name] for row in measured]
        errors.plot([row["step"] for row in measured], values, style, label=name, linewidth=1.2)
    errors.set(xlabel="step", ylabel="EER on held-out speakers, %")
    errors.set_ylim(bottom=0)
    for axes in (losses, errors):
        axes.grid(visible=True, alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=8, frameon=False)
    try:
        figure.savefig(path, dpi=130)
    except OSError as error:
        raise StateError(f"{path} could not be written: {error.strerror}") from error
