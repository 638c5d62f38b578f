"""The daemon's path over a corpus: everything is heard once, then every trial is decided.

In: a corpus and a kit. Out: figures of scores, decisions, promises and times. Judged by the
calibration that is shipped, or, where that one knows these speakers, by calibrations fitted anew to
the other half of them. To be fitted with and to be tested with, noise comes from different files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from voiceguard.errors import UsageError
from voiceguard.lab.corpora.conditions import CLEAN, Reverberant
from voiceguard.lab.corpora.corpus import HALVES
from voiceguard.lab.evaluation.daemon.calibration import fit
from voiceguard.lab.evaluation.daemon.decisions import decide_all, decision_figures
from voiceguard.lab.evaluation.daemon.experiment import Noise, run_experiment
from voiceguard.lab.evaluation.daemon.figures import P_FAS, crossed_llrs, score_figures
from voiceguard.lab.evaluation.daemon.pairing import Scored, fitted_to_the_other_half, score_trials
from voiceguard.lab.evaluation.daemon.predictions import check_predictions
from voiceguard.lab.evaluation.daemon.promises import (
    claims,
    false_accepts_per_hour,
    times_to_decision,
)
from voiceguard.lab.progress import untracked
from voiceguard.scoring.policy import Evidence, accept_budget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from voiceguard.lab.corpora.conditions import Condition
    from voiceguard.lab.corpora.corpus import Corpus
    from voiceguard.lab.evaluation.daemon.decisions import DecisionFigures
    from voiceguard.lab.evaluation.daemon.experiment import Experiment, Plan
    from voiceguard.lab.evaluation.daemon.figures import ScoreFigures
    from voiceguard.lab.evaluation.daemon.predictions import PredictionCheck
    from voiceguard.lab.evaluation.daemon.promises import Claim, HourFigures, TimeFigures
    from voiceguard.lab.progress import Track
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.policy import PolicyConfig
    from voiceguard.service.kit import Kit

FIT_NOISE = "10 dB of other noises"
FIT_ROOM = "reverberant in other rooms"
FITTED = (FIT_NOISE, FIT_ROOM)
"""Calibrations are fitted with them, as `calibrate` does; they appear in no table."""
_FIT_SNR_DB = 10.0


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
    llrs: Scored
    """Every trial's final LLR."""
    scores: list[ScoreFigures]
    decisions: list[DecisionFigures]
    claims: list[Claim]
    hours: list[HourFigures]
    times: list[TimeFigures]
    thresholds: dict[float, float]
    """By p_fa: the LLR above which a final decision accepts, the mean of the halves'."""
    predictions: PredictionCheck | None
    """What enrollment foretells against what happened; None where nothing was fitted."""


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


class _OtherRooms(Reverberant):
    """Not those that are tested with."""

    name = FIT_ROOM


def fit_conditions(
    noise_files: Sequence[Path], room_files: Sequence[Path] = ()
) -> tuple[Condition, ...]:
    """What calibrations are fitted with, beside clean speech.

    Args:
        noise_files: Others than those to test with.
        room_files: Likewise.
    """
    conditions: list[Condition] = []
    if noise_files:
        conditions.append(Noise(name=FIT_NOISE, snr_db=_FIT_SNR_DB, files=tuple(noise_files)))
    if room_files:
        conditions.append(_OtherRooms(room_files))
    return tuple(conditions)


def evaluate(
    kit: Kit,
    corpus: Corpus,
    plan: Plan,
    *,
    choice: Choice,
    today: date,
    track: Track = untracked,
) -> Evaluation:
    """Hears everything once, then decides every trial.

    Args:
        kit: Encoder, cohort, policy; its calibration where that one is chosen, else only its
            change of speaker plays a part.
        corpus: Speakers that the encoder has not seen in training.
        plan: Noises that are named in FITTED are fitted with, not tested.
        choice: From ``choose``.
        today: For the provenance of what is fitted.
        track: Shows progress.

    Raises:
        UsageError: Too few speakers, or too few trials in a half.
    """
    predictions = None
    change_cosine = None if kit.calibration is None else kit.calibration.change_cosine
    experiment = run_experiment(kit, corpus, plan, change_cosine=change_cosine, track=track)
    if choice.judged is Judged.SHIPPED:
        assert kit.calibration is not None  # choose() has looked
        experiment = experiment.in_one_half()
        calibrations = dict.fromkeys(HALVES, kit.calibration)
        scored = score_trials(experiment, kit.cohort)
    else:
        scored = score_trials(experiment, kit.cohort)
        to_fit = scored.of_noises(CLEAN, *FITTED)
        fitted = fit(kit, to_fit.trials, corpus, change_cosine=change_cosine, today=today)
        calibrations = fitted_to_the_other_half(to_fit.trials, fitted)
        predictions = check_predictions(kit, experiment, calibrations)
    tested = [CLEAN, *(noise.name for noise in plan.noises if noise.name not in FITTED)]
    policy = kit.settings.policy
    p_fas = tuple(sorted({policy.p_fa, *P_FAS}, reverse=True))
    decided = decide_all(kit, experiment, calibrations, p_fas=p_fas, noises=tested, track=track)
    scored = scored.of_noises(*tested)
    return Evaluation(
        choice=choice,
        p_fas=p_fas,
        shipped_p_fa=policy.p_fa,
        experiment=experiment,
        calibrations=calibrations,
        llrs=Scored(
            trials=crossed_llrs(scored.trials, calibrations), kind=scored.kind, noise=scored.noise
        ),
        scores=sorted(score_figures(scored, calibrations), key=partial(_place, tested)),
        decisions=decision_figures(decided),
        claims=claims(decided),
        hours=false_accepts_per_hour(decided),
        times=times_to_decision(decided),
        thresholds={p_fa: _threshold(policy, p_fa, calibrations) for p_fa in p_fas},
        predictions=predictions,
    )


def _place(tested: list[str], row: ScoreFigures) -> int:
    """In the order in which conditions are listed; all of them pooled, last."""
    places = [at for at, name in enumerate(tested) if row.condition.endswith(f" {name}")]
    return places[0] if places else len(tested)


def _threshold(policy: PolicyConfig, p_fa: float, calibrations: Mapping[str, Calibration]) -> float:
    """As ``policy.decide`` has it for a final decision about one voiceprint."""
    final = Evidence(net_speech_s=1.0, snr_db=0.0, is_final=True)
    budget = accept_budget(replace(policy, p_fa=p_fa), final, 1)
    found = [each.threshold_for(budget).llr for each in calibrations.values()]
    return max(0.0, sum(found) / len(found))
