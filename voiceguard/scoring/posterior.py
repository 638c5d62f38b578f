"""How likely it is that somebody spoke, after LLRs and a stated prior.

Pure, for people and automations to read: nothing is accepted by it. The prior says how likely it
is, before anything is heard, that one of the enrolled speakers is talking; it is divided evenly
among them, and what is left is everybody else.

Source: Bayes' rule over N + 1 hypotheses; N. Bruemmer, D. van Leeuwen, "On calibration of language
recognition scores", Odyssey 2006, equation 4.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.types import SpeakerScore


def posterior(scores: Sequence[SpeakerScore], speaker: str, p_target: float) -> float | None:
    """The probability that it was this speaker, given all scores.

    Args:
        scores: One trial per voiceprint that counted; with a claim, the one.
        speaker: Of one of them.
        p_target: The prior of all of them together, between 0 and 1.

    Returns:
        None where an LLR is missing or not finite.
    """
    llrs = {score.speaker: score.llr for score in scores}
    found = [llr for llr in llrs.values() if llr is not None and math.isfinite(llr)]
    if speaker not in llrs or len(found) < len(llrs) or not 0 < p_target < 1:
        return None
    prior = math.log(p_target / len(found)) - math.log1p(-p_target)
    log_odds = {name: prior + (llr or 0.0) for name, llr in llrs.items()}
    greatest = max(0.0, *log_odds.values())  # taken out, so that no exponential overflows
    odds = {name: math.exp(each - greatest) for name, each in log_odds.items()}
    return odds[speaker] / (math.exp(-greatest) + sum(odds.values()))
