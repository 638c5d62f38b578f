"""What every filter bank's parameters must keep to. Imports no torch."""

from __future__ import annotations

from voiceguard.types import SAMPLE_RATE_HZ


def check_bands(min_hz: float, max_hz: float) -> None:
    """Raises ValueError where a filter bank can't lie between these frequencies."""
    if not 0 <= min_hz < max_hz <= SAMPLE_RATE_HZ / 2:
        raise ValueError(
            f"bands must lie between 0 and {SAMPLE_RATE_HZ // 2} Hz, not between {min_hz} and "
            f"{max_hz}"
        )
