"""How alike one person's takes are, and two people's: what enrollment's limits are fitted to.

In: a corpus, and an experiment over it. Out: cosines of takes with each other and of other
occasions with voiceprints, and how clear the breaks are within takes of one voice and of two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.enrollment.voices import voice_break
from voiceguard.lab.corpora.clips import seeded
from voiceguard.lab.corpora.conditions import CLEAN
from voiceguard.lab.evaluation.daemon.predictions import observe
from voiceguard.lab.evaluation.daemon.speaker_changes import MAX_TAKES, TURN_S
from voiceguard.lab.evaluation.daemon.trials import kind_of
from voiceguard.lab.fitting.prediction import fit_prediction
from voiceguard.lab.fitting.trials import Kind
from voiceguard.lab.progress import untracked
from voiceguard.scoring.cosine import renormalised_mean
from voiceguard.scoring.limits import EnrollmentLimits, fit_enrollment_limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voiceguard.lab.evaluation.daemon.experiment import Experiment
    from voiceguard.lab.evaluation.daemon.speaker_changes import Continuous
    from voiceguard.lab.progress import Track
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.service.kit import Kit

_NUM_OTHERS = 2
_MIN_ADDED_S = 1.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TakeStatistics:
    """Over many takes."""

    agreements: NDArray[np.float64]
    """``(num_takes,)``: median cosine to the other takes of the session."""
    agreements_added: NDArray[np.float64]
    """``(num_tests,)``: cosines of other sessions' speech to the voiceprint."""
    breaks_one_voice: NDArray[np.float64]
    """``(num_takes,)``"""
    breaks_two_voices: NDArray[np.float64]
    """``(num_mixed_takes,)``"""

    def caught(self, limits: EnrollmentLimits) -> float | None:
        """Share of takes with two voices that are noticed; None where it is unknown."""
        if limits.max_voice_break is None or not len(self.breaks_two_voices):
            return None
        return float(np.mean(self.breaks_two_voices > limits.max_voice_break))


def with_enrollment(
    calibration: Calibration,
    experiment: Experiment,
    takes: TakeStatistics,
    kit: Kit,
    shipped: Calibration | None = None,
) -> Calibration:
    """Adds the limits of enrollment and its prediction.

    Args:
        calibration: Without them.
        experiment: What was heard.
        takes: Of the same corpus.
        kit: Its cohort counts.
        shipped: Gives what there is too little speech for.
    """
    limits = fit_enrollment_limits(
        agreements=takes.agreements,
        agreements_added=takes.agreements_added,
        voice_breaks=takes.breaks_one_voice,
    )
    observed = observe(experiment, kit.cohort).values()
    prediction = fit_prediction(each for _, each in observed)
    if shipped is not None:
        limits = limits.completed_by(shipped.enrollment)
        prediction = prediction or shipped.prediction
    return replace(calibration, enrollment=limits, prediction=prediction)


def measure_takes(
    kit: Kit,
    longest: Sequence[Continuous],
    experiment: Experiment,
    *,
    seed: int = 0,
    track: Track = untracked,
) -> TakeStatistics:
    """Compares takes and joins strangers' speech.

    Args:
        kit: Encoder.
        longest: What everybody has to say, by the speaker's name.
        experiment: Over the same, with takes that no limit has sent back.
        seed: Chooses who shares a take.
        track: Shows progress.
    """
    one, two = [], []
    for each in track(longest, "voices in a take"):
        speech = each.speech
        one += [
            voice_break([speech.between(i * 2 * TURN_S, (i + 1) * 2 * TURN_S).samples], kit.encoder)
            for i in range(min(MAX_TAKES, int(speech.net_s / (2 * TURN_S) + 1e-9)))
        ]
        for other in _others(each, longest, seed):
            turns = [each.turn.samples, other.turn.samples]
            two.append(voice_break([np.concatenate(turns)], kit.encoder))
    return TakeStatistics(
        agreements=_agreements(experiment),
        agreements_added=_agreements_added(experiment),
        breaks_one_voice=np.array([each for each in one if each is not None]),
        breaks_two_voices=np.array([each for each in two if each is not None]),
    )


def _group(of: Continuous) -> tuple[str, str]:
    return of.about.corpus, of.about.half


def _others(of: Continuous, longest: Sequence[Continuous], seed: int) -> list[Continuous]:
    """A few of the same corpus and half who have said enough."""
    if not of.has_turn:
        return []
    fitting = [
        each for each in longest if each is not of and _group(each) == _group(of) and each.has_turn
    ]
    order = seeded(seed, "two voices", of.about.speaker).permutation(len(fitting))
    return [fitting[i] for i in order[:_NUM_OTHERS]]


def _agreements(experiment: Experiment) -> NDArray[np.float64]:
    found = []
    for enrolled in experiment.enrolled:
        takes = np.stack([each.embedding for each in enrolled.voiceprint.templates])
        if len(takes) > 2:  # as in an enrollment, where two more have been said
            alike = takes @ takes.T
            found += [float(np.median(np.delete(row, i))) for i, row in enumerate(alike)]
    return np.array(found)


def _agreements_added(experiment: Experiment) -> NDArray[np.float64]:
    enrolled_by = {each.about.speaker: each for each in experiment.enrolled}
    found = []
    for test in experiment.tests:
        enrolled = enrolled_by.get(test.about.speaker)
        if enrolled is None or test.heard is None or test.noise != CLEAN:
            continue
        final = test.heard.final
        is_other = kind_of(enrolled, test) is Kind.CROSS_SESSION
        if is_other and final.embedding is not None and final.evidence.net_speech_s >= _MIN_ADDED_S:
            mean = renormalised_mean(
                np.stack([each.embedding for each in enrolled.voiceprint.templates])
            )
            found.append(float(mean @ final.embedding))
    return np.array(found)
