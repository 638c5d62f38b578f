"""A run's course: its state on disk once a minute, so that it can be stopped and goes on exactly.

In: a learner and a folder. Out: in that folder a checkpoint, and whatever is done at every save.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voiceguard.lab.training.checkpoint import NAME, load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voiceguard.lab.training.overlap.learning import Learner

SAVE_EVERY_S, REPORT_EVERY = 60.0, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Whom a run tells what; each is called between two steps."""

    is_stopped: Callable[[], bool]
    on_report: Callable[[str], None]
    on_saved: Callable[[], None]
    """After every save: the average is what it is then."""


class Course:
    """The steps of one run.

    Args:
        learner: At its beginning; it goes on where the folder says that it was.
        folder: Of the run, made already.
        run: Names what a checkpoint is bound to.

    Raises:
        UsageError: The folder holds another run.
        StateError: Its checkpoint is damaged.
    """

    def __init__(self, learner: Learner, folder: Path, run: dict[str, Any]) -> None:
        self._learner = learner
        self._path = folder / NAME
        self._run = run
        if self._path.exists():
            tensors, about = load_checkpoint(self._path, run)
            learner.resume(tensors, int(about["step"]))

    def follow(self, told: Told, *, save_every_s: float = SAVE_EVERY_S) -> bool:
        """To the last step, or until it is stopped, and saves; whether that was the last step.

        Raises:
            TrainingError: The loss is not finite; the last checkpoint stands.
            StateError: A checkpoint could not be written.
        """
        learner, num_steps = self._learner, self._learner.recipe.num_steps
        losses: list[float] = []
        first, began_s = learner.number, time.monotonic()
        saved_s = began_s
        while learner.number < num_steps and not told.is_stopped():
            losses.append(learner.step())
            now_s = time.monotonic()
            if learner.number % REPORT_EVERY == 0 or learner.number == first + 1:
                left_s = (now_s - began_s) / (learner.number - first) * (num_steps - learner.number)
                mean = sum(losses) / len(losses)
                told.on_report(
                    f"step {learner.number}/{num_steps}: loss {mean:.4f}, "
                    f"{left_s / 60:.0f} min left"
                )
                losses.clear()
            if now_s - saved_s >= save_every_s and learner.number < num_steps:
                self._save(told)
                saved_s = time.monotonic()
        self._save(told)
        return learner.number == num_steps

    def _save(self, told: Told) -> None:
        about = {"step": self._learner.number, "run": self._run}
        save_checkpoint(self._path, self._learner.tensors(), about)
        told.on_saved()
