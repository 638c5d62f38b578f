"""An enrollment in one word, and the one thing that would help it most.

Pure. In: a voiceprint, and how often its speaker is expected to be accepted. Out: an ``Appraisal``.

The word is about 3 s of speech: good where four of five utterances are expected to be accepted on
the same occasion and three of five on others (where the calibration knows others), weak where it is
fewer than half or a quarter. Without a prediction the speech that there is decides, and nothing is
called good.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import TYPE_CHECKING

from voiceguard.enrollment.prediction import OCCASION
from voiceguard.enrollment.takes import ENOUGH_SPEECH_S
from voiceguard.scoring.outlook import OTHER_OCCASION, SAME_OCCASION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.scoring.prediction import PredictedRate
    from voiceguard.types import Voiceprint

APPRAISED_S = 3.0
GOOD_RATES = {SAME_OCCASION: 0.8, OTHER_OCCASION: 0.6}
WEAK_RATES = {SAME_OCCASION: 0.5, OTHER_OCCASION: 0.25}
LITTLE_SPEECH_S = 4.0
NUM_TAKES = 3
QUIET_SNR_DB = 15.0


class Quality(StrEnum):
    """How well it will do. Appears in ``--json``."""

    GOOD = "good"
    FAIR = "fair"
    WEAK = "weak"


class Advice(StrEnum):
    """What would help most. Appears in ``--json``."""

    MORE_SPEECH = "more_speech"
    MORE_TAKES = "more_takes"
    LESS_NOISE = "less_noise"
    ANOTHER_DAY = "another_day"
    BETTER_ENCODER = "better_encoder"
    """Everything that the speaker can do is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraisal:
    """What is said first at the end of an enrollment."""

    quality: Quality
    advice: Advice | None
    """None where it is good as it is."""


def appraise(voiceprint: Voiceprint, prediction: Sequence[PredictedRate]) -> Appraisal:
    """The word, and the advice.

    Args:
        voiceprint: As it is stored.
        prediction: For it; empty where nobody can say.
    """
    speech_s = sum(template.net_speech_s for template in voiceprint.templates)
    expected = {rate.occasion: rate.expected for rate in prediction if rate.speech_s == APPRAISED_S}
    if not expected:
        quality = Quality.WEAK if speech_s < LITTLE_SPEECH_S else Quality.FAIR
    elif any(rate < WEAK_RATES[occasion] for occasion, rate in expected.items()):
        quality = Quality.WEAK
    elif all(rate >= GOOD_RATES[occasion] for occasion, rate in expected.items()):
        quality = Quality.GOOD
    else:
        quality = Quality.FAIR
    advice = None if quality is Quality.GOOD else _advice(voiceprint, speech_s)
    return Appraisal(quality=quality, advice=advice)


def _advice(voiceprint: Voiceprint, speech_s: float) -> Advice:
    templates = voiceprint.templates
    times = [template.created_at for template in templates]
    wanting = (
        (speech_s < ENOUGH_SPEECH_S, Advice.MORE_SPEECH),
        (fmean(template.snr_db for template in templates) < QUIET_SNR_DB, Advice.LESS_NOISE),
        (len(templates) < NUM_TAKES, Advice.MORE_TAKES),
        (max(times) - min(times) <= OCCASION, Advice.ANOTHER_DAY),
    )
    return next((advice for is_wanting, advice in wanting if is_wanting), Advice.BETTER_ENCODER)


def advise(appraisal: Appraisal, speaker: str) -> str:
    """The one thing that would help most; empty where nothing is wanting.

    Args:
        appraisal: Of a voiceprint.
        speaker: Whose.
    """
    if appraisal.advice is None:
        return ""
    add = f"`voiceguard enroll {speaker} --add`"
    return {
        Advice.MORE_SPEECH: f"there is little speech in it: {add} takes more in",
        Advice.LESS_NOISE: f"it was noisy: read again where it is quiet, {add}",
        Advice.MORE_TAKES: f"it rests on few takes: read two more, {add}",
        Advice.ANOTHER_DAY: f"it knows one occasion: on another day or in another room, {add}",
        Advice.BETTER_ENCODER: "more takes will change little; another encoder may: "
        "`voiceguard models list`",
    }[appraisal.advice]
