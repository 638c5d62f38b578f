"""How unlike the takes of one person may be: an encoder's own limits, a part of its calibration.

In: how alike takes of the same people are. Out: where a take is sent back. The limits are
quantiles, so that another encoder, with another scale of cosines, sends back as many takes of
honest speakers; how many impostors it notices is its own merit.
"""

from __future__ import annotations

import math
from dataclasses import asdict, astuple, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FALSE_ALARM_RATE = 0.02
"""Share of one person's takes that may be sent back as another's, or as two people's; and of takes
from another occasion, that may be refused where they are to be added."""

_MIN_EXPECTED = 1.0
"""Takes beyond the limit, by the rate; fewer would make the limit a matter of chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentLimits:
    """Of one encoder; None: not known, and then not asked for."""

    min_agreement: float | None = None
    """Median cosine of a take to the others."""
    max_voice_break: float | None = None
    """How clear a break within a take may be, as ``enrollment.voices`` measures it."""
    min_agreement_added: float | None = None
    """Cosine of added takes to the voiceprint."""

    def __post_init__(self) -> None:
        known = [limit for limit in astuple(self) if limit is not None]
        if not all(math.isfinite(limit) for limit in known):
            raise ValueError("a limit of enrollment is not finite")

    def completed_by(self, other: EnrollmentLimits) -> EnrollmentLimits:
        """These, and the other's where one is not known."""
        own = {name: limit for name, limit in asdict(self).items() if limit is not None}
        return replace(other, **own)


NO_LIMITS = EnrollmentLimits()
"""Of an encoder that nobody has measured: takes are not compared."""


def fit_enrollment_limits(
    *,
    agreements: NDArray[np.float64],
    agreements_added: NDArray[np.float64],
    voice_breaks: NDArray[np.float64],
) -> EnrollmentLimits:
    """The quantiles, where there are takes enough.

    Args:
        agreements: ``(num_takes,)``: of takes of one session with each other.
        agreements_added: ``(num_takes,)``: of other sessions' speech with voiceprints.
        voice_breaks: ``(num_takes,)``: within takes of one voice.
    """
    highest = _quantile(-voice_breaks)
    return EnrollmentLimits(
        min_agreement=_quantile(agreements),
        max_voice_break=None if highest is None else -highest,
        min_agreement_added=_quantile(agreements_added),
    )


def _quantile(values: NDArray[np.float64]) -> float | None:
    if len(values) * FALSE_ALARM_RATE < _MIN_EXPECTED:
        return None
    return round(float(np.quantile(values, FALSE_ALARM_RATE, method="lower")), 3)
