"""What a front end is: samples in, frames of bands out, on the 10 ms grid.

Split into what happens before the frames are cut (``prepare``), what one frame alone decides
(``bands``) and what the whole window decides (``finish``), so that a stream computes the middle,
expensive part once for frames that several windows share (``rolling.RollingFeatures``).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from voiceguard.types import FRAME_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence


class FrontEnd(nn.Module):
    """Features of one recording.

    Subclasses set the attributes and write ``bands``, and where they need them ``prepare`` and
    ``finish``. A frame that lies inside a window, with ``reach_back`` more samples before it, must
    come out of ``bands`` the same whatever lies outside.
    """

    frame_samples: int
    """How many samples one frame sees."""
    offset_samples: int
    """Frame k sees the samples [160 k - offset, 160 k - offset + frame_samples) of the window;
    ``prepare`` puts that many before it."""
    reach_back: int = 0
    """How many samples before its own a frame depends on: 1 for pre-emphasis of the signal."""

    def prepare(self, samples: Tensor) -> Tensor:
        """Pads the edges, and filters.

        Args:
            samples: ``(num_samples,)``, one window.

        Returns:
            ``(num_padded,)``; frame k begins at 160 k.
        """
        return samples

    @abstractmethod
    def bands(self, frames: Tensor) -> Tensor:
        """``(num_frames, frame_samples)`` to ``(num_frames, num_bands)``, each frame by itself."""

    def finish(self, bands: Tensor) -> Tensor:
        """``(num_frames, num_bands)`` of a whole window to ``(num_bands, num_frames')``."""
        return bands.T

    def frames(self, samples: Tensor) -> Tensor:
        """``(num_samples,)`` to ``(num_frames, frame_samples)``, a view of prepared samples."""
        return self.prepare(samples).unfold(0, self.frame_samples, FRAME_SAMPLES)

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Frames one after the other, ``(num_frames, ...)`` each."""
        return torch.cat(list(parts))

    def forward(self, samples: Tensor) -> Tensor:
        """The features of a whole recording, ``(num_samples,)`` to ``(num_bands, num_frames')``."""
        return self.finish(self.bands(self.frames(samples)))


def centred(window: Tensor, fft_samples: int) -> Tensor:
    """``(window_samples,)`` to ``(fft_samples,)``: in the middle, as torch.stft puts it."""
    missing = fft_samples - len(window)
    return nn.functional.pad(window, (missing // 2, missing - missing // 2))
