"""Limits of enrollment are quantiles of honest takes, in whatever scale the encoder has."""

from __future__ import annotations

import numpy as np
import pytest

from voiceguard.scoring.limits import (
    FALSE_ALARM_RATE,
    NO_LIMITS,
    EnrollmentLimits,
    fit_enrollment_limits,
)

RNG = np.random.default_rng(3)
ALIKE = RNG.normal(0.7, 0.1, 500)
BREAKS = RNG.normal(0.5, 0.1, 500)


def test_as_many_honest_takes_are_sent_back_as_promised() -> None:
    limits = fit_enrollment_limits(agreements=ALIKE, agreements_added=ALIKE, voice_breaks=BREAKS)
    assert limits.min_agreement is not None
    assert limits.max_voice_break is not None
    assert np.mean(limits.min_agreement > ALIKE) == pytest.approx(FALSE_ALARM_RATE, abs=0.005)
    assert np.mean(limits.max_voice_break < BREAKS) == pytest.approx(FALSE_ALARM_RATE, abs=0.005)


def test_another_scale_of_cosines_moves_the_limit_and_not_the_rate() -> None:
    scaled = fit_enrollment_limits(
        agreements=0.5 * ALIKE + 0.5, agreements_added=ALIKE, voice_breaks=BREAKS
    )
    plain = fit_enrollment_limits(agreements=ALIKE, agreements_added=ALIKE, voice_breaks=BREAKS)
    assert plain.min_agreement is not None
    assert scaled.min_agreement == pytest.approx(0.5 * plain.min_agreement + 0.5, abs=0.002)


def test_too_few_takes_make_no_limit_and_the_shipped_one_stays() -> None:
    few = fit_enrollment_limits(
        agreements=ALIKE[:10], agreements_added=ALIKE, voice_breaks=BREAKS[:0]
    )
    assert few.min_agreement is None
    assert few.max_voice_break is None
    shipped = EnrollmentLimits(min_agreement=0.4, max_voice_break=0.9, min_agreement_added=-0.9)
    both = few.completed_by(shipped)
    assert (both.min_agreement, both.max_voice_break) == (0.4, 0.9)
    assert both.min_agreement_added == few.min_agreement_added
    assert NO_LIMITS.completed_by(shipped) == shipped


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        EnrollmentLimits(min_agreement=float("nan"))
