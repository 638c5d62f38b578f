"""Trials: every voiceprint against every test of the same corpus and half, scored.

In: an ``Experiment``. Out: the table of trials that calibrations are fitted to and figures are
computed from. A half is judged by what was fitted to the other one, so no trial crosses halves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voiceguard.lab.corpora.corpus import HALVES
from voiceguard.lab.fitting.calibration import refitted
from voiceguard.lab.fitting.trials import Kind, Trials
from voiceguard.scoring.scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from voiceguard.lab.corpora.corpus import Recording
    from voiceguard.lab.evaluation.daemon.experiment import Enrolled, Experiment, Test
    from voiceguard.lab.fitting.calibration import Prior
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.snorm import Cohort


def kind_of(enrolled: Enrolled, test: Test) -> Kind:
    """What sort of trial it is."""
    here, there = enrolled.about, test.about
    if there.speaker != here.speaker:
        return Kind.STRANGER
    return Kind.SAME_SESSION if there.session == here.session else Kind.CROSS_SESSION


def groups(experiment: Experiment) -> Iterator[tuple[list[Enrolled], list[Test]]]:
    """Voiceprints and the tests that meet them."""

    def is_of(about: Recording, corpus: str, half: str) -> bool:
        return (about.corpus, about.half) == (corpus, half)

    for corpus in sorted({each.about.corpus for each in experiment.enrolled}):
        for half in HALVES:
            yield (
                [e for e in experiment.enrolled if is_of(e.about, corpus, half)],
                [t for t in experiment.tests if is_of(t.about, corpus, half)],
            )


def score_trials(experiment: Experiment, cohort: Cohort | None) -> Trials:
    """Scores the final evidence of every segment by the daemon's scorer, uncalibrated.

    Segments without an embedding (too short) make no trial.
    """
    scored: list[float] = []
    who: list[tuple[Enrolled, Test]] = []
    heard: list[tuple[float, float]] = []
    for enrolled, tests in groups(experiment):
        scorer = Scorer([each.voiceprint for each in enrolled], cohort, None)
        by_speaker = {each.about.speaker: each for each in enrolled}
        for test in tests:
            if test.heard is None or (embedding := test.heard.final.embedding) is None:
                continue
            evidence = test.heard.final.evidence
            seen = (evidence.net_speech_s, evidence.snr_db)
            for score in scorer.score(embedding, *seen):
                scored.append(score.normalised)
                who.append((by_speaker[score.speaker], test))
                heard.append(seen)
    return Trials(
        score=np.array(scored),
        enrolled=np.array([enrolled.about.speaker for enrolled, _ in who]),
        tested=np.array([test.about.speaker for _, test in who]),
        net_speech_s=np.array([net_speech_s for net_speech_s, _ in heard]),
        snr_db=np.array([snr_db for _, snr_db in heard]),
        fold=np.array([HALVES.index(test.about.half) for _, test in who]),
        condition=np.array([test.condition for _, test in who]),
        surroundings=np.array([test.noise for _, test in who]),
        kind=np.array([str(kind_of(enrolled, test)) for enrolled, test in who]),
    )


def crossed_llrs(trials: Trials, calibrations: Mapping[str, Calibration]) -> Trials:
    """Each half's trials, calibrated by what was fitted to the other half."""
    llr = np.empty(len(trials))
    for fold, half in enumerate(HALVES):
        rows = trials.fold == fold
        llr[rows] = calibrations[half].llr(
            trials.score[rows], trials.net_speech_s[rows], trials.snr_db[rows]
        )
    return trials.with_score(llr)


def fitted_to_the_other_half(
    trials: Trials, like: Calibration, prior: Prior | None = None
) -> dict[str, Calibration]:
    """For each half, a calibration that has seen none of its speakers.

    Args:
        trials: Of both halves.
        like: Fitted to both; gives everything that is not fitted here.
        prior: As ``like`` had one.

    Raises:
        ValueError: Too few trials in a half.
    """
    return {
        half: refitted(trials.select(trials.fold != fold), like, prior)
        for fold, half in enumerate(HALVES)
    }
