"""voiceguard's log-mel and Kaldi's filter bank in numpy: what feeds encoders that run on no torch.

Part of hop 3. In: mono samples at full scale 1.0. Out: what ``frontends.log_mel`` and
``frontends.kaldi`` give, to float32 rounding; tests hold each to its twin.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, cast

import numpy as np

from voiceguard.encoder.frontends.kaldi_bands import frame_window, mel_bands
from voiceguard.encoder.frontends.kaldi_config import (
    FFT_SAMPLES,
    FLOOR,
    PRE_EMPHASIS,
    WINDOW_SAMPLES,
    KaldiFbankConfig,
)
from voiceguard.encoder.frontends.log_mel_config import LogMelConfig
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voiceguard.encoder.card.kinds import Features

    Singles = NDArray[np.float32]


class ArrayFrontEnd(ABC):
    """Features of one recording; what each part is for, ``base.FrontEnd`` says of its twin."""

    frame_samples: int
    offset_samples: int
    reach_back: int = 0

    def prepare(self, samples: Singles) -> Singles:
        """``(num_samples,)`` to ``(num_padded,)``; frame k begins at 160 k."""
        return samples

    @abstractmethod
    def bands(self, frames: Singles) -> Singles:
        """``(num_frames, frame_samples)`` to ``(num_frames, num_bands)``, each frame by itself."""

    @abstractmethod
    def finish(self, bands: Singles) -> Singles:
        """``(num_frames, num_bands)`` of a whole window to the same shape."""

    def frames(self, samples: Singles) -> Singles:
        """``(num_samples,)`` to ``(num_frames, frame_samples)``, a view of prepared samples."""
        prepared = self.prepare(samples)
        return np.lib.stride_tricks.sliding_window_view(prepared, self.frame_samples)[
            ::FRAME_SAMPLES
        ]

    def join(self, parts: Sequence[Singles]) -> Singles:
        """Frames one after the other, ``(num_frames, ...)`` each."""
        return np.concatenate(parts)

    def __call__(self, samples: Singles) -> Singles:
        """The features of a whole recording, ``(num_samples,)`` to ``(num_frames, num_bands)``."""
        return self.finish(self.bands(self.frames(samples)))


def array_front_end(features: Features) -> ArrayFrontEnd | None:
    """The front end of these features; None: there is only one for torch."""
    if isinstance(features, LogMelConfig):
        return LogMelArrays(features)
    if isinstance(features, KaldiFbankConfig):
        return KaldiArrays(features)
    return None


class LogMelArrays(ArrayFrontEnd):
    """As ``log_mel.LogMelFrontEnd``."""

    def __init__(self, config: LogMelConfig) -> None:
        self.frame_samples = config.fft_samples
        self.offset_samples = config.fft_samples // 2
        self._floor = np.float32(config.floor)
        missing = config.fft_samples - config.window_samples
        window = np.hamming(config.window_samples + 1)[:-1]  # a period of it
        window = np.pad(window, (missing // 2, missing - missing // 2))
        self._window = window.astype(np.float32)
        self._power_bands = _power_bands(_mel_bands(config))

    def prepare(self, samples: Singles) -> Singles:
        """See ``ArrayFrontEnd.prepare``; the edges are padded by reflection."""
        edge = self.offset_samples
        return np.concatenate([samples[edge:0:-1], samples, samples[-2 : -edge - 2 : -1]])

    def bands(self, frames: Singles) -> Singles:
        """See ``ArrayFrontEnd.bands``."""
        power = _power(frames * self._window, self.frame_samples) @ self._power_bands
        power += self._floor
        return _log(power)

    def finish(self, bands: Singles) -> Singles:
        """See ``ArrayFrontEnd.finish``."""
        return _centred(bands)


class KaldiArrays(ArrayFrontEnd):
    """As ``kaldi.KaldiFbank``."""

    frame_samples = WINDOW_SAMPLES
    offset_samples = 0

    def __init__(self, config: KaldiFbankConfig) -> None:
        self._scale = np.float32(config.sample_scale)
        self._subtract_mean = config.subtract_mean
        self._window = frame_window(config.window).astype(np.float32)
        bands = mel_bands(config).T
        self._power_bands = _power_bands(np.pad(bands, ((0, 1), (0, 0))))  # none at 8 kHz

    def prepare(self, samples: Singles) -> Singles:
        """See ``ArrayFrontEnd.prepare``."""
        return samples * self._scale

    def bands(self, frames: Singles) -> Singles:
        """See ``ArrayFrontEnd.bands``."""
        frames = frames - frames.mean(axis=1, keepdims=True)
        emphasised = frames.copy()
        emphasised[:, 1:] -= np.float32(PRE_EMPHASIS) * frames[:, :-1]
        emphasised[:, 0] -= np.float32(PRE_EMPHASIS) * frames[:, 0]
        emphasised *= self._window
        power = _power(emphasised, FFT_SAMPLES) @ self._power_bands
        np.maximum(power, np.float32(FLOOR), out=power)
        return _log(power)

    def finish(self, bands: Singles) -> Singles:
        """See ``ArrayFrontEnd.finish``."""
        return _centred(bands) if self._subtract_mean else bands


def _power(frames: Singles, fft_samples: int) -> Singles:
    """``(num_frames, samples)`` to ``(num_frames, 2 * bins)``: real and imaginary part, squared."""
    if not len(frames):  # a window inside an earlier one
        return np.empty((0, fft_samples + 2), np.float32)
    spectrum = np.fft.rfft(frames, n=fft_samples)
    parts = cast("Singles", spectrum.astype(np.complex64, copy=False).view(np.float32))
    return np.square(parts, out=parts)


def _log(power: Singles) -> Singles:
    """``(num_frames, num_bands)``, in place."""
    return cast("Singles", np.log(power, out=power))


def _centred(bands: Singles) -> Singles:
    """``(num_frames, num_bands)`` without each band's mean."""
    return cast("Singles", bands - bands.mean(axis=0))


def _power_bands(bands: Singles) -> Singles:
    """``(bins, num_bands)`` to ``(2 * bins, num_bands)``: the sum of both squares is the power."""
    return np.repeat(bands, 2, axis=0)


def _mel_bands(config: LogMelConfig) -> Singles:
    """``(bins, num_mels)`` triangles, equally high, on the mel scale of HTK.

    In the order and the single precision of ``torchaudio.functional.melscale_fbanks``: where a band
    holds but one bin near the triangle's foot, another rounding would show in the logarithm.
    """
    lowest, highest = (2595.0 * np.log10(1.0 + hz / 700.0) for hz in (config.min_hz, config.max_hz))
    bins = np.linspace(0, SAMPLE_RATE_HZ // 2, config.fft_samples // 2 + 1, dtype=np.float32)
    mel = np.linspace(lowest, highest, config.num_mels + 2, dtype=np.float32)
    hz = np.float32(700.0) * (np.float32(10.0) ** (mel / np.float32(2595.0)) - np.float32(1.0))
    width = np.diff(hz)
    distance = hz[None] - bins[:, None]  # (bins, num_mels + 2)
    falling = -distance[:, :-2] / width[:-1]
    rising = distance[:, 2:] / width[1:]
    triangles: Singles = np.maximum(0, np.minimum(falling, rising))
    return triangles
