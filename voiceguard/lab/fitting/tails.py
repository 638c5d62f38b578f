"""Tails of strangers' LLRs that hold for other speakers too: every rate is an upper bound.

Pure numpy. In: non-target trials. Out: a ``Tail`` whose rates are one-sided 95 % bounds, by drawing
speakers anew: strangers are confused by the pair, not by the trial, and fifty speakers show a rate
of one in a hundred to within a factor of two. A threshold taken from what happened to be counted is
broken by every second group of other speakers; one taken from the bound by one in twenty. Each
corpus, and all of them together, must keep within it. ``counted_tail`` has the same without the
confidence: no threshold is taken from it, marks of a speaker move theirs no lower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from voiceguard.lab.fitting.resampling import SpeakerDraws
from voiceguard.scoring.tail import Tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.lab.fitting.trials import Trials

CONFIDENCE = 0.95
NUM_DRAWS = 400
MIN_CORPUS_PAIRS = 45
"""Of ten speakers; smaller corpora count only together with the others."""
MIN_PAIRS = 3
"""Of speakers that exceed a value; fewer show no rate."""
LEAST_SCALE = 1.0
"""Beyond what was counted the tail falls no faster than ``exp(-value)``, as theory has it of
likelihood ratios: ``P(LLR >= t | non-target) <= exp(-t)``."""

_NUM_VALUES = 48
_NUM_RATES = 24
_HIGHEST_RATE = 0.5
_TAIL_SHARE = 0.05
_MIN_EXCEEDANCES = 25


class _Curve(NamedTuple):
    """Of one corpus, or of all: what is exceeded how often at most."""

    rates: NDArray[np.float64]
    """``(num_values,)``, falling strictly."""
    values: NDArray[np.float64]
    """``(num_values,)``, rising."""
    scale: float

    def threshold(self, rates: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(num_rates,)`` values that are exceeded at these rates at most."""
        inside = np.interp(-np.log(rates), -np.log(self.rates), self.values)
        beyond = self.scale * np.log(np.maximum(self.rates[-1] / rates, 1.0))
        return np.asarray(inside + beyond)


def bounded_tail(strangers: Trials, *, condition: str) -> Tail:
    """The strictest of the corpora's tails, rate by rate.

    Args:
        strangers: Non-target trials in one kind of surroundings, LLRs for scores.
        condition: Its name.

    Raises:
        ValueError: Fewer than two trials, or one is not finite.
    """
    return _strictest(strangers, condition, CONFIDENCE)


def counted_tail(strangers: Trials, *, condition: str) -> Tail:
    """As ``bounded_tail``, of what was counted: at least the rule of three's over all pairs."""
    return _strictest(strangers, condition, None)


def _strictest(strangers: Trials, condition: str, confidence: float | None) -> Tail:
    if len(strangers) < 2 or not np.isfinite(strangers.score).all():
        raise ValueError(
            f"condition {condition!r} needs at least 2 finite LLRs, has {len(strangers)}"
        )
    curves = [_curve(part, confidence) for part in _parts(strangers)]
    lowest = min(float(curve.rates[-1]) for curve in curves)
    rates = np.geomspace(_HIGHEST_RATE, min(lowest, _HIGHEST_RATE), _NUM_RATES)
    quantiles = np.max([curve.threshold(rates) for curve in curves], axis=0)
    return Tail(
        condition=condition,
        num_trials=len(strangers),
        num_independent=min(strangers.num_pairs, len(strangers)),
        rates=tuple(rates.tolist()),
        quantiles=tuple(np.maximum.accumulate(quantiles).tolist()),
        start_rate=float(rates[-1]),
        start=float(quantiles.max()),
        scale=max(curve.scale for curve in curves),
    )


def _parts(strangers: Trials) -> list[Trials]:
    """All of them, and where there are several corpora those of each large one."""
    names = sorted({name.split("/", 1)[0] for name in strangers.tested.tolist()})
    each = [strangers.of_corpus(name) for name in names] if len(names) > 1 else []
    return [strangers, *(part for part in each if part.num_pairs >= MIN_CORPUS_PAIRS)]


def _curve(strangers: Trials, confidence: float | None) -> _Curve:
    score = strangers.score
    falling = np.sort(score)[::-1]
    ranks = np.geomspace(len(score) * _HIGHEST_RATE, 1, _NUM_VALUES).astype(np.int64)
    values = np.unique(falling[np.minimum(ranks, len(score) - 1)])
    num_over = min(len(score) // 2, max(_MIN_EXCEEDANCES, int(_TAIL_SHARE * len(score))))
    scale = float(np.mean(falling[:num_over] - falling[num_over])) if num_over else 0.0
    bounds, num_pairs = _bounds(strangers, values, confidence)
    is_shown = num_pairs >= MIN_PAIRS
    is_shown[0] = True  # the median, whatever is behind it
    rates = np.minimum.accumulate(np.minimum(bounds[is_shown], 1.0))
    # Of several values with one bound the lowest keeps it.
    is_new = np.append(True, np.diff(rates) < 0)
    return _Curve(rates[is_new], values[is_shown][is_new], max(scale, LEAST_SCALE))


def _bounds(
    strangers: Trials, values: NDArray[np.float64], confidence: float | None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """How often each value is exceeded at most, and by how many pairs of speakers.

    ``(num_values,)`` each. At least what was counted, and the rule of three's over all pairs;
    without a confidence nothing more.
    """
    speakers, places = np.unique(
        np.concatenate([strangers.enrolled, strangers.tested]), return_inverse=True
    )
    ends = np.sort(places.reshape(2, -1), axis=0)
    keys, pair_of = np.unique(ends[0] * len(speakers) + ends[1], return_inverse=True)
    first, second = np.divmod(keys, len(speakers))
    trials = np.bincount(pair_of, minlength=len(keys)).astype(np.float64)
    over = np.stack(
        [np.bincount(pair_of, strangers.score > value, len(keys)) for value in values], axis=1
    )  # (num_pairs, num_values)
    counted = over.sum(axis=0) / len(strangers)
    bound = counted
    if confidence is not None:
        counts = np.random.default_rng(0).multinomial(
            len(speakers), np.full(len(speakers), 1 / len(speakers)), size=NUM_DRAWS
        )
        times = SpeakerDraws(speakers, counts).weights(first, second)  # (num_draws, num_pairs)
        drawn = times @ trials
        rates = (times @ over)[drawn > 0] / drawn[drawn > 0, None]
        bound = np.quantile(rates, confidence, axis=0) if len(rates) else counted
    floor = 3.0 / len(keys)
    return np.maximum(np.maximum(bound, counted), floor), np.count_nonzero(over, axis=0)
