"""What the daemon would have said: accepts, rejections and doubts, under several policies.

In: an ``Experiment`` and, for each half, the calibration to decide with. Every voiceprint in turn
is the only one enrolled; the judge is the daemon's. Out: one ``Decided`` per trial and
policy, and rows for a report.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.lab.corpora.conditions import CLEAN
from voiceguard.lab.evaluation.daemon.trials import groups, kind_of
from voiceguard.lab.fitting.rates import speaker_rate
from voiceguard.lab.fitting.trials import Kind
from voiceguard.lab.progress import untracked
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from voiceguard.decisions.result import Judgement
    from voiceguard.lab.evaluation.daemon.experiment import Enrolled, Experiment, Test
    from voiceguard.lab.evaluation.daemon.playback import Note
    from voiceguard.lab.fitting.rates import Rate
    from voiceguard.lab.progress import Track
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.service.kit import Kit

NOT_HEARD = "not heard"
"""The gate heard no speech: the daemon would have said nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One trial under one policy."""

    enrolled: str
    tested: str
    length: str
    noise: str
    kind: Kind
    p_fa: float
    """The policy's."""
    outcome: str
    """The final one, or NOT_HEARD."""
    reason: str
    extrapolated: bool
    """The threshold belongs to a rate lower than the calibration's data can show."""
    accepted_early: bool
    """By a provisional result, whatever the final one said."""
    accept_net_s: float | None
    """Net speech behind the first accept, provisional or final; None: there was none."""
    accept_audio_s: float | None
    """From the first word to that accept; a final one awaits the pause that ends the speech."""
    net_speech_s: float

    @property
    def condition(self) -> str:
        """``3 s clean``."""
        return f"{self.length} {self.noise}"

    @property
    def corpus(self) -> str:
        """Where both speakers are from."""
        return self.tested.split("/", 1)[0]

    @property
    def is_accepted(self) -> bool:
        """At the end."""
        return self.outcome == Outcome.ACCEPTED

    @property
    def is_ever_accepted(self) -> bool:
        """At the end or before."""
        return self.accept_net_s is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionFigures:
    """One policy, condition and kind of trial; rates are shares of the trials."""

    p_fa: float
    condition: str
    kind: Kind
    num_trials: int
    num_speakers: int
    """Who spoke."""
    accepted: Rate
    accepted_early: float
    """By a provisional result, before the end."""
    rejected: float
    """Rejected or unknown."""
    inconclusive: float
    not_heard: float
    inconclusive_reasons: dict[str, int]


