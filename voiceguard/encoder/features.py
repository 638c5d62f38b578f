"""Log-mel features, of a whole recording and of the overlapping windows of a stream.

Part of hop 3, on the inference executor: samples in, what the network sees out. Every window is
treated as a recording of its own: its edges are padded and its mean removed as if nothing came
before. But frames that touch no edge are the same in every window that holds them, so a stream
computes those once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from voiceguard.encoder.torchaudio_compat import import_torchaudio
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Mapping

REVISION = 1
"""Raised when the code below changes its results for the same parameters."""

KEPT_FRAMES = 512
"""A stream keeps the newest 5.1 s: more than a window of 4 s and a hop reach back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMelConfig:
    """Parameters of the features; a model's card repeats those that it was trained with."""

    num_mels: int = 80
    fft_samples: int = 512
    window_samples: int = 400
    """25 ms, a Hamming window; every FRAME_SAMPLES there is one."""
    min_hz: float = 20.0
    max_hz: float = 7600.0
    floor: float = 1e-6
    """Added to the mel power before the logarithm."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LogMelConfig:
        """Reads what ``to_json`` wrote.

        Raises:
            ValueError: A parameter is missing or unknown, or the version is not what this
                voiceguard computes from these parameters.
        """
        parameters = {name: value for name, value in values.items() if name != "version"}
        expected = {entry.name for entry in fields(cls)}
        if set(parameters) != expected:
            raise ValueError(f"features must be {sorted(expected)}, not {sorted(parameters)}")
        config = cls(**parameters)
        if values.get("version") != config.version:
            raise ValueError(
                f"features are version {values.get('version')!r}; this voiceguard computes "
                f"{config.version!r}"
            )
        return config

    def to_json(self) -> dict[str, Any]:
        """Plain values for a model's card."""
        return {**asdict(self), "version": self.version}

    @property
    def version(self) -> str:
        """Names everything that the features depend on; part of the encoder's id."""
        return (
            f"log-mel-{REVISION}/{SAMPLE_RATE_HZ}hz/hamming-{self.window_samples}-"
            f"{self.fft_samples}-{FRAME_SAMPLES}/mel-{self.num_mels}-{self.min_hz:g}-"
            f"{self.max_hz:g}/log-{self.floor:g}/mean"
        )


class LogMel(nn.Module):
    """The features of whole recordings, batched: for training, evaluation and ``Encoder.embed``."""

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


class RollingLogMel:
    """The features of one stream's windows; equal to ``LogMel`` of each to float32 rounding."""

    def __init__(self, log_mel: LogMel) -> None:
        self._config = log_mel.config
        self._half = log_mel.config.fft_samples // 2
        spectrogram: Any = log_mel.mel_power.spectrogram
        mel_scale: Any = log_mel.mel_power.mel_scale
        window: Tensor = spectrogram.window
        missing = self._config.fft_samples - len(window)
        # As torch.stft does, the window is centred within the transform's samples.
        self._window = nn.functional.pad(window, (missing // 2, missing - missing // 2))
        self._mel_bands: Tensor = mel_scale.fb  # (fft_samples // 2 + 1, num_mels)
        self._segment: int | None = None
        self._first = 0
        self._kept = window.new_empty(0, self._config.num_mels)  # (kept frames, num_mels)

    def __call__(self, samples: Tensor, *, segment: int, first_sample: int) -> Tensor:
        """Computes what no earlier window of this segment had, and reuses the rest.

        Args:
            samples: ``(num_samples,)``, longer than half a transform (256 samples).
            segment: Numbers a stretch of continuous audio.
            first_sample: The window's place in the stream, a multiple of FRAME_SAMPLES.

        Returns:
            ``(num_mels, num_samples // 160 + 1)``.

        Raises:
            ValueError: ``first_sample`` is not on the grid.
        """
        if first_sample % FRAME_SAMPLES:
            raise ValueError(f"a window starts at {first_sample}, not on the 10 ms grid")
        # Frames are counted from the stream's start; inner ones touch neither of the edges.
        first = first_sample // FRAME_SAMPLES
        stop = first + len(samples) // FRAME_SAMPLES + 1
        begin = first - (-self._half // FRAME_SAMPLES)
        end = first + (len(samples) - self._half) // FRAME_SAMPLES + 1
        inner = range(begin, max(begin, end))
        left, right = self._missing(segment, inner)
        wanted = (range(first, inner.start), left, right, range(inner.stop, stop))
        head, before, after, tail = self._log_mel(samples, first, wanted)
        known = torch.cat([before, self._kept, after])  # one stretch, the inner frames within it
        known_first = self._first - len(before)
        newest = max(len(known) - KEPT_FRAMES, 0)
        self._first, self._kept = known_first + newest, known[newest:]
        middle = known[inner.start - known_first : inner.stop - known_first]
        log_power = torch.cat([head, middle, tail])  # (frames, num_mels)
        return (log_power - log_power.mean(dim=0)).T

    def _missing(self, segment: int, inner: range) -> tuple[range, range]:
        """Frames to compute before and after the kept ones; forgets what does not adjoin."""
        kept_stop = self._first + len(self._kept)
        if segment != self._segment or inner.start > kept_stop or inner.stop < self._first:
            self._segment, self._first, self._kept = segment, inner.start, self._kept[:0]
            kept_stop = inner.start
        before = range(inner.start, max(inner.start, self._first))
        after = range(min(kept_stop, inner.stop), inner.stop)
        return before, after

    def _log_mel(
        self, samples: Tensor, first: int, wanted: tuple[range, ...]
    ) -> tuple[Tensor, ...]:
        """Log-mel power of some of the frames of a window that begins with frame ``first``.

        Returns:
            ``(len(range), num_mels)`` for each range, computed in one transform.
        """
        edges = (self._half, self._half)
        padded = nn.functional.pad(samples[None], edges, mode="reflect")[0]
        frames = padded.unfold(0, self._config.fft_samples, FRAME_SAMPLES)  # (frames, fft), a view
        chosen = torch.cat([frames[span.start - first : span.stop - first] for span in wanted])
        spectrum = torch.fft.rfft(chosen * self._window)  # (chosen, fft_samples // 2 + 1)
        power = spectrum.abs().square() @ self._mel_bands  # (chosen, num_mels)
        log_power = torch.log(power + self._config.floor)
        return torch.split_with_sizes(log_power, [len(span) for span in wanted])
