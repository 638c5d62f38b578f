"""Rates of what happened, with intervals for other speakers than the ones who were there.

Pure numpy. In: one number per trial and who took part. Out: a ``Rate``. Trials of one person go
wrong together, so speakers are drawn, not trials. Summed per pair first, so that a thousand draws
take milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

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
    summed, first, second, speakers = _by_pair(Counted(events, units, enrolled, tested))
    num_pairs = len(first)
    value = float(np.sum(events)) / total
    is_rare = np.count_nonzero(summed[0]) < RULE_OF_THREE
    floor = is_rare * min(1.0, RULE_OF_THREE / num_pairs) * len(events) / total
    rates = _drawn(summed, first, second, speakers, seed) if len(speakers) > 1 else None
    if rates is None or not len(rates):
        return Rate(
            value=value, low=None, high=None, upper=None,
            num_trials=len(events), num_pairs=num_pairs,
        )  # fmt: skip
    low, high, upper = np.quantile(rates, [0.025, 0.975, 0.95])
    return Rate(
        value=value,
        low=float(low),
        high=float(high),
        upper=max(float(upper), floor),
        num_trials=len(events),
        num_pairs=num_pairs,
    )


class Counted(NamedTuple):
    """What a rate is computed from; ``(num_trials,)`` each, as ``speaker_rate`` takes them."""

    events: NDArray[np.float64]
    units: NDArray[np.float64]
    enrolled: Sequence[str]
    tested: Sequence[str]


def mean_rate(parts: Sequence[Counted]) -> Rate:
    """Of several corpora's rates, each counting the same; speakers are drawn in each.

    Its upper bound is the mean of theirs, which errs on the safe side.

    Args:
        parts: At least one.
    """
    rates = [speaker_rate(*part, seed=number) for number, part in enumerate(parts)]
    draws = [_draws_of(part, number) for number, part in enumerate(parts)]
    low = high = upper = None
    if all(len(each) for each in draws):
        num_draws = min(len(each) for each in draws)
        mean = np.mean([each[:num_draws] for each in draws], axis=0)
        low, high = (float(x) for x in np.quantile(mean, [0.025, 0.975]))
    if uppers := [rate.upper for rate in rates if rate.upper is not None]:
        upper = float(np.mean(uppers))
    return Rate(
        value=float(np.mean([rate.value for rate in rates])),
        low=low,
        high=high,
        upper=upper,
        num_trials=sum(rate.num_trials for rate in rates),
        num_pairs=sum(rate.num_pairs for rate in rates),
    )


def _draws_of(part: Counted, seed: int) -> NDArray[np.float64]:
    """What other speakers would have shown; empty where there is one."""
    summed, first, second, speakers = _by_pair(part)
    if len(speakers) < 2:
        return np.empty(0)
    return _drawn(summed, first, second, speakers, seed)


def _by_pair(
    part: Counted,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.str_]]:
    """Events and units ``(2, num_pairs)``, both ends ``(num_pairs,)``, names of the speakers."""
    speakers, places = np.unique(np.array([*part.enrolled, *part.tested]), return_inverse=True)
    ends = np.sort(places.reshape(2, -1), axis=0)
    keys, pair_of = np.unique(ends[0] * len(speakers) + ends[1], return_inverse=True)
    columns = [np.bincount(pair_of, weights=column) for column in (part.events, part.units)]
    first, second = np.divmod(keys, len(speakers))
    return np.asarray(columns, dtype=np.float64), first, second, speakers


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
