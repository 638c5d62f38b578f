"""Several people enrolled together: what that costs each of them, and whom the home lets in.

In: what was heard, and for each half a calibration. Households are drawn from the voiceprints of a
corpus and half; the judge is the daemon's, with all of them in force. Out: a row per size and
promise: ``p_fa`` is shared by a household, ``far_per_hour`` is promised for each voiceprint.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from voiceguard.lab.corpora.clips import seeded
from voiceguard.lab.evaluation.daemon.trials import groups, kind_of
from voiceguard.lab.fitting.rates import speaker_rate
from voiceguard.lab.fitting.trials import Kind
from voiceguard.scoring.policy import DECISIONS_PER_HOUR
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from voiceguard.lab.evaluation.daemon.experiment import Enrolled, Experiment, Test
    from voiceguard.lab.evaluation.daemon.playback import HeardSegment
    from voiceguard.lab.fitting.rates import Rate
    from voiceguard.pipeline.judge import Judge
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.service.kit import Kit

SIZES = (1, 5)
CONDITIONS = ("3 s clean", "full clean")
NUM_HOUSEHOLDS = 2
"""That a stranger meets, for each test."""
SHARED = "shared"
EACH = "each"


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseholdFigures:
    """One size, promise and condition."""

    size: int
    """People enrolled together."""
    promise: str
    """``shared``: one p_fa for all voiceprints; ``each``: a rate per hour for every one of them."""
    condition: str
    same_session: Rate | None
    """Accepted as who they are."""
    other_session: Rate | None
    strangers: Rate | None
    """Accepted as anybody."""


class _Trial(NamedTuple):
    kind: Kind
    tested: str
    is_accepted: bool


def household_figures(
    kit: Kit, experiment: Experiment, calibrations: Mapping[str, Calibration], *, p_fa: float
) -> list[HouseholdFigures]:
    """One row per size, promise and condition.

    Args:
        kit: Cohort and policy.
        experiment: What was heard.
        calibrations: By the half that they decide about.
        p_fa: Of a policy for one voiceprint.
    """
    found: dict[tuple[int, str, str], list[_Trial]] = {}
    for enrolled, tests in groups(experiment):
        told = [test for test in tests if test.condition in CONDITIONS]
        for size in SIZES:
            if len(enrolled) <= size or not told:
                continue
            calibration = calibrations[enrolled[0].about.half]
            for promise in (SHARED, EACH) if size > 1 else (SHARED,):
                judge = _judge(kit, calibration, enrolled, p_fa, promise)
                for number, test in enumerate(told):
                    cell = (size, promise, test.condition)
                    found.setdefault(cell, []).extend(_met(judge, enrolled, test, size, number))
    in_order = sorted(
        found.items(),
        key=lambda item: (CONDITIONS.index(item[0][2]), item[0][0], item[0][1] == EACH),
    )
    return [
        HouseholdFigures(
            size=size,
            promise=promise,
            condition=condition,
            same_session=_rate(trials, Kind.SAME_SESSION),
            other_session=_rate(trials, Kind.CROSS_SESSION),
            strangers=_rate(trials, Kind.STRANGER),
        )
        for (size, promise, condition), trials in in_order
    ]


def _judge(
    kit: Kit, calibration: Calibration, enrolled: Sequence[Enrolled], p_fa: float, promise: str
) -> Judge:
    """Of everybody; what a household's judge says is decided from its members' scores alone."""
    policy = kit.settings.policy
    if promise == SHARED:
        policy = replace(policy, p_fa=p_fa, far_per_hour=None)
    else:
        per_hour = p_fa * (calibration.decisions_per_hour or DECISIONS_PER_HOUR)
        policy = replace(policy, p_fa=None, far_per_hour=per_hour)
    settings = kit.settings.model_copy(update={"policy": policy})
    kit = replace(kit, calibration=calibration, settings=settings)
    return kit.make_judge([each.voiceprint for each in enrolled])


def _met(
    judge: Judge, enrolled: Sequence[Enrolled], test: Test, size: int, number: int
) -> Iterator[_Trial]:
    """One test in its own household, if the speaker is enrolled, and in some of strangers."""
    rng = seeded(test.about.speaker, test.about.session, test.condition, number, size)
    own = [each for each in enrolled if each.about.speaker == test.about.speaker]
    others = [each.about.speaker for each in enrolled if each.about.speaker != test.about.speaker]
    said = _Heard(judge, test.heard)
    if own and len(others) >= size - 1:
        members = {test.about.speaker, *rng.choice(others, size - 1, replace=False).tolist()}
        accepted = said.accepted(members)
        yield _Trial(kind_of(own[0], test), test.about.speaker, accepted == test.about.speaker)
    for _ in range(NUM_HOUSEHOLDS if len(others) >= size else 0):
        members = set(rng.choice(others, size, replace=False).tolist())
        yield _Trial(Kind.STRANGER, test.about.speaker, said.accepted(members) is not None)


class _Heard:
    """A test's final decision, for any household."""

    def __init__(self, judge: Judge, heard: HeardSegment | None) -> None:
        self._judge, self._heard = judge, heard
        self._scores = judge.score(heard.final.embedding, heard.final.evidence) if heard else ()

    def accepted(self, members: set[str]) -> str | None:
        """Who is accepted; None: nobody."""
        if self._heard is None:
            return None
        own = tuple(score for score in self._scores if score.speaker in members)
        judgement = self._judge.decide(own, self._heard.final.evidence)
        return judgement.verdict.speaker if judgement.verdict.outcome is Outcome.ACCEPTED else None


def _rate(trials: Sequence[_Trial], kind: Kind) -> Rate | None:
    some = [each for each in trials if each.kind is kind]
    if not some:
        return None
    tested = [each.tested for each in some]
    events = np.array([each.is_accepted for each in some], dtype=np.float64)
    return speaker_rate(events, np.ones(len(some)), tested, tested)
