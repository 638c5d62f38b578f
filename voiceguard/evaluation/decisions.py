"""What the daemon would have said: accepts, rejections and doubts per condition and kind of trial.

In: an ``Experiment`` and, for each half, a calibration that has not seen it. Every voiceprint in
turn is the only one enrolled; scorer and policy are the daemon's. Out: rows for a report.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.evaluation.experiment import CLEAN, FULL, untracked
from voiceguard.evaluation.pairing import Kind, groups, kind_of
from voiceguard.scoring.metrics import bootstrap_by_speaker
from voiceguard.scoring.policy import Evidence, decide
from voiceguard.scoring.trials import Trials
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from voiceguard.compose import Kit
    from voiceguard.evaluation.experiment import Enrolled, Experiment, Test, Track
    from voiceguard.evaluation.hearing import Note
    from voiceguard.judge import Judgement
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.policy import Verdict

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
    """By a provisional result, whatever the final one said; asked of whole utterances only."""
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
    accepted_early: float | None
    """By a provisional result, before the end; whole utterances only."""
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
        (enrolled, test)
        for enrolled, tests in groups(experiment)
        for test in tests
        if enrolled and test.noise in wanted
    ]
    judges: dict[str, _Judges] = {}
    decided: list[Decided] = []
    for enrolled, test in track(duties, "deciding"):
        key = f"{test.corpus}/{test.half}"
        if key not in judges:
            judges[key] = _Judges(replace(kit, calibration=calibrations[test.half]), enrolled)
        decided += _decide(judges[key], enrolled, test)
    return decided


class _Judges:
    """Every voiceprint as the only one enrolled; scored together, decided one by one."""

    def __init__(self, kit: Kit, enrolled: list[Enrolled]) -> None:
        self._together = kit.make_judge([each.voiceprint for each in enrolled])
        self._alone = {e.speaker: kit.make_judge([e.voiceprint]) for e in enrolled}

    def put(self, note: Note) -> dict[str, Judgement | Verdict]:
        """What each would say."""
        if note.embedding is None:
            return {speaker: note.put_to(judge) for speaker, judge in self._alone.items()}
        evidence = Evidence(
            net_speech_s=note.net_speech_s,
            snr_db=note.snr_db,
            is_final=note.is_final,
            look=note.look,
            impediment=note.impediment,
        )
        scorer, policy = self._together.scorer, self._together.policy
        return {
            score.speaker: decide((score,), evidence, policy, self._together.calibration)
            for score in scorer.score(note.embedding, note.net_speech_s, note.snr_db)
        }


def _decide(judges: _Judges, enrolled: list[Enrolled], test: Test) -> Iterator[Decided]:
    finals = judges.put(test.heard.final) if test.heard else {}
    looks = test.heard.looks if test.heard and test.length == FULL else ()
    early = [judges.put(look) for look in looks]
    for each in enrolled:
        final = finals.get(each.speaker)
        yield Decided(
            enrolled=each.speaker,
            tested=test.speaker,
            condition=test.condition,
            kind=kind_of(each, test),
            outcome=str(final.outcome) if final else NOT_HEARD,
            reason=str(final.reason) if final else NOT_HEARD,
            accepted_early=any(look[each.speaker].outcome is Outcome.ACCEPTED for look in early),
            net_speech_s=test.heard.final.net_speech_s if test.heard else 0.0,
        )


def decision_figures(decided: list[Decided], *, seed: int = 0) -> list[DecisionFigures]:
    """One row per condition and kind, clean ones first.

    Args:
        decided: From ``decide_all``.
        seed: Of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    rows = []
    conditions = dict.fromkeys(each.condition for each in decided)
    for condition in sorted(conditions, key=lambda name: not name.endswith(CLEAN)):
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
        accepted_early=sum(each.accepted_early for each in part) / len(part) if is_full else None,
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