def decide_all(
    kit: Kit,
    experiment: Experiment,
    calibrations: Mapping[str, Calibration],
    *,
    p_fas: Sequence[float],
    noises: Iterable[str],
    track: Track = untracked,
) -> list[Decided]:
    """Puts every test to every voiceprint, under the kit's policy at each of these rates.

    Args:
        kit: Cohort and policy.
        experiment: What was heard.
        calibrations: By the half that they decide about.
        p_fas: Of the policies.
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
    panels: dict[str, _Panel] = {}
    decided: list[Decided] = []
    for enrolled, test in track(duties, "deciding"):
        key = f"{test.about.corpus}/{test.about.half}"
        if key not in panels:
            panels[key] = _Panel(kit, calibrations[test.about.half], enrolled, p_fas)
        decided += panels[key].decided(test)
    return decided


class _Panel:
    """Every voiceprint as the only one enrolled; scored together, decided one by one."""

    def __init__(
        self,
        kit: Kit,
        calibration: Calibration,
        enrolled: list[Enrolled],
        p_fas: Sequence[float],
    ) -> None:
        self._enrolled = enrolled
        self._judges = [
            _under(kit, calibration, p_fa).make_judge([each.voiceprint for each in enrolled])
            for p_fa in p_fas
        ]
        self._pre_roll_s = kit.settings.gate.pre_roll_s

    def decided(self, test: Test) -> Iterator[Decided]:
        """What each would have said, under each policy."""
        heard = test.heard
        notes = (*heard.looks, heard.final) if heard else ()
        judgements = [self._put(note) for note in notes]
        start_s = heard.start_s + self._pre_roll_s if heard else 0.0
        for each in self._enrolled:
            for number, judge in enumerate(self._judges):
                said = [judgement[each.about.speaker][number] for judgement in judgements]
                accepts = [
                    note
                    for note, judgement in zip(notes, said, strict=True)
                    if judgement.outcome is Outcome.ACCEPTED
                ]
                yield Decided(
                    enrolled=each.about.speaker,
                    tested=test.about.speaker,
                    length=test.length,
                    noise=test.noise,
                    kind=kind_of(each, test),
                    p_fa=judge.policy.p_fa_of(1, judge.calibration),
                    outcome=str(said[-1].outcome) if said else NOT_HEARD,
                    reason=str(said[-1].reason) if said else NOT_HEARD,
                    extrapolated=any(judgement.verdict.extrapolated for judgement in said),
                    accepted_early=any(not note.evidence.is_final for note in accepts),
                    accept_net_s=accepts[0].evidence.net_speech_s if accepts else None,
                    accept_audio_s=max(0.0, accepts[0].known_s - start_s) if accepts else None,
                    net_speech_s=heard.final.evidence.net_speech_s if heard else 0.0,
                )

    def _put(self, note: Note) -> dict[str, list[Judgement]]:
        """By voiceprint: a judgement per policy, all on the same scores."""
        scores = self._judges[0].score(note.embedding, note.evidence)
        own = {score.speaker: (score,) for score in scores}
        return {
            each.about.speaker: [
                judge.decide(own.get(each.about.speaker, ()), note.evidence)
                for judge in self._judges
            ]
            for each in self._enrolled
        }


def _under(kit: Kit, calibration: Calibration, p_fa: float) -> Kit:
    """The same kit with another calibration and operating point."""
    policy = replace(kit.settings.policy, p_fa=p_fa, far_per_hour=None)
    settings = kit.settings.model_copy(update={"policy": policy})
    return replace(kit, calibration=calibration, settings=settings)


def decision_figures(decided: Sequence[Decided]) -> list[DecisionFigures]:
    """One row per policy, condition and kind; clean ones first, in the order of being heard."""
    parts: defaultdict[tuple[float, str, Kind], list[Decided]] = defaultdict(list)
    for each in decided:
        parts[each.p_fa, each.condition, each.kind].append(each)
    conditions = list(dict.fromkeys(each.condition for each in decided))
    conditions.sort(key=lambda name: not name.endswith(CLEAN))
    kinds = list(Kind)
    in_order = sorted(
        parts, key=lambda key: (-key[0], conditions.index(key[1]), kinds.index(key[2]))
    )
    return [_row(*key, parts[key]) for key in in_order]


def rate_of(part: Sequence[Decided], events: Sequence[bool]) -> Rate:
    """The share of trials in which something happened."""
    return speaker_rate(
        np.array(events, dtype=np.float64),
        np.ones(len(part)),
        [each.enrolled for each in part],
        [each.tested for each in part],
    )


def _row(p_fa: float, condition: str, kind: Kind, part: list[Decided]) -> DecisionFigures:
    outcomes = Counter(each.outcome for each in part)

    def share(*names: str) -> float:
        return sum(outcomes[name] for name in names) / len(part)

    return DecisionFigures(
        p_fa=p_fa,
        condition=condition,
        kind=kind,
        num_trials=len(part),
        num_speakers=len({each.tested for each in part}),
        accepted=rate_of(part, [each.is_accepted for each in part]),
        accepted_early=sum(each.accepted_early for each in part) / len(part),
        rejected=share(Outcome.REJECTED, Outcome.UNKNOWN),
        inconclusive=share(Outcome.INCONCLUSIVE),
        not_heard=share(NOT_HEARD),
        inconclusive_reasons=dict(
            Counter(e.reason for e in part if e.outcome == Outcome.INCONCLUSIVE).most_common()
        ),
    )
