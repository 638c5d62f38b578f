"""Trials: every voiceprint against every test of the same corpus and half, scored.

In: an ``Experiment``. Out: the table of trials that calibrations are fitted to and figures are
computed from. A half is judged by what was fitted to the other one, so no trial crosses halves.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from voiceguard.lab.corpora.corpus import HALVES
from voiceguard.lab.fitting.calibration import refitted
from voiceguard.lab.fitting.trials import Trials
from voiceguard.scoring.scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from voiceguard.lab.evaluation.daemon.experiment import Enrolled, Experiment, Test
    from voiceguard.lab.fitting.calibration import Prior
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.snorm import Cohort


class Kind(StrEnum):
    """Who speaks, and when."""

    SAME_SESSION = "same session"
    """The enrolled speaker, on the occasion of the enrollment."""
    CROSS_SESSION = "other session"
    """The enrolled speaker on another occasion: what daily use is like."""
    STRANGER = "stranger"


def kind_of(enrolled: Enrolled, test: Test) -> Kind:
    """What sort of trial it is."""
    if test.speaker != enrolled.speaker:
        return Kind.STRANGER
    return Kind.SAME_SESSION if test.session == enrolled.session else Kind.CROSS_SESSION


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """Trials before calibration, and what sort each is."""

    trials: Trials
    kind: NDArray[np.str_]
    """``(num_trials,)``."""
    noise: NDArray[np.str_]
    """``(num_trials,)``, ``clean`` or a noise's name."""

    def of_noises(self, *noises: str) -> Scored:
        """The trials in these noise conditions."""
        rows = np.isin(self.noise, noises)
        return Scored(trials=self.trials.select(rows), kind=self.kind[rows], noise=self.noise[rows])


def groups(experiment: Experiment) -> Iterator[tuple[list[Enrolled], list[Test]]]:
    """Voiceprints and the tests that meet them."""
    for corpus in sorted({each.corpus for each in experiment.enrolled}):
        for half in HALVES:
            yield (
                [e for e in experiment.enrolled if (e.corpus, e.half) == (corpus, half)],
                [t for t in experiment.tests if (t.corpus, t.half) == (corpus, half)],
            )


def score_trials(experiment: Experiment, cohort: Cohort | None) -> Scored:
    """Scores the final evidence of every segment by the daemon's scorer, uncalibrated.

    Segments without an embedding (too short) make no trial.
    """
    rows: list[_Row] = []
    for enrolled, tests in groups(experiment):
        scorer = Scorer([each.voiceprint for each in enrolled], cohort, None)
        by_speaker = {each.speaker: each for each in enrolled}
        for test in tests:
            if test.heard is None or (embedding := test.heard.final.embedding) is None:
                continue
            heard = test.heard.final.evidence
            rows += [
                _Row(
                    score.normalised,
                    score.speaker,
                    test.speaker,
                    heard.net_speech_s,
                    heard.snr_db,
                    HALVES.index(test.half),
                    test.condition,
                    kind_of(by_speaker[score.speaker], test),
                    test.noise,
                )
                for score in scorer.score(embedding, heard.net_speech_s, heard.snr_db)
            ]
    columns = _Row(*(np.array(column) for column in zip(*rows, strict=True)))
    return Scored(
        trials=Trials(
            score=columns.score,
            enrolled=columns.enrolled,
            tested=columns.tested,
            net_speech_s=columns.net_speech_s,
            snr_db=columns.snr_db,
            fold=columns.fold,
            condition=columns.condition,
            surroundings=columns.noise,
        ),
        kind=columns.kind,
        noise=columns.noise,
    )


class _Row(NamedTuple):
    """A trial; or, with an array in each place, a table of them."""

    score: Any
    enrolled: Any
    tested: Any
    net_speech_s: Any
    snr_db: Any
    fold: Any
    condition: Any
    kind: Any
    noise: Any


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
