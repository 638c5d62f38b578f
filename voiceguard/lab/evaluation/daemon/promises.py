"""What a policy promises against what happened: false accepts per decision and per hour, and time.

In: trials as decided. Out: rows for a report. ``p_fa`` is promised per final decision about a
stranger; early accepts, which share the same budget, are counted as well and stand beside it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from voiceguard.lab.evaluation.daemon.decisions import rate_of
from voiceguard.lab.evaluation.plan import FULL
from voiceguard.lab.fitting.rates import RULE_OF_THREE, speaker_rate
from voiceguard.lab.fitting.trials import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from voiceguard.lab.evaluation.daemon.decisions import Decided
    from voiceguard.lab.fitting.rates import Rate

_TOLERANCE = 2.0
"""A promise is kept where the upper bound stays under so many times the rate."""
_DECILE = 0.9
_KINDS = list(Kind)

_Key = TypeVar("_Key")


class Standing(StrEnum):
    """How a promise stands."""

    KEPT = "kept"
    """The upper bound is at most twice what was promised, and the median corpus is within it."""
    OPEN = "open"
    """Neither shown nor refuted by this many speakers."""
    BROKEN = "broken"
    """More than was promised, beyond chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseFigures:
    """A policy in one noise condition, all lengths of speech together."""

    p_fa: float
    noise: str
    final: Rate
    """Accepts per final decision about a stranger."""
    ever: Rate
    """Early accepts included."""
    by_corpus: dict[str, float]
    """Final accepts."""
    median_corpus: float
    worst_length: str
    """Where final accepts are most frequent."""
    worst_length_rate: float
    extrapolated: bool
    """The calibration's data cannot show a rate this low."""
    speakers_needed: int
    """In one corpus, for a calibration that need not extrapolate."""
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class HourFigures:
    """False accepts per hour of other people's speech and voiceprint; whole utterances."""

    p_fa: float
    noise: str
    speech_hours: float
    """Heard, summed over the voiceprints."""
    final: Rate
    ever: Rate
    """Early accepts included."""
    num_voiceprints: int
    median_voiceprint: float
    """Of final accepts per hour."""
    ninth_decile: float
    """Nine voiceprints in ten have no more."""
    worst_voiceprint: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeFigures:
    """How soon an enrolled speaker is accepted; of the segments in which that happens at all."""

    p_fa: float
    condition: str
    kind: Kind
    num_trials: int
    accepted: Rate
    """Early or at the end."""
    early_share: float
    """Of the accepts."""
    median_net_s: float
    p90_net_s: float
    median_audio_s: float
    """From the first word; a final accept awaits the pause that ends the speech."""
    p90_audio_s: float


def check_promises(decided: Iterable[Decided]) -> list[PromiseFigures]:
    """One row per policy and noise."""
    parts = _by(decided, lambda each: (each.p_fa, each.noise), strangers=True)
    in_order = sorted(parts, key=lambda key: -key[0])
    return [_promise(*key, parts[key]) for key in in_order]


def _promise(p_fa: float, noise: str, part: list[Decided]) -> PromiseFigures:
    final = rate_of(part, [each.is_accepted for each in part])
    by_corpus = _shares(part, lambda each: each.corpus)
    by_length = _shares(part, lambda each: each.length)
    median = float(np.median(list(by_corpus.values())))
    worst = max(by_length, key=lambda length: by_length[length])
    return PromiseFigures(
        p_fa=p_fa,
        noise=noise,
        final=final,
        ever=rate_of(part, [each.is_ever_accepted for each in part]),
        by_corpus=by_corpus,
        median_corpus=median,
        worst_length=worst,
        worst_length_rate=by_length[worst],
        extrapolated=any(each.extrapolated for each in part),
        speakers_needed=speakers_to_show(p_fa),
        standing=_standing(p_fa, final, median),
    )


def speakers_to_show(rate: float) -> int:
    """So many have enough pairs among them that a rate this low would show, by the rule of three.

    Args:
        rate: In (0, 1).
    """
    num_pairs = RULE_OF_THREE / rate
    return math.ceil(0.5 + math.sqrt(0.25 + 2 * num_pairs))


def _standing(p_fa: float, final: Rate, median: float) -> Standing:
    if final.upper is not None and final.upper <= _TOLERANCE * p_fa and median <= p_fa:
        return Standing.KEPT
    if final.low is not None and final.low > p_fa:
        return Standing.BROKEN
    return Standing.OPEN


