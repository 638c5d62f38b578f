"""What is accepted at the threshold that lets one stranger in per hour: errors as people feel them.

Pure numpy. In: LLRs of final decisions, whole utterances of strangers among them. Out: rows for a
report. The threshold is chosen on the very trials it is judged by, so this says what an encoder
can do; whether a calibration keeps such a promise stands in ``promises``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.lab.evaluation.plan import FULL
from voiceguard.lab.fitting.trials import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.lab.fitting.trials import Trials

PER_HOUR = 1.0
LENGTH = "3 s"


@dataclass(frozen=True, slots=True, kw_only=True)
class HourlyAccepts:
    """One kind of surroundings, one corpus or all of them."""

    corpus: str
    """``all``: one threshold for all corpora together."""
    noise: str
    per_hour: float
    """False accepts of the median voiceprint, per hour of other people's speech: at most."""
    accept_llr: float
    """LLRs strictly above it accept."""
    num_voiceprints: int
    hours_each: float
    """Of strangers' speech that the median voiceprint met; a rate below 1 / this is not shown."""
    median_voiceprint: float
    worst_voiceprint: float
    """Of false accepts per hour at that threshold."""
    same_session: float | None
    """Share of LENGTH's target trials accepted; None: there are none."""
    other_session: float | None
    num_same_session: int
    num_other_session: int


def accepts_per_hour(llrs: Trials, *, per_hour: float = PER_HOUR) -> list[HourlyAccepts]:
    """Rows by surroundings: all corpora, then where there are several each.

    Args:
        llrs: LLRs for scores; ``condition`` is length and surroundings.
        per_hour: False accepts.
    """
    if llrs.surroundings is None:
        return []
    corpora = sorted({name.split("/", 1)[0] for name in llrs.tested.tolist()})
    rows = []
    for noise in dict.fromkeys(llrs.surroundings.tolist()):
        part = llrs.select(llrs.surroundings == noise)
        rows.append(_row(part, "all", noise, per_hour))
        if len(corpora) > 1:
            rows += [_row(part.of_corpus(name), name, noise, per_hour) for name in corpora]
    return [row for row in rows if row is not None]


def _row(llrs: Trials, corpus: str, noise: str, per_hour: float) -> HourlyAccepts | None:
    heard = llrs.select(~llrs.is_target & (llrs.condition == f"{FULL} {noise}"))
    if not len(heard):
        return None
    names, whose = np.unique(heard.enrolled, return_inverse=True)
    hours = np.bincount(whose, weights=heard.net_speech_s) / 3600
    needed = np.array(
        [
            _needed(heard.score[whose == number], hours[number], per_hour)
            for number in range(len(names))
        ]
    )
    # The middle one, never between two: half of the voiceprints have no more than per_hour.
    threshold = max(0.0, float(np.sort(needed)[(len(needed) - 1) // 2]))
    rates = np.bincount(whose, weights=heard.score > threshold) / np.maximum(hours, 1e-12)
    same, other = (_accepted(llrs, kind, noise) for kind in (Kind.SAME_SESSION, Kind.CROSS_SESSION))
    return HourlyAccepts(
        corpus=corpus,
        noise=noise,
        per_hour=per_hour,
        accept_llr=threshold,
        num_voiceprints=len(names),
        hours_each=float(np.median(hours)),
        median_voiceprint=float(np.sort(rates)[(len(rates) - 1) // 2]),
        worst_voiceprint=float(rates.max()),
        same_session=float(np.mean(same > threshold)) if len(same) else None,
        other_session=float(np.mean(other > threshold)) if len(other) else None,
        num_same_session=len(same),
        num_other_session=len(other),
    )


def _needed(llrs: NDArray[np.float64], hours: float, per_hour: float) -> float:
    """The lowest threshold at which one voiceprint has no more, ``(num_trials,)`` LLRs given."""
    num_allowed = math.floor(per_hour * hours)
    falling = np.sort(llrs)[::-1]
    return float(falling[num_allowed]) if num_allowed < len(falling) else -math.inf


def _accepted(llrs: Trials, kind: Kind, noise: str) -> NDArray[np.float64]:
    """``(num_trials,)`` LLRs of the crops of one kind of target trial."""
    assert llrs.kind is not None
    wanted = (llrs.kind == kind) & (llrs.condition == f"{LENGTH} {noise}")
    return llrs.select(np.asarray(wanted)).score
