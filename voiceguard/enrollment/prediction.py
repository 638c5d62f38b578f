"""An enrollment's end: how often this voiceprint's speaker will be accepted.

Pure. In: a voiceprint, and what its scores are judged by. Out: predicted ranges.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.scoring.prediction import predict
from voiceguard.scoring.scorer import leave_one_out

if TYPE_CHECKING:
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.policy import PolicyConfig
    from voiceguard.scoring.prediction import PredictedRate
    from voiceguard.scoring.snorm import Cohort
    from voiceguard.types import Template, Voiceprint

OCCASION = timedelta(hours=1)
"""Takes within this time of the latest one are of one occasion, as the model's are."""


def predict_acceptance(
    voiceprint: Voiceprint,
    cohort: Cohort | None,
    calibration: Calibration | None,
    policy: PolicyConfig,
    *,
    num_voiceprints: int = 1,
) -> tuple[PredictedRate, ...]:
    """Predicts from the takes of the latest occasion, each left out of the mean in turn.

    Args:
        voiceprint: Of the calibration's encoder.
        cohort: The calibration's.
        calibration: None, or one without a model: nothing is predicted.
        policy: What an accept asks for.
        num_voiceprints: Enrolled together, this one included.

    Returns:
        Empty where nothing is known.
    """
    if calibration is None or calibration.prediction is None:
        return ()
    takes = latest_takes(voiceprint)
    scores = leave_one_out(takes, cohort, None) if len(takes) > 1 else ()
    return predict(
        calibration.prediction,
        [score.normalised for score in scores],
        num_templates=len(voiceprint.templates),
        calibration=calibration,
        policy=policy,
        snr_db=float(np.mean([take.snr_db for take in takes])),
        num_voiceprints=num_voiceprints,
    )


def latest_takes(voiceprint: Voiceprint) -> tuple[Template, ...]:
    """The templates of the latest occasion."""
    latest = max(template.created_at for template in voiceprint.templates)
    return tuple(t for t in voiceprint.templates if latest - t.created_at <= OCCASION)
