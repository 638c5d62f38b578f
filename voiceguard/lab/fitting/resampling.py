"""Equal error rates of hundreds of draws of speakers at once, paired over everything measured.

Pure numpy. In: scores of trials and who is in each. Out: one EER per draw. The same draws serve
every encoder and condition, so that differences between them are paired by speaker, and much of
the chance cancels out. Speakers are drawn, not trials: trials of one speaker go wrong together, and
an interval that takes them for independent is several times too narrow.

Source: N. Poh, S. Bengio, "Estimating the confidence interval of expected performance curve in
biometric authentication using joint bootstrap", ICASSP 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.lab.fitting.metrics import eer_of_blocks, pool

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.lab.fitting.trials import Trials

LEVEL = 0.95
"""Of every interval."""


@dataclass(frozen=True, slots=True, eq=False)
class SpeakerDraws:
    """How often each speaker was drawn; as often a speaker's target trials count.

    A trial of two speakers counts as often as both were drawn together.
    """

    speakers: NDArray[np.str_]
    """``(num_speakers,)``, in alphabetical order."""
    counts: NDArray[np.int64]
    """``(num_draws, num_speakers)``; every row adds up to num_speakers."""

    def weights(
        self,
        enrolled: NDArray[np.int64],
        tested: NDArray[np.int64],
        draws: int | slice = slice(None),
    ) -> NDArray[np.float64]:
        """How often each trial counts in a draw, or in all of them.

        Args:
            enrolled: ``(num_trials,)`` indices of speakers.
            tested: Likewise.
            draws: The number of one; all without.

        Returns:
            ``(num_trials,)``, or ``(num_draws, num_trials)``.
        """
        count = self.counts[draws]
        # Somebody with themselves is one person drawn, not two.
        others = np.where(enrolled == tested, 1, count[..., tested])
        return np.asarray(count[..., enrolled] * others, dtype=np.float64)


def draw_speakers(
    speakers: NDArray[np.str_], num_draws: int, rng: np.random.Generator
) -> SpeakerDraws:
    """Draws as many as there are, with replacement, ``num_draws`` times.

    Args:
        speakers: ``(num_rows,)`` names, each as often as it likes.
        num_draws: How often.
        rng: Where the draws come from.
    """
    names = np.unique(speakers)
    chosen = rng.integers(len(names), size=(num_draws, len(names)))
    counts = np.stack([np.bincount(row, minlength=len(names)) for row in chosen])
    return SpeakerDraws(names, counts)


def eer_per_draw(trials: Trials, draws: SpeakerDraws) -> NDArray[np.float64]:
    """The EER that each draw of speakers would have shown.

    Args:
        trials: With no NaN among the scores, and every speaker among the drawn ones.
        draws: Of the speakers.

    Returns:
        ``(num_draws,)``; NaN where a draw has no target or no non-target trial.
    """
    order = np.argsort(trials.score, kind="stable")
    row = np.searchsorted(draws.speakers, trials.enrolled[order])
    column = np.searchsorted(draws.speakers, trials.tested[order])
    is_target = row == column
    starts = _step_starts(trials.score[order], is_target)
    rates = np.full(len(draws.counts), np.nan)
    for draw in range(len(rates)):
        weights = draws.weights(row, column, draw)
        targets = np.add.reduceat(np.where(is_target, weights, 0.0), starts)
        nontargets = np.add.reduceat(np.where(is_target, 0.0, weights), starts)
        if targets.any() and nontargets.any():
            rates[draw] = eer_of_blocks(pool(targets, nontargets))
    return rates


def interval(per_draw: NDArray[np.float64]) -> tuple[float, float] | None:
    """The middle 95 % of ``(num_draws,)`` figures; None where most draws could not show it."""
    shown = per_draw[np.isfinite(per_draw)]
    if len(shown) * 2 < len(per_draw) or not len(shown):
        return None
    low, high = np.quantile(shown, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _step_starts(score: NDArray[np.float64], is_target: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where in rising scores a step of the ROC begins: equal scores are one step.

    Neighbouring steps of one class are taken together: the hull of the ROC passes them straight.
    """
    new_score = np.flatnonzero(np.append(True, np.diff(score) > 0))
    targets = np.add.reduceat(is_target.astype(np.int64), new_score)
    sizes = np.diff(np.append(new_score, len(score)))
    # 0: non-targets only, 1: targets only, 2: both, which never joins its neighbour.
    kind = np.where(targets == 0, 0, np.where(targets == sizes, 1, 2))
    is_start = np.append(True, (np.diff(kind) != 0) | (kind[1:] == 2))
    starts: NDArray[np.int64] = new_score[is_start]
    return starts
