"""Kaldi's log-mel filter bank, as WeSpeaker and 3D-Speaker feed it to their networks.

Part of hop 3. In: mono samples at full scale 1.0. Out: ``(num_bands, frames)``. Frames that do not
fit into the window whole are left out ("snip edges"), and nothing is padded, so every frame is an
inner one; only the mean that is removed from each band belongs to the whole window.

Source: Kaldi's ``compute-fbank-feats`` (src/feat/feature-window.cc, mel-computations.cc) as
``torchaudio.compliance.kaldi.fbank`` repeats it with dither 0; a test holds this to that.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from voiceguard.encoder.frontends.base import FrontEnd
from voiceguard.encoder.frontends.kaldi_config import (
    FFT_SAMPLES,
    FLOOR,
    POVEY_EXPONENT,
    PRE_EMPHASIS,
    WINDOW_SAMPLES,
)
from voiceguard.encoder.torchaudio_compat import import_torchaudio
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from voiceguard.encoder.frontends.kaldi_config import KaldiFbankConfig


class KaldiFbank(FrontEnd):
    """See the module; frame ``k`` sees the samples from ``160 * k`` on."""

    frame_samples = WINDOW_SAMPLES
    offset_samples = 0

    def __init__(self, config: KaldiFbankConfig) -> None:
        super().__init__()
        self.config = config
        self.frame_window: Tensor
        self.mel_bands: Tensor
        self.register_buffer("frame_window", _window(config.window), persistent=False)
        self.register_buffer("mel_bands", _mel_bands(config), persistent=False)

    def prepare(self, samples: Tensor) -> Tensor:
        """``(num_samples,)`` to the same shape, on the scale that Kaldi's floor is meant for."""
        return samples * self.config.sample_scale

    def bands(self, frames: Tensor) -> Tensor:
        """``(num_frames, 400)`` samples to ``(num_frames, num_bands)`` log power."""
        if not len(frames):  # a window inside an earlier one; MKL can't transform nothing
            return frames.new_empty(0, self.config.num_bands)
        frames = frames - frames.mean(dim=1, keepdim=True)
        # Inside the frame: its first sample is the one before itself, too.
        before = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
        emphasised = (frames - PRE_EMPHASIS * before) * self.frame_window
        spectrum = torch.fft.rfft(emphasised, n=FFT_SAMPLES)  # (num_frames, bins)
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.log((power @ self.mel_bands).clamp_min(FLOOR))

    def finish(self, bands: Tensor) -> Tensor:
        """``(num_frames, num_bands)`` to ``(num_bands, num_frames)``, without their mean."""
        if self.config.subtract_mean:
            bands = bands - bands.mean(dim=0)
        return bands.T


def _window(name: str) -> Tensor:
    """``(400,)``; Kaldi's windows are symmetric ones."""
    if name == "hamming":
        return torch.hamming_window(WINDOW_SAMPLES, periodic=False)
    return torch.hann_window(WINDOW_SAMPLES, periodic=False).pow(POVEY_EXPONENT)


def _mel_bands(config: KaldiFbankConfig) -> Tensor:
    """``(FFT_SAMPLES // 2 + 1, num_bands)`` triangles, equally wide and linear on the mel scale.

    torchaudio's own, in its single precision: where a band holds but one bin near the triangle's
    foot, another rounding would show in the logarithm.
    """
    import_torchaudio()
    kaldi = importlib.import_module("torchaudio.compliance.kaldi")
    triangles: Tensor
    triangles, _ = kaldi.get_mel_banks(
        num_bins=config.num_bands,
        window_length_padded=FFT_SAMPLES,
        sample_freq=float(SAMPLE_RATE_HZ),
        low_freq=config.min_hz,
        high_freq=config.max_hz,
        vtln_low=100.0,  # used with a warp factor only, which there is none of
        vtln_high=-500.0,
        vtln_warp_factor=1.0,
    )
    # The bin at 8 kHz belongs to no band there.
    return nn.functional.pad(triangles, (0, 1)).T.contiguous()
