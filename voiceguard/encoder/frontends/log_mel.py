"""voiceguard's own features as a front end: the numbers of ``features.LogMel``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from voiceguard.encoder.frontends.base import FrontEnd, centred

if TYPE_CHECKING:
    from torch import Tensor

    from voiceguard.encoder.features import LogMel


class LogMelFrontEnd(FrontEnd):
    """Log-mel power, the edges padded by reflection, each band's mean over the window removed."""

    window: Tensor
    mel_bands: Tensor

    def __init__(self, log_mel: LogMel) -> None:
        super().__init__()
        config = log_mel.config
        self.frame_samples = config.fft_samples
        self.offset_samples = config.fft_samples // 2
        self.floor = config.floor
        spectrogram: Any = log_mel.mel_power.spectrogram
        mel_scale: Any = log_mel.mel_power.mel_scale
        window = centred(spectrogram.window, config.fft_samples)
        self.register_buffer("window", window)  # (fft_samples,)
        self.register_buffer("mel_bands", mel_scale.fb)  # (fft_samples // 2 + 1, num_mels)

    def prepare(self, samples: Tensor) -> Tensor:
        """See ``FrontEnd.prepare``; the samples must be more than half a transform."""
        edges = (self.offset_samples, self.offset_samples)
        return nn.functional.pad(samples[None], edges, mode="reflect")[0]

    def bands(self, frames: Tensor) -> Tensor:
        """See ``FrontEnd.bands``."""
        spectrum = torch.fft.rfft(frames * self.window)  # (frames, fft_samples // 2 + 1)
        return torch.log(spectrum.abs().square() @ self.mel_bands + self.floor)

    def finish(self, bands: Tensor) -> Tensor:
        """See ``FrontEnd.finish``."""
        return (bands - bands.mean(dim=0)).T
