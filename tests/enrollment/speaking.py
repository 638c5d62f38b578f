"""Somebody who speaks into a microphone, in tones; and limits for the encoder that hears pitch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from tests.fakes import PitchEncoder, hears_tones, quiet, tone
from voiceguard.enrollment import TakeJudge, Takes
from voiceguard.scoring.limits import EnrollmentLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from voiceguard.protocols import OverlapDetector, VoiceActivityDetector
    from voiceguard.types import Samples

NOW = datetime(2026, 11, 5, 17, 20, tzinfo=UTC)
ANNA_HZ, BOB_HZ = 500.0, 1500.0
LIMITS = EnrollmentLimits(min_agreement=0.35, max_voice_break=0.5, min_agreement_added=0.2)


def voice(
    seconds: float, *, pitch_hz: float = ANNA_HZ, seed: int = 0, level: float = 0.2
) -> Samples:
    """Somebody speaks in a quiet room, with a moment of silence before and after."""
    return np.concatenate(
        (quiet(0.3), tone(pitch_hz, seconds, level=level, seed=seed), quiet(0.3, seed=2))
    )


def take_judge(
    limits: EnrollmentLimits = LIMITS,
    make_vad: Callable[[], VoiceActivityDetector] = hears_tones,
    overlap: OverlapDetector | None = None,
) -> TakeJudge:
    """A judge for the encoder that hears pitch."""
    return TakeJudge(
        encoder=PitchEncoder(),
        make_vad=make_vad,
        limits=limits,
        overlap=overlap,
    )


def no_takes(limits: EnrollmentLimits = LIMITS) -> Takes:
    """Takes yet to be read."""
    return Takes(take_judge(limits))
