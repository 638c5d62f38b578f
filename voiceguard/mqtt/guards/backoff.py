"""Hop 6 of 6: how long to wait before the next connection. Pure but for its dice."""

from __future__ import annotations

import random

_LIMITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 10.0)
"""Each wait is a random half to whole of its limit, so that a home's clients don't come at once."""
_URGENT_S = 1.0
"""While something waits: a decision lives for seconds."""
_STEADY_S = 10.0
"""A connection that lasted this long was a good one: the next retry is quick again."""


class Backoff:
    """The wait after each connection that failed or broke."""

    def __init__(self) -> None:
        self._attempt = 0
        self._share = 1.0
        self._limit_s = 0.0

    def ended(self, lasted_s: float | None) -> None:
        """One more connection is over.

        Args:
            lasted_s: How long; None if there was none.
        """
        if lasted_s is not None and lasted_s > _STEADY_S:
            self._attempt = 0
        self._share = random.uniform(0.5, 1.0)  # noqa: S311  # nosec B311  # jitter
        self._limit_s = _LIMITS_S[min(self._attempt, len(_LIMITS_S) - 1)]
        self._attempt += 1

    def wait_s(self, *, is_urgent: bool) -> float:
        """From the end of that connection to the next attempt; may be asked again and again."""
        return self._share * (min(self._limit_s, _URGENT_S) if is_urgent else self._limit_s)
