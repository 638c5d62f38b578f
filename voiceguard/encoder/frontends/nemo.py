"""NeMo's log-mel features, normalised band by band over the window.

Part of hop 3. In: mono samples at full scale 1.0. Out: ``(num_bands, num_samples // 160)``. The
signal is pre-emphasised, whose first sample has none before it; frames are centred on multiples of
160 samples and the edges padded with zeros. NeMo counts one frame less than its transform gives
and leaves that last frame out of the normalisation and of all that follows; here it isn't computed.
Its padding with frames of zeros is the network's business (``networks.nemo_decoder``). Dither is
for training only.

Source: ``AudioToMelSpectrogramPreprocessor`` of nemo-toolkit 3.0.0; the mel scale is that of
Slaney, "Auditory Toolbox", Technical Report 1998-010, as librosa's ``filters.mel`` normalises it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from torch import Tensor, nn

from voiceguard.encoder.frontends.base import FrontEnd
from voiceguard.encoder.frontends.limits import MAX_BANDS, check_bands, check_transform
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ
from voiceguard.validation.ranges import Between, check_ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REVISION = 1
"""Raised when the code below changes its results for the same parameters."""

STD_GUARD = 1e-5
"""Added to a band's standard deviation before dividing by it."""

WINDOWS: Mapping[str, Callable[..., Tensor]] = {
    "hann": torch.hann_window,
    "hamming": torch.hamming_window,
    "blackman": torch.blackman_window,
    "bartlett": torch.bartlett_window,
}

_LINEAR_HZ_PER_MEL = 200 / 3
_LOG_FROM_HZ = 1000.0
_LOG_FROM_MEL = _LOG_FROM_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27
"""Slaney's scale: linear up to 1 kHz, then 27 steps for every factor of 6.4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NemoMelConfig:
    """Parameters of the features."""

    TYPE: ClassVar[str] = "nemo_mel"

    num_bands: Annotated[int, Between(1, MAX_BANDS)] = 80
    window: str = "hann"
    """One of WINDOWS, symmetric."""
    window_samples: int = 400
    fft_samples: int = 512
    pre_emphasis: Annotated[float, Between(0, 1)] = 0.97
    """0: none."""
    min_hz: float = 0.0
    max_hz: float = 8000.0
    floor: Annotated[float, Between(0, 1, is_low_excluded=True)] = 2.0**-24
    """Added to the mel power before the logarithm."""

    def __post_init__(self) -> None:
        if self.window not in WINDOWS:
            raise ValueError(f"window must be one of {', '.join(WINDOWS)}, not {self.window!r}")
        check_ranges(self)
        check_transform(self.window_samples, self.fft_samples)
        check_bands(self.min_hz, self.max_hz)

    @property
    def version(self) -> str:
        """Names everything that the features depend on; part of the encoder's id."""
        return (
            f"nemo-mel-{REVISION}/{SAMPLE_RATE_HZ}hz/emphasis-{self.pre_emphasis}/{self.window}-"
            f"{self.window_samples}-{self.fft_samples}-{FRAME_SAMPLES}/slaney-{self.num_bands}-"
            f"{self.min_hz}-{self.max_hz}/log-{self.floor}/per-feature"
        )

    def build(self) -> NemoMel:
        """The front end of these parameters."""
        return NemoMel(self)


class NemoMel(FrontEnd):
    """See the module."""

    def __init__(self, config: NemoMelConfig) -> None:
        super().__init__()
        self.config = config
        self.frame_samples = config.window_samples
        # The window is centred in the transform, the transform on the frame's sample.
        left = (config.fft_samples - config.window_samples) // 2
        self.offset_samples = config.fft_samples // 2 - left
        self.reach_back = 1 if config.pre_emphasis else 0
        self.frame_window: Tensor
        self.mel_bands: Tensor
        self.register_buffer("frame_window", frame_window(config), persistent=False)
        self.register_buffer("mel_bands", slaney_bands(config).T.contiguous(), persistent=False)

    def prepare(self, samples: Tensor) -> Tensor:
        """``(num_samples,)`` to what ``num_samples // 160`` frames see, emphasised and padded."""
        before = nn.functional.pad(samples[:-1], (1, 0))  # the first sample has none before it
        emphasised = samples - self.config.pre_emphasis * before
        needed = (len(samples) // FRAME_SAMPLES - 1) * FRAME_SAMPLES + self.frame_samples
        # Cropped where the last frames end before the samples do.
        right = needed - self.offset_samples - len(samples)
        return nn.functional.pad(emphasised, (self.offset_samples, right))

    def bands(self, frames: Tensor) -> Tensor:
        """``(num_frames, window_samples)`` to ``(num_frames, num_bands)`` log power."""
        # Where in the transform the window lies changes phases only.
        spectrum = torch.fft.rfft(frames * self.frame_window, n=self.config.fft_samples)
        power = spectrum.real.square() + spectrum.imag.square()  # (num_frames, bins)
        return torch.log(power @ self.mel_bands + self.config.floor)

    def finish(self, bands: Tensor) -> Tensor:
        """``(num_frames, num_bands)`` to ``(num_bands, num_frames)`` of mean 0 and deviation 1."""
        std, mean = torch.std_mean(bands, dim=0, correction=1)
        return ((bands - mean) / (std + STD_GUARD)).T


def frame_window(config: NemoMelConfig) -> Tensor:
    """``(window_samples,)``."""
    return WINDOWS[config.window](config.window_samples, periodic=False)


def slaney_bands(config: NemoMelConfig) -> Tensor:
    """``(num_bands, fft_samples // 2 + 1)`` float32 triangles of equal area, in double precision.

    A checkpoint holds its own copy, which the reader compares with these.
    """
    ends_hz = torch.tensor([config.min_hz, config.max_hz], dtype=torch.float64)
    ends = torch.where(
        ends_hz < _LOG_FROM_HZ,
        ends_hz / _LINEAR_HZ_PER_MEL,
        _LOG_FROM_MEL + torch.log(ends_hz.clamp_min(1.0) / _LOG_FROM_HZ) / _LOG_STEP,
    )
    steps = torch.linspace(0, 1, config.num_bands + 2, dtype=torch.float64)
    mels = ends[0] + (ends[1] - ends[0]) * steps
    edges = torch.where(
        mels < _LOG_FROM_MEL,
        mels * _LINEAR_HZ_PER_MEL,
        _LOG_FROM_HZ * torch.exp((mels - _LOG_FROM_MEL) * _LOG_STEP),
    )  # (num_bands + 2,) hertz: where triangles begin, peak and end
    bins_hz = torch.arange(config.fft_samples // 2 + 1, dtype=torch.float64)
    bins_hz = bins_hz * SAMPLE_RATE_HZ / config.fft_samples
    low, peak, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = torch.minimum((bins_hz - low) / (peak - low), (high - bins_hz) / (high - peak))
    return (triangles.clamp_min(0) * (2 / (high - low))).float()
