"""Window and triangles of Kaldi's filter bank, in numpy; for whoever computes it without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voiceguard.encoder.frontends.kaldi_config import FFT_SAMPLES, POVEY_EXPONENT, WINDOW_SAMPLES
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.encoder.frontends.kaldi_config import KaldiFbankConfig


def frame_window(name: str) -> NDArray[np.float64]:
    """``(400,)``; Kaldi's windows are symmetric ones."""
    if name == "hamming":
        return np.hamming(WINDOW_SAMPLES)
    povey: NDArray[np.float64] = np.hanning(WINDOW_SAMPLES) ** POVEY_EXPONENT
    return povey


def mel_bands(config: KaldiFbankConfig) -> NDArray[np.float32]:
    """``(num_bands, 256)`` triangles, equally wide and linear on the mel scale.

    In single precision from the start, as Kaldi and torchaudio compute them.
    """
    lowest, highest = _mel(np.float64(config.min_hz)), _mel(np.float64(config.max_hz))
    step = (highest - lowest) / (config.num_bands + 1)
    index = np.arange(config.num_bands, dtype=np.float32)[:, None]
    left, centre, right = (np.float32(lowest) + (index + k) * np.float32(step) for k in range(3))
    hz = np.float32(SAMPLE_RATE_HZ / FFT_SAMPLES) * np.arange(FFT_SAMPLES // 2, dtype=np.float32)
    mel = _mel(hz)[None]
    rising, falling = (mel - left) / (centre - left), (right - mel) / (right - centre)
    triangles: NDArray[np.float32] = np.maximum(np.minimum(rising, falling), 0).astype(np.float32)
    return triangles


def _mel(hz: Any) -> Any:  # noqa: ANN401 - of the argument's kind
    """In mel, ``(...)`` of any shape."""
    return 1127.0 * np.log(1.0 + hz / 700.0)
