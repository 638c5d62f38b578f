"""voiceguard's own log-mel features: batched for training, and as the front end of a stream.

Part of hop 3: samples in, what the network sees out. ``LogMel`` computes whole recordings,
``LogMelFrontEnd`` the same numbers for the overlapping windows of a stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from voiceguard.encoder.frontends.base import FrontEnd, centred
from voiceguard.encoder.torchaudio_compat import import_torchaudio
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from voiceguard.encoder.frontends.log_mel_config import LogMelConfig


class LogMel(nn.Module):
    """The features of whole recordings, batched."""

    def __init__(self, config: LogMelConfig) -> None:
        super().__init__()
        self.config = config
        transforms = import_torchaudio().transforms
        self.mel_power: nn.Module = transforms.MelSpectrogram(
            SAMPLE_RATE_HZ,
            n_fft=config.fft_samples,
            win_length=config.window_samples,
            hop_length=FRAME_SAMPLES,
            f_min=config.min_hz,
            f_max=config.max_hz,
            n_mels=config.num_mels,
            window_fn=torch.hamming_window,
        )

    def forward(self, samples: Tensor) -> Tensor:
        """``(..., num_samples)`` to ``(..., num_mels, num_samples // 160 + 1)``.

        Frames are centred on multiples of 160 samples, the edges padded by reflection; each
        mel band's mean over the frames is removed.
        """
        log_power = torch.log(self.mel_power(samples) + self.config.floor)
        normalised: Tensor = log_power - log_power.mean(dim=-1, keepdim=True)
        return normalised


class LogMelFrontEnd(FrontEnd):
    """Log-mel power, the edges padded by reflection, each band's mean over the window removed."""

    window: Tensor
    """``(fft_samples,)``"""
    mel_bands: Tensor
    """``(fft_samples // 2 + 1, num_mels)``"""

    def __init__(self, config: LogMelConfig) -> None:
        super().__init__()
        log_mel = LogMel(config)
        self.frame_samples = config.fft_samples
        self.offset_samples = config.fft_samples // 2
        self.floor = config.floor
        spectrogram: Any = log_mel.mel_power.spectrogram
        mel_scale: Any = log_mel.mel_power.mel_scale
        window = centred(spectrogram.window, config.fft_samples)
        self.register_buffer("window", window)
        self.register_buffer("mel_bands", mel_scale.fb)

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
