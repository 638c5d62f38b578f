"""The loop: crops, corruption, the student's losses, optimiser; checkpoints on the way.

In: a source of crops, an augmenter, a student, a recipe. Out: averaged weights. Every random number
of a step comes from the seed and the step's number, so that a resumed run is the same run.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from voiceguard.errors import VoiceguardError
from voiceguard.lab.corpora.clips import seeded
from voiceguard.lab.progress import untracked
from voiceguard.lab.training import schedule
from voiceguard.lab.training.averaging import follow
from voiceguard.lab.training.checkpoint import (
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

    from voiceguard.lab.progress import Track
    from voiceguard.lab.training.config import TrainingConfig
    from voiceguard.lab.training.corruption.augment import Augmenter
    from voiceguard.lab.training.hardware import Hardware
    from voiceguard.lab.training.speech.heldout import HeldOut
    from voiceguard.lab.training.speech.source import Batch, Source
    from voiceguard.lab.training.students.student import Student


class TrainingError(VoiceguardError):
    """The loss is not a number any more: going on would save rubbish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is reported now and then: means since the last report."""

    step: int
    num_steps: int
    losses: dict[str, float]
    eers: dict[str, float]
    """On held-out speakers; empty where there was no measurement at this step."""
    crops_per_s: float
    remaining_s: float


class Trainer:
    """One run.

    Args:
        config: The recipe.
        student: Who learns.
        source: What is learnt from.
        augmenter: On the device.
        hardware: Where everything is.
        heldout: For the curve of errors; None for no curve.
        run: Names configuration and material, see ``checkpoint``.
    """

    def __init__(
        self,
        config: TrainingConfig,
        student: Student,
        source: Source,
        augmenter: Augmenter,
        hardware: Hardware,
        *,
        heldout: HeldOut | None,
        run: dict[str, Any],
    ) -> None:
        self.config = config
        self.step = 0
        self.history: list[dict[str, Any]] = []
        self._source = source
        self._augmenter = augmenter
        self._heldout = heldout
        self._run = run
        self.student = student
        source.state.to(hardware.device)
        self._optimizer = torch.optim.AdamW(
            list(student.learning()),
            lr=config.learning_rate,
            betas=config.adam_betas,
            weight_decay=config.weight_decay,
            fused=hardware.device.type == "cuda",
        )
        # On the device: to look at a loss is to wait for it.
        self._sums: dict[str, Tensor] = {}
        self._failed_at = torch.full((), -1, dtype=torch.int64, device=hardware.device)

    def begin(self, track: Track = untracked) -> None:
        """Brings source and student to where a run begins, one that is not resumed."""
        self._source.begin(track)
        self.student.begin(self._source)

    def resume(self, path: Path) -> None:
        """Goes on from a checkpoint.

        Raises:
            UsageError: It is another run's.
            StateError: It is damaged.
        """
        tensors, about = load_checkpoint(path, self._run)
        for prefix, module in self._modules().items():
            module.load_state_dict(
                {
                    name.removeprefix(prefix): tensor
                    for name, tensor in tensors.items()
                    if name.startswith(prefix)
                }
            )
        restore_optimizer(self._optimizer, tensors)
        self.step = int(about["step"])
        self.history = about["history"]

    def save(self, path: Path) -> None:
        """Writes a checkpoint.

        Raises:
            StateError: It could not be written; the one before it stands.
        """
        tensors = optimizer_tensors(self._optimizer)
        for prefix, module in self._modules().items():
            tensors |= {prefix + name: tensor for name, tensor in module.state_dict().items()}
        about = {"step": self.step, "history": self.history, "run": self._run}
        save_checkpoint(path, tensors, about)

    def _modules(self) -> dict[str, nn.Module]:
        return {
            "network.": self.student.network,
            "average.": self.student.average,
            "source.": self._source.state,
            **self.student.heads,
        }

    def train(
        self,
        *,
        report_every: int,
        heldout_every: int,
        said_every_s: float,
        on_report: Callable[[Progress], None],
        is_stopped: Callable[[], bool],
    ) -> None:
        """Trains until the last step, or until it is stopped; a step is never left half done.

        Args:
            report_every: Steps between reports that the history keeps.
            heldout_every: Steps between measurements on held-out speakers, reported as well.
            said_every_s: A report in between is made where the last one is so long ago.
            on_report: Called with every report.
            is_stopped: Asked after each step.

        Raises:
            TrainingError: The loss is not finite.
        """
        config = self.config
        num_crops, num_summed, since = 0, 0, time.monotonic()
        first_step, started, said_at = self.step, since, since
        self._sums = {}
        while self.step < config.num_steps and (self.step == first_step or not is_stopped()):
            num_crops += self._train_step()
            num_summed += 1
            self.step += 1
            now = time.monotonic()
            is_last = self.step == config.num_steps
            is_measured = is_last or not self.step % heldout_every
            is_kept = is_measured or not self.step % report_every
            if not is_kept and now - said_at < said_every_s:
                continue
            losses = self._mean_losses(num_summed)
            progress = Progress(
                step=self.step,
                num_steps=config.num_steps,
                losses=losses,
                eers=self.measure() if is_measured else {},
                crops_per_s=num_crops / max(now - since, 1e-9),
                remaining_s=(now - started)
                / (self.step - first_step)
                * (config.num_steps - self.step),
            )
            if is_kept:
                self.history.append(
                    {"step": self.step, "losses": progress.losses, "eers": progress.eers}
                )
                self._sums, num_crops, num_summed, since = {}, 0, 0, time.monotonic()
            said_at = time.monotonic()
            on_report(progress)
        self._raise_if_diverged()

    def _mean_losses(self, num_steps: int) -> dict[str, float]:
        """Since the last report; this is where the device is waited for."""
        self._raise_if_diverged()
        return {name: float(total) / num_steps for name, total in self._sums.items()}

    def _raise_if_diverged(self) -> None:
        if (step := int(self._failed_at)) >= 0:
            raise TrainingError(
                f"the loss is nan at step {step}: training has diverged",
                hint="Go on from the last checkpoint with a lower learning_rate, in another --out.",
            )

    def _train_step(self) -> int:
        """Returns the number of crops. Nothing in it waits for the device."""
        config = self.config
        rng = seeded(config.seed, "step", self.step)
        num_samples = int(schedule.crop_s(config, self.step, rng) * SAMPLE_RATE_HZ)
        num_crops = max(8, int(config.batch_s * SAMPLE_RATE_HZ / num_samples))
        batch = self._source.draw(num_crops, num_samples, rng)
        dirty = self._corrupted(batch, rng)
        others = None
        if config.contrast_weight:
            others = self._source.draw_targets(config.contrast_voices, rng)
        self._optimizer.zero_grad(set_to_none=True)
        losses = self.student.learn(dirty, batch, others, self.step, rng)
        self._descend()
        follow(self.student.average, self.student.network, config.average_decay, self.step)
        self._note(losses)
        return num_crops

    def _corrupted(self, batch: Batch, rng: np.random.Generator) -> Tensor:
        clean = batch.part(slice(len(batch.crops) - batch.num_alike))
        dirty = self._augmenter(clean.crops, rng, speakers=clean.labels)
        return torch.cat([dirty, batch.crops[len(dirty) :]])

    def _descend(self) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = schedule.learning_rate(self.config, self.step)
        nn.utils.clip_grad_norm_(self.student.network.parameters(), self.config.max_gradient_norm)
        self._optimizer.step()

    @torch.no_grad()
    def _note(self, losses: dict[str, Tensor]) -> None:
        for name, value in losses.items():
            total = self._sums.get(name)
            self._sums[name] = value.detach().double() + (0.0 if total is None else total)
        is_first = ~losses["loss"].isfinite() & (self._failed_at < 0)
        self._failed_at = torch.where(is_first, self.step, self._failed_at)

    def measure(self) -> dict[str, float]:
        """EERs of the averaged weights on held-out speakers."""
        return self.measure_by(self.student.embed)

    def measure_by(self, embed: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """The same of any embeddings, ``(batch, num_samples)`` to ``(batch, dim)``."""
        return {} if self._heldout is None else self._heldout.eers(embed)
