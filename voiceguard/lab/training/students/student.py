"""What a run teaches, whichever network it is: the trainer knows no more of it than this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np
    from torch import Tensor, nn

    from voiceguard.lab.training.speech.source import Batch, Source

EMBEDDED_AT_ONCE = 64
"""Recordings, where nothing is learnt from them."""


class Student(Protocol):
    """A network that learns, and its moving average, which is kept."""

    @property
    def network(self) -> nn.Module:
        """As the last step left it, on the device."""

    @property
    def average(self) -> nn.Module:
        """In evaluation mode; the trainer moves it after every step."""

    @property
    def heads(self) -> Mapping[str, nn.Module]:
        """What only training needs, by its prefix in a checkpoint."""

    def learning(self) -> Iterable[nn.Parameter]:
        """What the optimiser changes, always in the same order."""

    def begin(self, source: Source) -> None:
        """Fits the heads to a network that knows voices already; a resumed run does without."""

    def learn(
        self,
        crops: Tensor,
        batch: Batch,
        others: Tensor | None,
        step: int,
        rng: np.random.Generator,
    ) -> dict[str, Tensor]:
        """Adds the gradients of a batch to what learns.

        Args:
            crops: ``(num_crops, num_samples)`` on the device, corrupted.
            batch: What they were cut from, with its targets.
            others: ``(num_others, teacher_dim)``, targets of other voices.
            step: Counted from 0.
            rng: For what is drawn besides.

        Returns:
            ``loss``, and its parts unweighted, each ``()`` on the device: nothing waits for it.
        """

    def embed(self, samples: Tensor) -> Tensor:
        """``(batch, num_samples)`` to ``(batch, dim)`` by the average, not normalised."""

    def embed_before(self, samples: Tensor) -> Tensor:
        """``(batch, num_samples)`` to ``(batch, dim)`` by what ``finish`` is measured against."""

    def finish(self, voices: Iterator[tuple[Tensor, Tensor]]) -> None:
        """Makes the average what is kept; the last thing that is done to it.

        Args:
            voices: Corrupted crops ``(num_crops, num_samples)`` of everybody's voices and their
                labels ``(num_crops,)``, drawn as they are taken.
        """
