"""Fits a calibration to a corpus as the daemon hears it, and says how well it keeps its word.

In: a corpus and a kit. Out: a ``Calibration`` and cross-fitted figures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.errors import UsageError
from voiceguard.lab.corpora.conditions import CLEAN
from voiceguard.lab.evaluation.daemon.enrollment_limits import measure_takes, with_enrollment
from voiceguard.lab.evaluation.daemon.experiment import (
    MAX_KEPT_BYTES,
    Hindsight,
    run_experiment,
)
from voiceguard.lab.evaluation.daemon.figures import score_figures
from voiceguard.lab.evaluation.daemon.speaker_changes import (
    Continuous,
    measure_changes,
)
from voiceguard.lab.evaluation.daemon.trials import fitted_to_the_other_half, score_trials
from voiceguard.lab.evaluation.plan import FULL
from voiceguard.lab.evaluation.utterances import each_speaker
from voiceguard.lab.fitting.calibration import Prior, fit_calibration, fit_change_cosine
from voiceguard.lab.progress import untracked

if TYPE_CHECKING:
    from datetime import date

    from voiceguard.lab.corpora.corpus import Corpus
    from voiceguard.lab.evaluation.daemon.enrollment_limits import TakeStatistics
    from voiceguard.lab.evaluation.daemon.experiment import Experiment
    from voiceguard.lab.evaluation.daemon.figures import ScoreFigures
    from voiceguard.lab.evaluation.daemon.speaker_changes import VoiceChanges
    from voiceguard.lab.evaluation.plan import Plan
    from voiceguard.lab.fitting.trials import Trials
    from voiceguard.lab.progress import Track
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.service.kit import Kit

MIN_SPEAKERS = 10
"""Enrolled and tested. Fewer say nothing of how often strangers sound alike."""

PRIOR_SPEAKERS = 5
"""So many speakers' worth of the shipped calibration stays in one that is fitted to a room.
Measured from one corpus to ten speakers of the other: Cllr from 0.48 to 0.40 (telephone; 0.41
without a prior, 0.43 with 20 speakers' worth), from 0.25 to 0.16 (home PCs; 0.12, 0.21)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationRun:
    """A calibration with everything that it rests on."""

    calibration: Calibration
    figures: list[ScoreFigures]
    """Cross-fitted."""
    changes: VoiceChanges
    takes: TakeStatistics
    experiment: Experiment


def calibrate(
    kit: Kit,
    corpus: Corpus,
    plan: Plan,
    *,
    today: date,
    shipped: Calibration | None = None,
    max_kept_bytes: int = MAX_KEPT_BYTES,
    track: Track = untracked,
) -> CalibrationRun:
    """Fits change of speaker, coefficients and tails, in that order: each depends on the last.

    All is heard once, and clips that a change of speaker may cut are kept until it is known whether
    it does. Only if more of them are cut than there is room for, the corpus is heard again.

    Args:
        kit: Encoder and cohort.
        corpus: Speakers that the encoder has not seen in training.
        plan: What is played; fitting is by its conditions.
        today: For the provenance.
        shipped: What to shrink towards, of the same encoder and cohort; None: nothing.
        max_kept_bytes: Of those clips.
        track: Shows progress.

    Raises:
        UsageError: Fewer than MIN_SPEAKERS speakers, or too few trials of them.
    """
    prior = None if shipped is None else Prior(shipped, PRIOR_SPEAKERS)
    longest: list[Continuous] = []
    heard = Hindsight(kit=kit, plan=plan, skips=list(corpus.skips), max_kept_bytes=max_kept_bytes)
    for spoken in each_speaker(kit, corpus, seed=plan.seed, track=track, description="listening"):
        heard.take(spoken)
        if (speech := spoken.longest) is not None:
            longest.append(Continuous.of(spoken.about, speech))
    changes = measure_changes(kit, longest, heard.same_voice, seed=plan.seed, track=track)
    change_cosine = fitted_change_cosine(changes)
    if shipped is not None and change_cosine is None:
        change_cosine = shipped.change_cosine
    if heard.settled(change_cosine):
        experiment = heard.finish()
    else:
        experiment = run_experiment(kit, corpus, plan, change_cosine=change_cosine, track=track)
    trials = score_trials(experiment, kit.cohort)
    calibration = fit(
        kit, trials, corpus.corpora, change_cosine=change_cosine, today=today, prior=prior
    )
    takes = measure_takes(kit, longest, experiment, seed=plan.seed, track=track)
    calibration = with_enrollment(calibration, experiment, takes, kit, shipped)
    per_hour = decisions_per_hour(trials)
    calibration = replace(calibration, decisions_per_hour=per_hour)
    calibrations = fitted_to_the_other_half(trials, calibration, prior)
    return CalibrationRun(
        calibration=calibration,
        figures=score_figures(trials, calibrations),
        changes=changes,
        takes=takes,
        experiment=experiment,
    )


def decisions_per_hour(trials: Trials) -> float | None:
    """Final decisions about utterances as spoken, one each, per hour of their speech.

    Args:
        trials: Of whole utterances, among others; None comes out where there are none.
    """
    whole = trials.condition == f"{FULL} {CLEAN}"
    net_s = trials.net_speech_s[whole]
    return 3600 / float(net_s.mean()) if len(net_s) and net_s.mean() > 0 else None


def fitted_change_cosine(changes: VoiceChanges) -> float | None:
    """None where there is too little continuous speech to know."""
    try:
        return fit_change_cosine(changes.same_voice)
    except ValueError:
        return None


def fit(
    kit: Kit,
    trials: Trials,
    corpora: tuple[str, ...],
    *,
    change_cosine: float | None,
    today: date,
    prior: Prior | None = None,
) -> Calibration:
    """Fits the calibration that goes into the file.

    Raises:
        UsageError: Fewer than MIN_SPEAKERS speakers, or too few trials in a half or condition.
    """
    num_speakers = len(np.unique(trials.enrolled[trials.is_target]))
    if num_speakers < MIN_SPEAKERS:
        raise UsageError(
            f"{num_speakers} speakers could be enrolled and tested; a calibration needs "
            f"{MIN_SPEAKERS}",
            hint="add speakers, each with a session of four utterances or more",
        )
    try:
        return fit_calibration(
            trials,
            encoder_id=kit.encoder.info.encoder_id,
            cohort_id=kit.cohort.cohort_id if kit.cohort else None,
            corpora=corpora,
            created_on=today.isoformat(),
            change_cosine=change_cosine,
            prior=prior,
        )
    except ValueError as error:
        raise UsageError(
            f"too little speech to calibrate on: {error}",
            hint="every half and length needs target and stranger trials: add longer recordings",
        ) from error