def false_accepts_per_hour(decided: Iterable[Decided]) -> list[HourFigures]:
    """One row per policy and noise; every voiceprint enrolled in turn."""
    parts = _by(
        (each for each in decided if each.length == FULL),
        lambda each: (each.p_fa, each.noise),
        strangers=True,
    )
    return [
        _hours(*key, parts[key])
        for key in sorted(parts, key=lambda key: -key[0])
        if any(each.net_speech_s for each in parts[key])
    ]


def _hours(p_fa: float, noise: str, part: list[Decided]) -> HourFigures:
    hours = np.array([each.net_speech_s for each in part]) / 3600
    enrolled, tested = [e.enrolled for e in part], [e.tested for e in part]

    def rate(events: list[bool]) -> Rate:
        return speaker_rate(np.array(events, dtype=np.float64), hours, enrolled, tested)

    final = np.array([each.is_accepted for each in part], dtype=np.float64)
    names, whose = np.unique(enrolled, return_inverse=True)
    spoken = np.bincount(whose, weights=hours)
    each_rate = (np.bincount(whose, weights=final) / np.maximum(spoken, 1e-12))[spoken > 0]
    return HourFigures(
        p_fa=p_fa,
        noise=noise,
        speech_hours=float(hours.sum()),
        final=rate([each.is_accepted for each in part]),
        ever=rate([each.is_ever_accepted for each in part]),
        num_voiceprints=len(names),
        median_voiceprint=float(np.median(each_rate)),
        ninth_decile=float(np.quantile(each_rate, _DECILE)),
        worst_voiceprint=float(each_rate.max()),
    )


def times_to_decision(decided: Sequence[Decided]) -> list[TimeFigures]:
    """One row per policy, condition and kind of target trial in which anybody was accepted.

    Of whole utterances and the longest crops: shorter ones end before much can be said about time.
    """
    lengths = {each.length for each in decided} - {FULL}
    told = {FULL, *sorted(lengths, key=lambda length: float(length.split()[0]))[-1:]}
    parts = _by(
        (each for each in decided if each.length in told),
        lambda each: (each.p_fa, each.condition, each.kind),
        strangers=False,
    )
    conditions = list(dict.fromkeys(condition for _, condition, _ in parts))
    in_order = sorted(
        parts, key=lambda key: (-key[0], conditions.index(key[1]), _KINDS.index(key[2]))
    )
    return [
        _time(*key, parts[key]) for key in in_order if any(e.is_ever_accepted for e in parts[key])
    ]


def _time(p_fa: float, condition: str, kind: Kind, part: list[Decided]) -> TimeFigures:
    accepts = [each for each in part if each.is_ever_accepted]
    median_net_s, p90_net_s = _quantiles([each.accept_net_s for each in accepts])
    median_audio_s, p90_audio_s = _quantiles([each.accept_audio_s for each in accepts])
    return TimeFigures(
        p_fa=p_fa,
        condition=condition,
        kind=kind,
        num_trials=len(part),
        accepted=rate_of(part, [each.is_ever_accepted for each in part]),
        early_share=sum(each.accepted_early for each in accepts) / len(accepts),
        median_net_s=median_net_s,
        p90_net_s=p90_net_s,
        median_audio_s=median_audio_s,
        p90_audio_s=p90_audio_s,
    )


def _quantiles(values: Sequence[float | None]) -> tuple[float, float]:
    median, high = np.quantile(np.array(values, dtype=np.float64), [0.5, _DECILE])
    return float(median), float(high)


def _by(
    decided: Iterable[Decided], key: Callable[[Decided], _Key], *, strangers: bool
) -> dict[_Key, list[Decided]]:
    parts: defaultdict[_Key, list[Decided]] = defaultdict(list)
    for each in decided:
        if (each.kind is Kind.STRANGER) == strangers:
            parts[key(each)].append(each)
    return parts


def _shares(part: list[Decided], key: Callable[[Decided], str]) -> dict[str, float]:
    """Final accepts, by whatever."""
    accepts: defaultdict[str, list[bool]] = defaultdict(list)
    for each in part:
        accepts[key(each)].append(each.is_accepted)
    return {name: sum(some) / len(some) for name, some in accepts.items()}
