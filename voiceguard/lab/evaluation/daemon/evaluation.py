"""The daemon's path over a corpus: of what it heard, every trial is decided.

In: an ``Experiment`` and a kit. Out: figures of scores, decisions, promises and times. Judged by
the calibration that is shipped, or, where that one knows these speakers, by calibrations fitted
anew to the other half of them. To be fitted with and to be tested with, noise comes from different
files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from voiceguard.errors import UsageError
from voiceguard.lab.corpora.conditions import CLEAN
from voiceguard.lab.corpora.corpus import HALVES
from voiceguard.lab.evaluation.daemon.by_corpus import corpus_figures
from voiceguard.lab.evaluation.daemon.calibration import fit
from voiceguard.lab.evaluation.daemon.decisions import decide_all, decision_figures
from voiceguard.lab.evaluation.daemon.figures import P_FAS, score_figures
from voiceguard.lab.evaluation.daemon.households import household_figures
from voiceguard.lab.evaluation.daemon.predictions import check_predictions
from voiceguard.lab.evaluation.daemon.promises import (
    check_promises,
    false_accepts_per_hour,
    times_to_decision,
)
from voiceguard.lab.evaluation.daemon.trials import (
    crossed_llrs,
    fitted_to_the_other_half,
    score_trials,
)
from voiceguard.lab.progress import untracked
from voiceguard.scoring.policy import Evidence, accept_budget

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from voiceguard.lab.corpora.corpus import Corpus
    from voiceguard.lab.evaluation.daemon.by_corpus import CorpusFigures
    from voiceguard.lab.evaluation.daemon.decisions import DecisionFigures
    from voiceguard.lab.evaluation.daemon.experiment import Experiment
    from voiceguard.lab.evaluation.daemon.figures import ScoreFigures
    from voiceguard.lab.evaluation.daemon.households import HouseholdFigures
    from voiceguard.lab.evaluation.daemon.predictions import PredictionCheck
    from voiceguard.lab.evaluation.daemon.promises import HourFigures, PromiseFigures, TimeFigures
    from voiceguard.lab.evaluation.plan import Plan
    from voiceguard.lab.fitting.trials import Trials
    from voiceguard.lab.progress import Track
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.policy import PolicyConfig
    from voiceguard.service.kit import Kit


class Judged(StrEnum):
    """By which calibration trials are decided."""

    CROSSED = "crossed"
    """Fitted here: each half of the speakers is judged by what the other half taught."""
    SHIPPED = "shipped"
    """The one that stands beside the weights."""


class Choice(NamedTuple):
    """A calibration, and why that one."""

    judged: Judged
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """What came of it."""

    choice: Choice
    p_fas: tuple[float, ...]
    """Policies that were tried, the shipped one among them; falling."""
    shipped_p_fa: float
    experiment: Experiment
    calibrations: Mapping[str, Calibration]
    """By the half that they judge."""
    llrs: Trials
    """Every trial's final LLR."""
    scores: list[ScoreFigures]
    decisions: list[DecisionFigures]
    by_corpus: list[CorpusFigures]
    households: list[HouseholdFigures]
    promises: list[PromiseFigures]
    hours: list[HourFigures]
    times: list[TimeFigures]
    thresholds: dict[float, float]
    """By p_fa: the LLR above which a final decision accepts, the mean of the halves'."""
    predictions: PredictionCheck | None
    """What enrollment predicts against what happened; None where nothing was fitted."""


def choose(kit: Kit, corpus: Corpus, wanted: Judged | None) -> Choice:
    """Crossed where the shipped calibration was fitted to one of these corpora.

    Args:
        kit: With its calibration, if there is one.
        corpus: To be evaluated.
        wanted: What the user asks for; None: nothing particular.

    Raises:
        UsageError: The shipped one is asked for, and there is none.
    """
    shipped = kit.calibration
    if wanted is Judged.SHIPPED and shipped is None:
        raise UsageError(
            "this encoder has no calibration to judge by",
            hint="`voiceguard calibrate DIR` makes one; or leave --calibration out",
        )
    if wanted is not None:
        return Choice(wanted, "as asked for")
    if shipped is None:
        return Choice(Judged.CROSSED, "this encoder has no calibration yet")
    if known := sorted(set(corpus.corpora) & set(shipped.provenance.corpora)):
        return Choice(
            Judged.CROSSED, f"the shipped calibration was fitted to {' and '.join(known)}"
        )
    return Choice(Judged.SHIPPED, "it was fitted to other corpora than these")


