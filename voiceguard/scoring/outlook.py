"""What was measured on other speakers, for predicting how one will be accepted: plain data.

A part of the calibration; ``lab.fitting.prediction`` fits it, ``scoring.prediction`` uses it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SAME_OCCASION = "same session"


OTHER_OCCASION = "other session"


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
