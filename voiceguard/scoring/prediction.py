"""How often an enrolled speaker will be accepted: a range, from the takes of the enrollment.

Pure numpy; used at the end of an enrollment and when a calibration is made. In: how well every take
matches the others, itself left out. Out: for 2, 3 and 5 s of speech, on the same occasion and on
others, the share of utterances that will be accepted.

The model, in normalised scores (the calibration turns them into LLRs, the policy into accepts):
a speaker's takes match each other by a level of the speaker's own, ``N(take_mean, take_spread^2)``,
seen through the noise of few takes; the speaker's later utterances score around a level that
follows it with a slope, plus what cannot be seen in the takes (``level_spread``), and vary by
``utterance_spread``. Takes are shrunk towards the mean of all speakers as far as they are few. A
mean over n templates scores lower by ``template_loss / n`` than one over very many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from voiceguard.scoring.policy import Evidence, decide
from voiceguard.types import SpeakerScore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.policy import PolicyConfig

SAME_OCCASION = "same session"
OTHER_OCCASION = "other session"

RANGE_SHARE = 0.8
"""Of speakers with takes like these, the share whose rate lies inside the range."""
_NORMAL = NormalDist()
_RANGE_Z = _NORMAL.inv_cdf(0.5 + RANGE_SHARE / 2)

MIN_SPEAKERS = 10
"""Who tell what another occasion costs; fewer, and nothing is said about it."""

_MIN_REAL_SHARE = 0.1
"""Of an observed variance, left to what it shall measure when its noise would explain it all."""
_SCORES = np.linspace(-30.0, 60.0, 9001)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Where the scores of an occasion and a length of speech lie; in normalised scores."""

    occasion: str
    """SAME_OCCASION or OTHER_OCCASION."""
    speech_s: float
    level: float
    """Of a speaker whose takes match as most people's do."""
    slope: float
    """How far the level follows the speaker's takes; 0: the takes say nothing about it."""
    level_spread: float
    """Standard deviation between speakers that the takes don't explain."""
    utterance_spread: float
    """Standard deviation between utterances of one speaker."""
    num_speakers: int

    def __post_init__(self) -> None:
        numbers = (self.level, self.slope, self.level_spread, self.utterance_spread, self.speech_s)
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError("a figure of a prediction is not finite")
        if min(self.slope, self.level_spread) < 0 or self.utterance_spread <= 0:
            raise ValueError("slope and spreads of a prediction must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionModel:
    """What was measured on other speakers; a part of the calibration, with its cohort's scores."""

    take_mean: float
    """How well a take matches the mean of very many others of its speaker."""
    take_spread: float
    """Standard deviation of that between speakers."""
    take_noise: float
    """Standard deviation between the takes of one speaker."""
    template_loss: float
    outlooks: tuple[Outlook, ...]

    def __post_init__(self) -> None:
        numbers = (self.take_mean, self.take_spread, self.take_noise, self.template_loss)
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError("a figure of a prediction is not finite")
        if min(numbers[1:]) < 0 or self.take_spread == 0:
            raise ValueError("spread, noise and loss of a prediction must not be negative")

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> PredictionModel:
        """From what ``dataclasses.asdict`` made of one.

        Raises:
            TypeError, KeyError, ValueError: It is not that.
        """
        outlooks = tuple(Outlook(**outlook) for outlook in values["outlooks"])
        return cls(**{**values, "outlooks": outlooks})


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Where one speaker's scores will lie, on one occasion and at one length."""

    outlook: Outlook
    mean: float
    spread: float
    """Standard deviation of what is not known of the speaker."""

    def accept_rates(self, threshold: float, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """The share of utterances that score above ``threshold`` if the level is z spreads off."""
        levels = self.mean + self.spread * z
        above = (levels - threshold) / self.outlook.utterance_spread
        return np.array([_NORMAL.cdf(value) for value in above])


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedRate:
    """A share of utterances that will be accepted, in [0, 1]."""

    occasion: str
    speech_s: float
    low: float
    expected: float
    high: float
    """RANGE_SHARE of such speakers lie between ``low`` and ``high``."""


def levels(
    model: PredictionModel, take_scores: Sequence[float], num_templates: int
) -> tuple[Level, ...]:
    """What an enrollment's takes say about its speaker.

    Args:
        model: Of this encoder and cohort.
        take_scores: Each take against the mean of the others, normalised; empty with one take.
        num_templates: In the voiceprint.
    """
    surprise, unknown = 0.0, 1.0
    if len(take_scores) > 1:
        noise = model.take_noise**2 / len(take_scores)
        trust = model.take_spread**2 / (model.take_spread**2 + noise)
        # Each was compared with a mean of one take less than there are.
        seen = float(np.mean(take_scores)) + model.template_loss / (len(take_scores) - 1)
        surprise, unknown = trust * (seen - model.take_mean), 1 - trust
    return tuple(
        Level(
            outlook=each,
            mean=each.level + each.slope * surprise - model.template_loss / num_templates,
            spread=math.sqrt(
                (each.slope * model.take_spread) ** 2 * unknown
                + each.level_spread**2 * (1 + 1 / each.num_speakers)
            ),
        )
        for each in model.outlooks
    )


def predict(
    model: PredictionModel,
    take_scores: Sequence[float],
    *,
    num_templates: int,
    calibration: Calibration,
    policy: PolicyConfig,
    snr_db: float,
    num_voiceprints: int = 1,
) -> tuple[PredictedRate, ...]:
    """The range for every occasion and length that the model knows.

    Args:
        model: Of this encoder and cohort.
        take_scores: Each take against the mean of the others, normalised; empty with one take.
        num_templates: In the voiceprint.
        calibration: Turns scores into LLRs, and the policy's rates into thresholds.
        policy: What an accept asks for.
        snr_db: How quiet it will be.
        num_voiceprints: Enrolled together; they share the policy's rate of false accepts.
    """
    rates = []
    for level in levels(model, take_scores, num_templates):
        threshold = accept_score(
            calibration,
            policy,
            speech_s=level.outlook.speech_s,
            snr_db=snr_db,
            num_voiceprints=num_voiceprints,
        )
        middle = _normal_quantiles(num=41)
        low, high = level.accept_rates(threshold, np.array([-_RANGE_Z, _RANGE_Z]))
        rates.append(
            PredictedRate(
                occasion=level.outlook.occasion,
                speech_s=level.outlook.speech_s,
                low=float(low),
                expected=float(level.accept_rates(threshold, middle).mean()),
                high=float(high),
            )
        )
    return tuple(rates)


def accept_score(
    calibration: Calibration,
    policy: PolicyConfig,
    *,
    speech_s: float,
    snr_db: float,
    num_voiceprints: int = 1,
) -> float:
    """The normalised score above which a final decision accepts; infinite where none is enough."""
    evidence = Evidence(net_speech_s=speech_s, snr_db=snr_db, is_final=True)
    probe = SpeakerScore(speaker="", cosine=0.0, normalised=0.0, llr=0.0)
    verdict = decide((probe,) * num_voiceprints, evidence, policy, calibration)
    if verdict.accept_llr is None:
        return math.inf
    above = np.flatnonzero(calibration.llr(_SCORES, speech_s, snr_db) > verdict.accept_llr)
    return float(_SCORES[above[0]]) if len(above) else math.inf


def count_distribution(level: Level, threshold: float, num_tests: int) -> NDArray[np.float64]:
    """How likely 0 to ``num_tests`` accepts are, ``(num_tests + 1,)``: what a check asks for."""
    rates = np.clip(level.accept_rates(threshold, _normal_quantiles(num=41)), 1e-12, 1 - 1e-12)
    counts = np.arange(num_tests + 1)
    ways = np.array([math.comb(num_tests, int(count)) for count in counts], dtype=np.float64)
    each = ways * rates[:, None] ** counts * (1 - rates[:, None]) ** (num_tests - counts)
    return np.asarray(each.mean(axis=0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observed:
    """One speaker: the takes, and what later utterances scored. Normalised scores."""

    take_scores: tuple[float, ...]
    """Each take against the mean of the others."""
    pair_score: float
    """Mean over pairs of takes."""
    num_templates: int
    tests: Mapping[tuple[str, float], tuple[float, ...]]
    """By occasion and seconds of speech."""


def fit_prediction(speakers: Iterable[Observed]) -> PredictionModel | None:
    """Fits the model by moments.

    Args:
        speakers: With at least two takes each; others are left out.

    Returns:
        None where fewer than MIN_SPEAKERS have takes and tests.
    """
    known = [each for each in speakers if len(each.take_scores) > 1]
    if len(known) < MIN_SPEAKERS:
        return None
    loss = _template_loss(known)
    takes = np.array(
        [np.mean(s.take_scores) + loss / (len(s.take_scores) - 1) for s in known], dtype=np.float64
    )
    noise = float(np.mean([np.var(s.take_scores, ddof=1) for s in known]))
    seen_noise = float(np.mean([noise / len(s.take_scores) for s in known]))
    take_mean, take_spread = float(takes.mean()), _real_spread(takes, seen_noise)
    cells = {cell for each in known for cell in each.tests}
    outlooks = []
    for cell in sorted(cells, key=lambda c: (c[0] != SAME_OCCASION, c[1])):
        rows = [i for i, each in enumerate(known) if each.tests.get(cell)]
        if len(rows) >= MIN_SPEAKERS:
            there = [known[i] for i in rows]
            outlooks.append(_outlook(cell, there, takes[rows] - take_mean, take_spread, loss))
    if not outlooks:
        return None
    return PredictionModel(
        take_mean=take_mean,
        take_spread=take_spread,
        take_noise=math.sqrt(noise),
        template_loss=loss,
        outlooks=tuple(outlooks),
    )


def _template_loss(known: Sequence[Observed]) -> float:
    """From single takes compared with each other, and with the mean of several."""
    gains = [
        (np.mean(s.take_scores) - s.pair_score) / (1 - 1 / (len(s.take_scores) - 1))
        for s in known
        if len(s.take_scores) > 2  # noqa: PLR2004  # of two takes each, the mean of others is one
    ]
    return max(0.0, float(np.mean(gains))) if gains else 0.0


def _outlook(
    cell: tuple[str, float],
    there: Sequence[Observed],
    surprise: NDArray[np.float64],
    take_spread: float,
    loss: float,
) -> Outlook:
    scores = [np.array(each.tests[cell]) for each in there]
    num_tests = np.array([len(each) for each in scores])
    degrees = max(1, int(np.sum(num_tests - 1)))
    variance = sum(float(np.var(each)) * len(each) for each in scores) / degrees
    means = np.array(
        [each.mean() + loss / s.num_templates for each, s in zip(scores, there, strict=True)]
    )
    spread = _real_spread(means, float(np.mean(variance / num_tests)))
    covariance = float(np.cov(surprise, means)[0, 1])
    slope = min(max(covariance / take_spread**2, 0.0), spread / take_spread)
    unexplained = max(spread**2 - (slope * take_spread) ** 2, _MIN_REAL_SHARE * spread**2)
    occasion, speech_s = cell
    return Outlook(
        occasion=occasion,
        speech_s=speech_s,
        level=float(np.mean(means - slope * surprise)),
        slope=slope,
        level_spread=math.sqrt(unexplained),
        utterance_spread=max(math.sqrt(variance), 1e-3),
        num_speakers=len(there),
    )


def _real_spread(values: NDArray[np.float64], noise_variance: float) -> float:
    """Standard deviation without the part that is noise of measuring."""
    variance = float(np.var(values, ddof=1))
    return max(math.sqrt(max(variance - noise_variance, _MIN_REAL_SHARE * variance)), 1e-3)


def _normal_quantiles(num: int) -> NDArray[np.float64]:
    """``num`` equally likely standard normal values."""
    return np.array([_NORMAL.inv_cdf((i + 0.5) / num) for i in range(num)])
