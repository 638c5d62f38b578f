"""Is a voice that is being enrolled somebody's who is enrolled already, under another name?

Pure numpy. In: the new voiceprint and the others. Out: whose it is. By the calibration's own tail
of strangers, so that an encoder without one notices nobody.
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.scoring.cosine import renormalised_mean
from voiceguard.scoring.scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.snorm import Cohort
    from voiceguard.types import Voiceprint

FALSE_ALARM_RATE = 0.001
"""Of enrollments of new voices, all enrolled speakers together. A tenth of what opens a door:
whoever is refused wrongly has read for nothing, or must answer a question."""


def known_voice(
    voiceprint: Voiceprint,
    others: Sequence[Voiceprint],
    cohort: Cohort | None,
    calibration: Calibration | None,
) -> str | None:
    """The speaker whom the voiceprint sounds like, or None.

    Args:
        voiceprint: Of somebody new.
        others: Of the same encoder; one of the same name doesn't count.
        cohort: The calibration's.
        calibration: None: nobody is noticed.
    """
    others = [each for each in others if each.speaker != voiceprint.speaker]
    if calibration is None or not others:
        return None
    templates = voiceprint.templates
    best = Scorer(others, cohort, calibration).score(
        renormalised_mean(np.stack([template.embedding for template in templates])),
        sum(template.net_speech_s for template in templates),
        fmean(template.snr_db for template in templates),
    )[0]
    threshold = calibration.threshold_for(FALSE_ALARM_RATE / len(others)).llr
    is_known = best.llr is not None and best.llr > max(0.0, threshold)
    return best.speaker if is_known else None
