"""Were the predictions right? What enrollments predicted, against what then happened.

In: an ``Experiment`` and, for each half, a calibration that has not seen it. The model that
predicts for one half is fitted to the other. Out: per occasion and length of speech, predicted and
observed accepts. Also collects what ``fit_prediction`` is fitted to.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.lab.corpora.conditions import CLEAN
from voiceguard.lab.corpora.corpus import HALVES
from voiceguard.lab.evaluation.daemon.trials import kind_of
from voiceguard.lab.fitting.prediction import Observed, fit_prediction
from voiceguard.scoring.prediction import (
    RANGE_SHARE,
    accept_score,
    count_distribution,
    levels,
    predict,
)
from voiceguard.scoring.scorer import Scorer, leave_one_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from voiceguard.lab.evaluation.daemon.experiment import Enrolled, Experiment
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.outlook import PredictionModel
    from voiceguard.scoring.policy import PolicyConfig
    from voiceguard.scoring.snorm import Cohort
    from voiceguard.service.kit import Kit

PREDICTED_LENGTHS_S = (2.0, 3.0, 5.0)
_THIRDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSpeaker:
    """One speaker, occasion and length."""

    speaker: str
    occasion: str
    speech_s: float
    low: float
    expected: float
    high: float
    num_tests: int
    num_accepted: int
    inside: float
    """How much of the predicted distribution of the number of accepts lies, at the number that was
    observed, within its central RANGE_SHARE: in [0, 1], and RANGE_SHARE on average if the
    prediction is right, though the numbers are small and whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFigures:
    """One occasion and length, over the speakers; rates are means over speakers."""

    occasion: str
    speech_s: float
    num_speakers: int
    num_tests: int
    predicted: float
    observed: float
    predicted_thirds: tuple[float, ...]
    """The third of the speakers with the lowest expectation, the middle, the highest."""
    observed_thirds: tuple[float, ...]
    mean_width: float
    """Of the ranges, ``high - low``."""
    covered: float
    """Share of speakers inside the range, the noise of few tests allowed for: RANGE_SHARE if the
    predictions are right; more, if they are too cautious."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionCheck:
    """What came of it; empty without a cohort or with too few speakers."""

    range_share: float
    figures: tuple[CheckFigures, ...]
    speakers: tuple[CheckedSpeaker, ...]


def observe(experiment: Experiment, cohort: Cohort | None) -> dict[str, tuple[Enrolled, Observed]]:
    """Every enrolled speaker's takes and clean crops, scored, by speaker."""
    tests = defaultdict(list)
    for test in experiment.tests:
        if test.noise == CLEAN and test.length in _LENGTH_OF:
            tests[test.about.speaker].append(test)
    found = {}
    for enrolled in experiment.enrolled:
        scorer = Scorer([enrolled.voiceprint], cohort, None)
        scores = defaultdict(list)
        for test in tests[enrolled.about.speaker]:
            if test.heard is None or test.heard.final.embedding is None:
                continue
            (score,) = scorer.score(test.heard.final.embedding, np.nan, np.nan)
            cell = (str(kind_of(enrolled, test)), _LENGTH_OF[test.length])
            scores[cell].append(score.normalised)
        templates = enrolled.voiceprint.templates
        found[enrolled.about.speaker] = (
            enrolled,
            Observed(
                take_scores=take_scores(enrolled, cohort),
                pair_score=_pair_score(enrolled, cohort),
                num_templates=len(templates),
                tests={cell: tuple(each) for cell, each in scores.items()},
            ),
        )
    return found


_LENGTH_OF = {f"{length_s:g} s": length_s for length_s in PREDICTED_LENGTHS_S}


def take_scores(enrolled: Enrolled, cohort: Cohort | None) -> tuple[float, ...]:
    """Each take against the mean of the others; empty with one."""
    templates = enrolled.voiceprint.templates
    if len(templates) < 2:
        return ()
    return tuple(score.normalised for score in leave_one_out(templates, cohort, None))


def _pair_score(enrolled: Enrolled, cohort: Cohort | None) -> float:
    templates = enrolled.voiceprint.templates
    pairs = [
        leave_one_out((first, second), cohort, None)[0].normalised
        for i, first in enumerate(templates)
        for second in templates[:i]
    ]
    return float(np.mean(pairs)) if pairs else float("nan")


