"""What the overlap network is given: a spectrogram that tells two combs of harmonics apart.

In: audio. Out: log power by frequency and time, the level taken out. ``lab.training.overlap`` has
the same in torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.types import Samples

HOP_SAMPLES: Final = 320
FLOOR: Final = 1e-6
"""Of the mean power of a bin: what is 60 dB below it counts as nothing."""
OFFSET: Final = 6.0
SCALE: Final = 4.0
"""Bring natural logarithms, of -14 to 6, to about one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes of a network, what it is given included."""

    fft_samples: int = 1024
    """Also the window."""
    num_bins: int = 256
    """From 0 Hz on: up to 4 kHz, so that a telephone looks the same."""
    stem: tuple[int, ...] = (16, 32, 48, 64)
    """Channels of the two-dimensional layers, each of which halves the bins."""
    channels: int = 128
    """What of every frame goes into the recurrent layer."""
    hidden: int = 64
    """Of that, in each direction of time."""


def spectrogram(samples: Samples, shape: Shape) -> NDArray[np.float32]:
    """Log power by bin and frame.

    Args:
        samples: ``(num_samples,)`` mono 16 kHz at any level, at least ``shape.fft_samples``.
        shape: Of the network.

    Returns:
        ``(num_bins, num_frames)``.
    """
    size = shape.fft_samples
    window = np.hanning(size).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::HOP_SAMPLES]
    spectrum = np.fft.rfft(frames * window, axis=1)[:, : shape.num_bins]
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    relative = power / max(float(power.mean()), 1e-20)
    return ((np.log(relative + FLOOR) + OFFSET) / SCALE).T.astype(np.float32)
