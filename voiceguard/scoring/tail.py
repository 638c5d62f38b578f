"""How seldom a log-likelihood ratio goes astray: a fitted tail that turns rates into thresholds.

Used by ``calibration`` for both kinds of error: non-target LLRs as they are (false accepts), and
target LLRs with their sign turned (misses). Either way "astray" is upwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_START_RATE = 0.05
"""The exponential is fitted to the highest 5 % of the values ..."""
_MIN_EXCEEDANCES = 25
"""... or to this many, if that is more: the scale's standard error is then 20 %."""
_MAX_RATE = 0.5
_NUM_QUANTILES = 24
_ROUNDING = 1 - 1e-9
_RULE_OF_THREE = 3.0
"""Seeing no error in n independent trials bounds the rate by 3 / n, at 95 % confidence."""


class Threshold(NamedTuple):
    """Where to decide, and whether data or theory says so."""

    llr: float
    extrapolated: bool
    """The rate is lower than the test data can show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The upper tail of LLRs in one condition: as counted, then exponential."""

    condition: str
    num_trials: int
    num_independent: int
    """Trials that may pass for independent (pairs of speakers, or speakers), at most num_trials."""
    rates: tuple[float, ...]
    """Falling, from 0.5 down to what the data can show."""
    quantiles: tuple[float, ...]
    """``quantiles[i]`` is exceeded at ``rates[i]``: as counted, or at most, with what confidence
    whoever fitted the tail says."""
    start_rate: float
    start: float
    """Beyond this value the tail is ``start_rate * exp(-(value - start) / scale)``."""
    scale: float

    def __post_init__(self) -> None:
        numbers = (*self.rates, *self.quantiles, self.start_rate, self.start, self.scale)
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"tail {self.condition!r} has a figure that is not finite")
        if len(self.rates) != len(self.quantiles) or not self.rates:
            raise ValueError(f"tail {self.condition!r} needs one quantile per rate")
        if not all(0 < rate < 1 for rate in (*self.rates, self.start_rate)) or self.scale < 0:
            raise ValueError(f"tail {self.condition!r} has a rate or scale out of range")
        if list(self.rates) != sorted(self.rates, reverse=True):
            raise ValueError(f"tail {self.condition!r}: rates must fall")
        if list(self.quantiles) != sorted(self.quantiles):
            raise ValueError(f"tail {self.condition!r}: quantiles must rise")
        if not 1 <= self.num_independent <= self.num_trials:
            raise ValueError(f"tail {self.condition!r}: num_independent is out of range")

    @property
    def shown_rate(self) -> float:
        """The lowest rate that this many independent trials can show."""
        return min(1.0, _RULE_OF_THREE / self.num_independent)

    def threshold(self, rate: float) -> Threshold:
        """The value that is exceeded (strictly) at most at this rate.

        Monotone: a lower rate never has a lower threshold.

        Args:
            rate: In (0, 1). Above 0.5 the median is returned, which errs on the safe side.
        """
        if not 0 < rate < 1:
            raise ValueError(f"rate must be between 0 and 1, not {rate}")
        value = float(np.interp(-math.log(rate), -np.log(self.rates), self.quantiles))
        if rate < self.start_rate:
            value = max(value, self.start + self.scale * math.log(self.start_rate / rate))
        return Threshold(value, rate < max(self.shown_rate, self.rates[-1] * _ROUNDING))


def rate_at(tail: Tail, llr: float) -> float:
    """How often a value is exceeded, at most 0.5: the inverse of ``Tail.threshold``."""
    beyond = (
        tail.start_rate * math.exp(-max(llr - tail.start, 0.0) / tail.scale) if tail.scale else 0.0
    )
    if llr >= tail.quantiles[-1]:
        return beyond
    counted = math.exp(-float(np.interp(llr, tail.quantiles, -np.log(tail.rates))))
    return max(counted, beyond if llr >= tail.start else 0.0)


def fit_tail(llrs: NDArray[np.float64], *, condition: str, num_independent: int) -> Tail:
    """Fits the exponential tail by maximum likelihood over a high quantile.

    The exponential is the tail of every light-tailed distribution seen from far enough up
    (generalised Pareto with shape 0); tails that end sooner, a Gaussian's, it overstates.
    The counted quantiles are kept beside it, so that outliers which the exponential smooths away
    (two people behind one label) still count.

    Args:
        llrs: ``(num_trials,)``, at least 2, finite.
        condition: What they were measured in.
        num_independent: Pairs of speakers, or speakers, behind them.

    Raises:
        ValueError: Too few, or not finite.
    """
    if len(llrs) < 2 or not np.isfinite(llrs).all():
        raise ValueError(f"condition {condition!r} needs at least 2 finite LLRs, has {len(llrs)}")
    falling = np.sort(llrs)[::-1]
    num_over = min(len(falling) // 2, max(_MIN_EXCEEDANCES, math.ceil(_START_RATE * len(falling))))
    start = float(falling[num_over])
    # falling[k] is exceeded strictly by at most k values, ties or not.
    lowest = min(_MAX_RATE, max(_RULE_OF_THREE / num_independent, 1 / len(falling)))
    rates = np.geomspace(_MAX_RATE, lowest, _NUM_QUANTILES)
    quantiles = falling[np.floor(rates * len(falling) * (1 + 1e-12)).astype(np.int64)]
    return Tail(
        condition=condition,
        num_trials=len(falling),
        num_independent=min(num_independent, len(falling)),
        rates=tuple(rates.tolist()),
        quantiles=tuple(quantiles.tolist()),
        start_rate=num_over / len(falling),
        start=start,
        scale=float(np.mean(falling[:num_over] - start)),
    )


def mixed_tail(new: Tail, known: Tail, share: float) -> Tail:
    """Between two tails: at every rate so much of the one's threshold, so much of the other's.

    Args:
        new: Gives its name.
        known: What it is shrunk towards.
        share: Of ``known``, in [0, 1). It counts as if so large a part of the data agreed with it.
    """
    rates = sorted({*new.rates, *known.rates}, reverse=True)
    start_rate = min(new.start_rate, known.start_rate)
    parts = ((new, 1 - share), (known, share))
    return Tail(
        condition=new.condition,
        num_trials=round(new.num_trials / (1 - share)),
        num_independent=round(new.num_independent / (1 - share)),
        rates=tuple(rates),
        quantiles=tuple(
            sum(weight * tail.threshold(rate).llr for tail, weight in parts) for rate in rates
        ),
        start_rate=start_rate,
        start=sum(
            weight * (tail.start + tail.scale * math.log(tail.start_rate / start_rate))
            for tail, weight in parts
        ),
        scale=sum(weight * tail.scale for tail, weight in parts),
    )