def check_predictions(
    kit: Kit, experiment: Experiment, calibrations: Mapping[str, Calibration]
) -> PredictionCheck:
    """Predicts for each half by the other, and counts what happened.

    An accept is a final one, one voiceprint enrolled.

    Args:
        kit: Cohort and policy.
        experiment: What was heard.
        calibrations: By the half that they have not seen.
    """
    observed = observe(experiment, kit.cohort)
    checked: list[CheckedSpeaker] = []
    for half in HALVES:
        model = fit_prediction(o for e, o in observed.values() if e.about.half != half)
        here = [(e, o) for e, o in observed.values() if e.about.half == half]
        if model is not None:
            for enrolled, each in here:
                checked += _check(enrolled, each, model, calibrations[half], kit.settings.policy)
    cells = sorted({(c.occasion, c.speech_s) for c in checked}, key=lambda c: (c[0][::-1], c[1]))
    return PredictionCheck(
        range_share=RANGE_SHARE,
        figures=tuple(
            _figures([c for c in checked if (c.occasion, c.speech_s) == cell]) for cell in cells
        ),
        speakers=tuple(checked),
    )


def _check(
    enrolled: Enrolled,
    observed: Observed,
    model: PredictionModel,
    calibration: Calibration,
    policy: PolicyConfig,
) -> list[CheckedSpeaker]:
    snr_db = float(np.mean([template.snr_db for template in enrolled.voiceprint.templates]))
    rates = predict(
        model,
        observed.take_scores,
        num_templates=observed.num_templates,
        calibration=calibration,
        policy=policy,
        snr_db=snr_db,
    )
    checked = []
    for rate, level in zip(
        rates, levels(model, observed.take_scores, observed.num_templates), strict=True
    ):
        scores = observed.tests.get((rate.occasion, rate.speech_s), ())
        if not scores:
            continue
        # Crops are of the recording's own quiet: one threshold for all of them.
        threshold = accept_score(calibration, policy, speech_s=rate.speech_s, snr_db=snr_db)
        chances = count_distribution(level, threshold, len(scores))
        num_accepted = sum(score > threshold for score in scores)
        checked.append(
            CheckedSpeaker(
                speaker=enrolled.about.speaker,
                occasion=rate.occasion,
                speech_s=rate.speech_s,
                low=rate.low,
                expected=rate.expected,
                high=rate.high,
                num_tests=len(scores),
                num_accepted=num_accepted,
                inside=_inside(chances, num_accepted),
            )
        )
    return checked


def _inside(chances: NDArray[np.float64], count: int) -> float:
    """The part of a count's place in the distribution that is in the central RANGE_SHARE.

    Source: C. Czado, T. Gneiting, L. Held, "Predictive model assessment for count data",
    Biometrics 65, 2009, sec. 2.1 (the probability integral transform without random draws).
    """
    each_end = (1 - RANGE_SHARE) / 2
    end = float(chances[: count + 1].sum())
    start = end - float(chances[count])
    within = min(end, 1 - each_end) - max(start, each_end)
    return max(0.0, within) / max(end - start, 1e-12)


def _figures(cell: list[CheckedSpeaker]) -> CheckFigures:
    cell = sorted(cell, key=lambda each: (each.expected, each.speaker))
    predicted = np.array([each.expected for each in cell])
    observed = np.array([each.num_accepted / each.num_tests for each in cell])
    thirds = [part for part in np.array_split(np.arange(len(cell)), _THIRDS) if len(part)]
    return CheckFigures(
        occasion=cell[0].occasion,
        speech_s=cell[0].speech_s,
        num_speakers=len(cell),
        num_tests=sum(each.num_tests for each in cell),
        predicted=float(predicted.mean()),
        observed=float(observed.mean()),
        predicted_thirds=tuple(float(predicted[part].mean()) for part in thirds),
        observed_thirds=tuple(float(observed[part].mean()) for part in thirds),
        mean_width=float(np.mean([each.high - each.low for each in cell])),
        covered=float(np.mean([each.inside for each in cell])),
    )
