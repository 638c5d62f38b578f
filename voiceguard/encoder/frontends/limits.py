"""What every filter bank's parameters must keep to. Imports no torch."""

from __future__ import annotations

from voiceguard.types import SAMPLE_RATE_HZ

MAX_FFT_SAMPLES = 8192
MAX_BANDS = 512


def check_transform(window_samples: int, fft_samples: int) -> None:
    """Raises ValueError where windows of that length don't fit into such transforms."""
    if not 2 <= window_samples <= fft_samples <= MAX_FFT_SAMPLES:  # a pair of samples
        raise ValueError(
            f"windows of {window_samples} samples in transforms of {fft_samples} are not "
            f"supported: at most {MAX_FFT_SAMPLES}, windows no longer than transforms"
        )


def check_bands(min_hz: float, max_hz: float) -> None:
    """Raises ValueError where a filter bank can't lie between these frequencies."""
    if not 0 <= min_hz < max_hz <= SAMPLE_RATE_HZ / 2:
        raise ValueError(
            f"bands must lie between 0 and {SAMPLE_RATE_HZ // 2} Hz, not between {min_hz} and "
            f"{max_hz}"
        )
