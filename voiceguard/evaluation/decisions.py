"""What the daemon would have said: accepts, rejections and doubts per condition and kind of trial.

In: an ``Experiment`` and, for each half, a calibration that has not seen it. Every voiceprint in
turn is the only one enrolled; the judge is the daemon's. Out: rows for a report.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.evaluation.experiment import FULL, untracked
from voiceguard.evaluation.pairing import Kind, groups, kind_of
from voiceguard.scoring.metrics import bootstrap_by_speaker
from voiceguard.scoring.trials import Trials
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from voiceguard.compose import Kit
    from voiceguard.evaluation.experiment import Enrolled, Experiment, Test, Track
    from voiceguard.judge import Judge
    from voiceguard.scoring.calibration import Calibration

NOT_HEARD = "not heard"
"""The gate heard no speech: the daemon would have said nothing."""

_NUM_DRAWS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One trial."""

    enrolled: str
    tested: str
    condition: str
    kind: Kind
    outcome: str
    """The final one, or NOT_HEARD."""
    reason: str
    accepted_early: bool
    """By a provisional result, whatever the final one said."""
    net_speech_s: float

    @property
    def is_accepted(self) -> bool:
        """At the end."""
        return self.outcome == Outcome.ACCEPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionFigures:
    """One condition and kind of trial; rates are shares of ``num_trials``."""

    condition: str
    kind: Kind
    num_trials: int
    num_speakers: int
    """Who spoke."""
    accepted: float
    accepted_interval: tuple[float, float] | None
    """95 %, for other speakers than these; None with too few."""
    accepted_ever: float
    """At the end or, before it, by a provisional result."""
    rejected: float
    """Rejected or unknown."""
    inconclusive: float
    not_heard: float
    inconclusive_reasons: dict[str, int]
    speech_hours: float
    """Heard in these trials, over all voiceprints."""
    accepts_per_hour: float | None
    """Final accepts per hour of that speech and voiceprint; whole utterances only."""


def decide_all(
    kit: Kit,
    experiment: Experiment,
    calibrations: Mapping[str, Calibration],
    *,
    noises: Iterable[str],
    track: Track = untracked,
) -> list[Decided]:
    """Puts every test to every voiceprint's judge.

    Args:
        kit: Cohort and policy.
        experiment: What was heard.
        calibrations: By the half that they have not seen.
        noises: Conditions to decide in.
        track: Shows progress.
    """
    wanted = set(noises)
    duties = [
        (each, [test for test in tests if test.noise in wanted])
        for enrolled, tests in groups(experiment)
        for each in enrolled
    ]
    decided: list[Decided] = []
    for each, tests in track(duties, "deciding"):
        calibrated = replace(kit, calibration=calibrations[each.half])
        judge = calibrated.make_judge([each.voiceprint])
        decided += [_decide(judge, each, test) for test in tests]
    return decided


def _decide(judge: Judge, enrolled: Enrolled, test: Test) -> Decided:
    final = test.heard.final.put_to(judge) if test.heard else None
    looks = test.heard.looks if test.heard else ()
    return Decided(
        enrolled=enrolled.speaker,
        tested=test.speaker,
        condition=test.condition,
        kind=kind_of(enrolled, test),
        outcome=str(final.outcome) if final else NOT_HEARD,
        reason=str(final.reason) if final else NOT_HEARD,
        accepted_early=any(look.put_to(judge).outcome is Outcome.ACCEPTED for look in looks),
        net_speech_s=test.heard.final.net_speech_s if test.heard else 0.0,
    )


def decision_figures(decided: list[Decided], *, seed: int = 0) -> list[DecisionFigures]:
    """One row per condition and kind, in order of first appearance.

    Args:
        decided: From ``decide_all``.
        seed: Of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for condition in dict.fromkeys(each.condition for each in decided):
        here = [each for each in decided if each.condition == condition]
        for kind in Kind:
            if part := [each for each in here if each.kind is kind]:
                interval = _accept_interval(here, kind, rng)
                rows.append(_row(condition, kind, part, interval))
    return rows


def _row(
    condition: str, kind: Kind, part: list[Decided], interval: tuple[float, float] | None
) -> DecisionFigures:
    outcomes = Counter(each.outcome for each in part)

    def share(*names: str) -> float:
        return sum(outcomes[name] for name in names) / len(part)

    hours = sum(each.net_speech_s for each in part) / 3600
    is_full = condition.split(" ", 1)[0] == FULL
    return DecisionFigures(
        condition=condition,
        kind=kind,
        num_trials=len(part),
        num_speakers=len({each.tested for each in part}),
        accepted=share(Outcome.ACCEPTED),
        accepted_interval=interval,
        accepted_ever=sum(each.is_accepted or each.accepted_early for each in part) / len(part),
        rejected=share(Outcome.REJECTED, Outcome.UNKNOWN),
        inconclusive=share(Outcome.INCONCLUSIVE),
        not_heard=share(NOT_HEARD),
        inconclusive_reasons=dict(
            Counter(e.reason for e in part if e.outcome == Outcome.INCONCLUSIVE).most_common()
        ),
        speech_hours=hours,
        accepts_per_hour=outcomes[Outcome.ACCEPTED] / hours if is_full and hours else None,
    )


def _accept_interval(
    here: list[Decided], kind: Kind, rng: np.random.Generator
) -> tuple[float, float] | None:
    """Of the share of accepts, drawing speakers: trials of one person go wrong together."""
    # The bootstrap wants trials of both sorts; of strangers' the targets' rate is not looked at.
    is_stranger = kind is Kind.STRANGER
    part = here if is_stranger else [e for e in here if e.kind in (kind, Kind.STRANGER)]
    trials = Trials(
        score=np.array([float(each.is_accepted) for each in part]),
        enrolled=np.array([each.enrolled for each in part]),
        tested=np.array([each.tested for each in part]),
        net_speech_s=np.zeros(len(part)),
        snr_db=np.zeros(len(part)),
        fold=np.zeros(len(part), dtype=np.int64),
        condition=np.full(len(part), ""),
    )
    try:
        return bootstrap_by_speaker(
            trials,
            lambda drawn: float(np.mean(drawn.nontarget if is_stranger else drawn.target)),
            rng=rng,
            num_samples=_NUM_DRAWS,
        )
    except ValueError:  # too few speakers
        return None
