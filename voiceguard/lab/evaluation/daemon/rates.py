"""Rates of what happened, with intervals for other speakers than the ones who were there.

Pure numpy. In: one number per trial and who took part. Out: a ``Rate``. Trials of one person go
wrong together, so speakers are drawn, not trials. Summed per pair first, so that a thousand draws
take milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.lab.fitting.resampling import SpeakerDraws

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NUM_DRAWS = 1000
RULE_OF_THREE = 3.0
"""Nothing seen in n independent trials bounds the rate by 3 / n, at 95 % confidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Events per unit (a trial, or an hour), and how well that is known."""

    value: float
    low: float | None
    """Of the 95 % interval by speaker; None: fewer than two speakers."""
    high: float | None
    upper: float | None
    """One-sided 95 % bound. Where it happened to fewer than three pairs of speakers, at least the
    rule of three's over all pairs: trials of one pair are not independent."""
    num_trials: int
    num_pairs: int
    """Of enrolled and tested speakers, in either order; for target trials, speakers."""


def speaker_rate(
    events: NDArray[np.float64],
    units: NDArray[np.float64],
    enrolled: Sequence[str],
    tested: Sequence[str],
    *,
    seed: int = 0,
) -> Rate:
    """Sum of events over sum of units, drawn again by speaker.

    Args:
        events: ``(num_trials,)``, 1 where it happened.
        units: ``(num_trials,)``, 1 each for a rate per trial, hours for a rate per hour.
        enrolled: Whose voiceprint.
        tested: Who spoke; the same person in target trials.
        seed: Of the draws.

    Raises:
        ValueError: There are no trials, or nothing to divide by.
    """
    if not len(events) or not (total := float(np.sum(units))):
        raise ValueError("a rate needs trials")
    speakers, places = np.unique(np.array([*enrolled, *tested]), return_inverse=True)
    ends = np.sort(places.reshape(2, -1), axis=0)
    keys, pair_of = np.unique(ends[0] * len(speakers) + ends[1], return_inverse=True)
    columns = [np.bincount(pair_of, weights=column) for column in (events, units)]
    summed = np.asarray(columns, dtype=np.float64)
    first, second = np.divmod(keys, len(speakers))
    value = float(np.sum(events)) / total
    is_rare = np.count_nonzero(summed[0]) < RULE_OF_THREE
    floor = is_rare * min(1.0, RULE_OF_THREE / len(keys)) * len(events) / total
    rates = _drawn(summed, first, second, speakers, seed) if len(speakers) > 1 else None
    if rates is None or not len(rates):
        return Rate(
            value=value, low=None, high=None, upper=None,
            num_trials=len(events), num_pairs=len(keys),
        )  # fmt: skip
    low, high, upper = np.quantile(rates, [0.025, 0.975, 0.95])
    return Rate(
        value=value,
        low=float(low),
        high=float(high),
        upper=max(float(upper), floor),
        num_trials=len(events),
        num_pairs=len(keys),
    )


def _drawn(
    summed: NDArray[np.float64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    speakers: NDArray[np.str_],
    seed: int,
) -> NDArray[np.float64]:
    rng, shares = np.random.default_rng(seed), np.full(len(speakers), 1 / len(speakers))
    draws = SpeakerDraws(speakers, rng.multinomial(len(speakers), shares, size=NUM_DRAWS))
    times = draws.weights(first, second)
    events, units = times @ summed.T[:, :1], times @ summed.T[:, 1:]
    some = units > 0
    return np.asarray(events[some] / units[some], dtype=np.float64)
