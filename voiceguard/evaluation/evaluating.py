"""The whole evaluation: the daemon's path over a corpus, judged by calibrations that don't know it.

In: a corpus and a kit. Out: figures of scores and of decisions. To be fitted with and to be tested
with, noise comes from different files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voiceguard.evaluation.calibrating import fit
from voiceguard.evaluation.decisions import decide_all, decision_figures
from voiceguard.evaluation.experiment import CLEAN, run_experiment, untracked
from voiceguard.evaluation.figures import score_figures
from voiceguard.evaluation.pairing import fitted_to_the_other_half, score_trials

if TYPE_CHECKING:
    from datetime import date

    from voiceguard.compose import Kit
    from voiceguard.evaluation.corpus import Corpus
    from voiceguard.evaluation.decisions import DecisionFigures
    from voiceguard.evaluation.experiment import Experiment, Plan, Track
    from voiceguard.evaluation.figures import ScoreFigures

FIT_NOISE = "10 dB of other noises"
"""Calibrations are fitted with it; it appears in no table."""
TEST_NOISE = "10 dB"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """What came of it."""

    experiment: Experiment
    scores: list[ScoreFigures]
    decisions: list[DecisionFigures]


def evaluate(
    kit: Kit, corpus: Corpus, plan: Plan, *, today: date, track: Track = untracked
) -> Evaluation:
    """Hears everything once, then decides every trial with the other half's calibration.

    Args:
        kit: Encoder, cohort, policy; of its calibration only the change of speaker plays a part.
        corpus: Speakers that the encoder has not seen in training.
        plan: Noises are named FIT_NOISE and TEST_NOISE, or there are none.
        today: For the provenance of what is fitted.
        track: Shows progress.

    Raises:
        UsageError: Too few speakers, or too few trials in a half.
    """
    change_cosine = None if kit.calibration is None else kit.calibration.change_cosine
    experiment = run_experiment(kit, corpus, plan, change_cosine=change_cosine, track=track)
    scored = score_trials(experiment, kit.cohort)
    to_fit = scored.of_noises(CLEAN, FIT_NOISE)
    fitted = fit(kit, to_fit.trials, corpus, change_cosine=change_cosine, today=today)
    calibrations = fitted_to_the_other_half(to_fit.trials, fitted)
    noises = (CLEAN, TEST_NOISE)
    decided = decide_all(kit, experiment, calibrations, noises=noises, track=track)
    return Evaluation(
        experiment=experiment,
        scores=score_figures(scored.of_noises(*noises), calibrations),
        decisions=decision_figures(decided),
    )
