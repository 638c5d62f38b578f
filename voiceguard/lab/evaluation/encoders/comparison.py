"""Two encoders on the same trials: how much lower one's error rate is, and how sure that is.

In: both encoders' rows with the EERs of the same draws of speakers. Out: relative differences with
intervals paired by speaker: speakers who are hard for everybody widen neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.lab.fitting.resampling import interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.lab.evaluation.encoders.figures import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The first encoder against another, by cosine."""

    first: str
    other: str
    condition: str
    length: str
    """``3 s``; or ``1-5 s``: the mean over all crops."""
    eer_first: float
    """Mean over corpora."""
    eer_other: float
    relative_difference: float | None
    """-0.25: 25 % lower than the other's; None where the other makes no error."""
    interval: tuple[float, float] | None
    """95 %, for other speakers than these."""

    @property
    def is_certain(self) -> bool:
        """Whether the interval excludes no difference."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


def compare(first: Sequence[Measured], other: Sequence[Measured], *, length: str) -> Comparison:
    """Compares means over the rows given.

    Args:
        first: One encoder's rows of one condition, each a mean over corpora.
        other: Another encoder's, for the same lengths in the same order.
        length: What the rows are together.
    """
    ours, theirs = (float(np.mean([row.figures.eer for row in rows])) for rows in (first, other))
    per_draw_ours, per_draw_theirs = (
        np.mean([row.eers for row in rows], axis=0) for rows in (first, other)
    )
    # A draw in which the other makes no error says nothing of how many times fewer these are.
    ratio = np.divide(
        per_draw_ours,
        per_draw_theirs,
        out=np.full(len(per_draw_ours), np.nan),
        where=per_draw_theirs > 0,
    )
    return Comparison(
        first=first[0].figures.label,
        other=other[0].figures.label,
        condition=first[0].figures.condition,
        length=length,
        eer_first=ours,
        eer_other=theirs,
        relative_difference=ours / theirs - 1 if theirs > 0 else None,
        interval=interval(ratio - 1),
    )
