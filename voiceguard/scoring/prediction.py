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
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.scoring.policy import Evidence, decide
from voiceguard.types import SpeakerScore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.outlook import Outlook, PredictionModel
    from voiceguard.scoring.policy import PolicyConfig


RANGE_SHARE = 0.8
"""Of speakers with takes like these, the share whose rate lies inside the range."""


_NORMAL = NormalDist()


_RANGE_Z = _NORMAL.inv_cdf(0.5 + RANGE_SHARE / 2)


_SCORES = np.linspace(-30.0, 60.0, 9001)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Where one speaker's scores will lie, on one occasion and at one length."""

    outlook: Outlook
    mean: float
    spread: float
    """Standard deviation of what is not known of the speaker."""

    def accept_rates(self, threshold: float, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(num_z,)``: the share of utterances above a threshold if the level is z spreads off."""
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
    return _never_worse_when_longer(rates)


def _never_worse_when_longer(rates: Sequence[PredictedRate]) -> tuple[PredictedRate, ...]:
    """Longer speech of one occasion is never predicted worse than shorter.

    Lengths are measured apart, on few people; where they contradict each other, the truth is taken
    to be between them (isotonic regression).
    """
    found: list[PredictedRate] = []
    for occasion in dict.fromkeys(rate.occasion for rate in rates):
        part = sorted(
            (rate for rate in rates if rate.occasion == occasion), key=lambda rate: rate.speech_s
        )
        low, expected, high = (
            never_falling([getattr(rate, name) for rate in part])
            for name in ("low", "expected", "high")
        )
        found += [
            replace(rate, low=low[at], expected=expected[at], high=high[at])
            for at, rate in enumerate(part)
        ]
    return tuple(found)


def never_falling(values: Sequence[float]) -> list[float]:
    """The nearest sequence that never falls: pool adjacent violators."""
    pooled: list[tuple[float, int]] = []
    for value in values:
        mean, count = value, 1
        while pooled and pooled[-1][0] > mean:
            below, num_below = pooled.pop()
            mean = (mean * count + below * num_below) / (count + num_below)
            count += num_below
        pooled.append((mean, count))
    return [mean for mean, count in pooled for _ in range(count)]


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


def _normal_quantiles(num: int) -> NDArray[np.float64]:
    """``num`` equally likely standard normal values."""
    return np.array([_NORMAL.inv_cdf((i + 0.5) / num) for i in range(num)])