def evaluate(
    kit: Kit,
    experiment: Experiment,
    plan: Plan,
    *,
    corpora: tuple[str, ...],
    choice: Choice,
    today: date,
    track: Track = untracked,
) -> Evaluation:
    """Decides every trial of what was heard.

    Args:
        kit: Encoder, cohort, policy; its calibration where that one is chosen, else only its
            change of speaker plays a part.
        experiment: Of speakers that the encoder has not seen in training.
        plan: What they were asked.
        corpora: Where they came from, for the provenance of what is fitted.
        choice: From ``choose``.
        today: Likewise.
        track: Shows progress.

    Raises:
        UsageError: Too few speakers, or too few trials in a half.
    """
    predictions = None
    if choice.judged is Judged.SHIPPED:
        assert kit.calibration is not None  # choose() has looked
        experiment = experiment.in_one_half()
        calibrations = dict.fromkeys(HALVES, kit.calibration)
        trials = score_trials(experiment, kit.cohort)
    else:
        trials = score_trials(experiment, kit.cohort)
        to_fit = trials.in_surroundings(CLEAN, *(each.name for each in plan.fitting))
        fitted = fit(kit, to_fit, corpora, change_cosine=change_cosine_of(kit), today=today)
        calibrations = fitted_to_the_other_half(to_fit, fitted)
        predictions = check_predictions(kit, experiment, calibrations)
    tested = [condition.name for condition in plan.conditions]
    policy = kit.settings.policy
    shipped_p_fa = policy.p_fa_of(1, kit.calibration)
    p_fas = tuple(sorted({shipped_p_fa, *P_FAS}, reverse=True))
    decided = decide_all(kit, experiment, calibrations, p_fas=p_fas, noises=tested, track=track)
    trials = trials.in_surroundings(*tested)
    llrs = crossed_llrs(trials, calibrations)
    return Evaluation(
        choice=choice,
        p_fas=p_fas,
        shipped_p_fa=shipped_p_fa,
        experiment=experiment,
        calibrations=calibrations,
        llrs=llrs,
        scores=sorted(score_figures(trials, calibrations), key=partial(_place, tested)),
        decisions=decision_figures(decided),
        by_corpus=corpus_figures(decided, llrs),
        households=household_figures(kit, experiment, calibrations, p_fa=shipped_p_fa),
        promises=check_promises(decided),
        hours=false_accepts_per_hour(decided),
        times=times_to_decision(decided),
        thresholds={p_fa: _threshold(policy, p_fa, calibrations) for p_fa in p_fas},
        predictions=predictions,
    )


def change_cosine_of(kit: Kit) -> float | None:
    """Where the kit's calibration calls a change of speaker; None: it doesn't."""
    return None if kit.calibration is None else kit.calibration.change_cosine


def _place(tested: list[str], row: ScoreFigures) -> int:
    """In the order in which conditions are listed; all of them pooled, last."""
    places = [at for at, name in enumerate(tested) if row.condition.endswith(f" {name}")]
    return places[0] if places else len(tested)


def _threshold(policy: PolicyConfig, p_fa: float, calibrations: Mapping[str, Calibration]) -> float:
    """As ``policy.decide`` has it for a final decision about one voiceprint."""
    final = Evidence(net_speech_s=1.0, snr_db=0.0, is_final=True)
    budget = accept_budget(replace(policy, p_fa=p_fa, far_per_hour=None), final, 1)
    found = [each.threshold_for(budget).llr for each in calibrations.values()]
    return max(0.0, sum(found) / len(found))
