"""The corruption of training crops: what rooms, microphones and channels do to a voice.

In: a batch of clean crops, on any device. Out: the same crops as a far microphone in a loud room
might deliver them, aligned in time with what came in. The order is that of the world: the room,
then noise at the microphone, then clipping, the channel's band and codec, and the level.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import pad

from voiceguard.errors import ConfigError
from voiceguard.lab.training.corruption.codecs import (
    TELEPHONE_BAND_HZ,
    clipped,
    requantised,
    telephone,
)
from voiceguard.lab.training.corruption.filters import band_limit
from voiceguard.lab.training.corruption.recordings import Recordings
from voiceguard.lab.training.corruption.rooms import reverberated
from voiceguard.types import FRAME_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

_BABBLE, _MUSIC, _COLOURED, _RECORDED = range(4)
_MU_LAW, _A_LAW, _FEW_BITS = range(3)

_SPEECH_RANGE_DB = 30.0
"""Frames further below a crop's loudest are pauses, and don't count towards its level."""
_SILENT_RMS = 1e-5
"""What is quieter (-100 dBFS) has no level to speak of: no gain is derived from it."""
_COLOURS = (-0.5, 2.0)
"""Exponents of 1 / frequency in a coloured noise's power: from hissing to rumbling (brown)."""
_BITS = (6, 10)
"""Of linear quantisation, where a codec is that."""
_CODEC_PEAK_DB = (-20.0, -1.0)
"""A codec hears the crop at some level, and quantises a quiet one more coarsely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """How often each thing happens; a probability of 0 switches it off."""

    p_clean: float = 0.25
    """Nothing but the level changes. The other probabilities are of the rest of the crops."""
    p_room: float = 0.5
    hall_share: float = 0.5
    """Of the simulated rooms: they sound for 0.8 to 4 s, others for 0.15 to 0.9 s."""
    p_noise: float = 0.65
    snr_db: tuple[float, float] = (0.0, 20.0)
    p_babble: float = 0.25
    """Of the noisy crops, as are the next two: other voices of the batch are the noise."""
    p_music: float = 0.1
    p_coloured: float = 0.15
    """Recorded noise is what remains."""
    babble_voices: tuple[int, int] = (3, 7)
    p_clipping: float = 0.03
    clipping_db: tuple[float, float] = (3.0, 12.0)
    """Below the peak."""
    p_band_limit: float = 0.38
    """Telephone (300 to 3400 Hz) and a low pass, half and half."""
    low_pass_hz: tuple[float, float] = (3000.0, 7000.0)
    p_codec: float = 0.2
    """mu-law at 8 kHz, A-law at 8 kHz, or few linear bits, a third each."""
    peak_dbfs: tuple[float, float] = (-30.0, 0.0)
    """What every crop is brought to in the end."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            is_share = field.name.startswith("p_") or field.name.endswith("_share")
            if is_share and not 0 <= value <= 1:
                raise ConfigError(f"{field.name} must be a probability from 0 to 1, not {value}")
            if isinstance(value, tuple) and not value[0] <= value[1]:
                raise ConfigError(f"{field.name} must be a range (low, high), not {value}")
        if (kinds := self.p_babble + self.p_music + self.p_coloured) > 1:
            raise ConfigError(
                f"p_babble + p_music + p_coloured must not exceed 1, not {kinds:.3g}",
                hint="they are parts of the noisy crops; recorded noise has what remains",
            )
        if self.babble_voices[0] < 1:
            raise ConfigError("babble_voices must begin at 1 or more")
        if self.peak_dbfs[1] > 0:
            raise ConfigError("peak_dbfs must not exceed 0 dBFS")


class Augmenter:
    """Corrupts batches.

    Args:
        config: What happens how often.
        noises: Recorded noise, each ``(num_samples,)`` float32 at 16 kHz, of any length.
        music: Likewise. Where one of the two is empty the other stands in, else coloured noise.
        rooms: Groups of responses, each ``(num_rooms, taps)`` with the direct path at
            ``rooms.DIRECT_TAP``; every group is drawn as often. None switches rooms off.
        device: Where the batches will be.
    """

    def __init__(
        self,
        config: AugmentConfig,
        *,
        noises: Sequence[Tensor] = (),
        music: Sequence[Tensor] = (),
        rooms: Sequence[Tensor] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        self.config = config
        self._device = torch.device(device)
        self._noises = Recordings(noises or music, self._device)
        self._music = Recordings(music or noises, self._device)
        groups = [group for group in rooms if len(group)]
        taps = max((group.shape[1] for group in groups), default=0)
        self._rooms = torch.cat(
            [pad(group, (0, taps - group.shape[1])) for group in groups] or [torch.empty(0, 0)]
        ).to(self._device)
        self._num_rooms = np.array([len(group) for group in groups])

    def by(self, config: AugmentConfig) -> Augmenter:
        """Another one, of the same noises and rooms."""
        other = copy(self)
        other.config = config
        return other

    @torch.no_grad()
    def __call__(
        self, clean: Tensor, rng: np.random.Generator, *, speakers: Tensor | None = None
    ) -> Tensor:
        """Corrupts every crop in its own way.

        Args:
            clean: ``(batch, num_samples)`` float32 at 16 kHz, 10 ms or longer, on this
                augmenter's device; it is left as it is.
            rng: Decides everything; the same state and the same batch give the same result.
            speakers: ``(batch,)`` integers: nobody babbles behind their own crop. Without them
                every crop is somebody else's.

        Returns:
            ``(batch, num_samples)`` float32, finite, in [-1, 1]; silence stays silence where no
            noise was added.
        """
        config = self.config
        crops = clean.clone()
        shuffled = rng.permutation(len(crops))
        dirty = shuffled[: _how_many(1 - config.p_clean, len(crops), rng)]

        def drawn(probability: float) -> NDArray[np.int64]:
            # As good as exactly the share: a GPU then has few sizes to plan for.
            return rng.permutation(dirty)[: _how_many(probability, len(dirty), rng)]

        if len(rows := drawn(config.p_room)) and len(self._rooms):
            crops[rows] = reverberated(crops[rows], self._draw_rooms(len(rows), rng))
        if len(rows := drawn(config.p_noise)):
            noise = self._draw_noise(rows, clean, speakers, rng)
            crops[rows] = with_noise(crops[rows], noise, self._draw(config.snr_db, rows, rng))
        if len(rows := drawn(config.p_clipping)):
            crops[rows] = clipped(crops[rows], self._draw(config.clipping_db, rows, rng))
        if len(rows := drawn(config.p_band_limit)):
            crops[rows] = self._band_limited(crops[rows], rng)
        if len(rows := drawn(config.p_codec)):
            crops[rows] = self._coded(crops[rows], rng)
        return at_peak(crops, self._draw(config.peak_dbfs, shuffled, rng))

    def _draw(
        self, limits: tuple[float, float], rows: NDArray[np.int64], rng: np.random.Generator
    ) -> Tensor:
        values = rng.uniform(*limits, size=len(rows)).astype(np.float32)
        return torch.from_numpy(values).to(self._device)

    def _draw_rooms(self, num_crops: int, rng: np.random.Generator) -> Tensor:
        """One response per crop, ``(num_crops, taps)``: the shorter ones are filled with zeros."""
        groups = rng.integers(len(self._num_rooms), size=num_crops)
        first = np.cumsum(self._num_rooms) - self._num_rooms
        return self._rooms[first[groups] + rng.integers(self._num_rooms[groups])]

    def _draw_noise(
        self,
        rows: NDArray[np.int64],
        clean: Tensor,
        speakers: Tensor | None,
        rng: np.random.Generator,
    ) -> Tensor:
        """A noise for each of the crops ``rows``, ``(len(rows), num_samples)``."""
        config = self.config
        num_samples = clean.shape[1]
        noise = torch.empty(len(rows), num_samples, device=self._device)
        edges = np.cumsum((config.p_babble, config.p_music, config.p_coloured))
        kind = np.searchsorted(edges, rng.random(len(rows)), side="right")
        if not len(self._noises):  # then there is no music either
            kind[kind != _BABBLE] = _COLOURED
        if len(babbling := np.flatnonzero(kind == _BABBLE)):
            noise[babbling] = self._babble(rows[babbling], clean, speakers, rng)
        for pool, of_kind in ((self._music, _MUSIC), (self._noises, _RECORDED)):
            if len(recorded := np.flatnonzero(kind == of_kind)):
                noise[recorded] = pool.stretches(len(recorded), num_samples, rng)
        if len(coloured := np.flatnonzero(kind == _COLOURED)):
            exponents = self._draw(_COLOURS, coloured, rng)
            noise[coloured] = coloured_noise(exponents, num_samples, rng)
        return noise

    def _babble(
        self,
        rows: NDArray[np.int64],
        clean: Tensor,
        speakers: Tensor | None,
        rng: np.random.Generator,
    ) -> Tensor:
        """Sums of other people's clean crops, each as loud as the other."""
        num_crops = len(clean)
        names = np.arange(num_crops) if speakers is None else speakers.cpu().numpy()
        lowest, highest = self.config.babble_voices
        num_voices = rng.integers(lowest, highest, size=(len(rows), 1), endpoint=True)
        is_other = names != names[rows][:, None]  # (rows, num_crops)
        order = np.where(is_other, rng.random(is_other.shape), 2.0).argsort(axis=1).argsort(axis=1)
        weights = (is_other & (order < num_voices)).astype(np.float32)
        loudness = 1 / speech_rms(clean).clamp_min(_SILENT_RMS)
        voices = torch.roll(clean, int(rng.integers(clean.shape[1])), dims=1)
        return torch.from_numpy(weights).to(self._device) * loudness.T @ voices

    def _band_limited(self, crops: Tensor, rng: np.random.Generator) -> Tensor:
        is_telephone = rng.random(len(crops)) < 0.5  # half and half
        high_hz = rng.uniform(*self.config.low_pass_hz, size=len(crops))
        low, high = TELEPHONE_BAND_HZ
        edges_hz = np.stack((low * is_telephone, np.where(is_telephone, high, high_hz)))
        low_edges, high_edges = torch.from_numpy(edges_hz.astype(np.float32)).to(self._device)
        return band_limit(crops, low_edges, high_edges)

    def _coded(self, crops: Tensor, rng: np.random.Generator) -> Tensor:
        crops = at_peak(crops, self._draw(_CODEC_PEAK_DB, np.arange(len(crops)), rng))
        kind = rng.integers(3, size=len(crops))
        if len(rows := np.flatnonzero(kind == _MU_LAW)):
            crops[rows] = telephone(crops[rows], "mu")
        if len(rows := np.flatnonzero(kind == _A_LAW)):
            crops[rows] = telephone(crops[rows], "a")
        if len(rows := np.flatnonzero(kind == _FEW_BITS)):
            num_bits = rng.integers(*_BITS, size=len(rows), endpoint=True).astype(np.float32)
            crops[rows] = requantised(crops[rows], torch.from_numpy(num_bits).to(self._device))
        return crops


def speech_rms(crops: Tensor) -> Tensor:
    """Root mean square of every crop over its 10 ms frames that are not pauses, ``(batch, 1)``."""
    num_frames = crops.shape[1] // FRAME_SAMPLES
    frames = crops[:, : num_frames * FRAME_SAMPLES].reshape(len(crops), num_frames, FRAME_SAMPLES)
    powers = frames.square().mean(dim=2)  # (batch, frames)
    floor = powers.amax(dim=1, keepdim=True) * 10 ** (-_SPEECH_RANGE_DB / 10)
    is_speech = powers >= floor
    return torch.sqrt((powers * is_speech).sum(1, keepdim=True) / is_speech.sum(1, keepdim=True))


def with_noise(crops: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """Adds noise whose mean power is so far below the power of the speech, pauses not counted.

    Args:
        crops: ``(batch, num_samples)``.
        noise: Likewise, at any level.
        snr_db: ``(batch,)``.

    Returns:
        ``(batch, num_samples)``; a crop or a noise that is silent leaves the crop as it is.
    """
    speech = speech_rms(crops)
    noise_rms = noise.square().mean(dim=1, keepdim=True).sqrt()
    gains = speech / (noise_rms.clamp_min(_SILENT_RMS) * 10 ** (snr_db[:, None] / 20))
    return crops + gains * noise


def coloured_noise(exponents: Tensor, num_samples: int, rng: np.random.Generator) -> Tensor:
    """Gaussian noise whose power falls by a power of frequency, ``(batch, num_samples)``.

    Args:
        exponents: ``(batch,)``; 0 is white, 1 pink, 2 brown.
        num_samples: Of each.
        rng: Seeds the device's generator.
    """
    generator = torch.Generator(exponents.device).manual_seed(int(rng.integers(2**62)))
    num_bins = num_samples // 2 + 1
    parts = (len(exponents), num_bins, 2)
    spectra = torch.view_as_complex(
        torch.randn(parts, generator=generator, device=exponents.device)
    )
    bins = torch.arange(num_bins, dtype=torch.float32, device=exponents.device)
    shapes = bins.clamp_min(1.0) ** (-exponents[:, None] / 2) * (bins > 0)
    noise: Tensor = torch.fft.irfft(spectra * shapes, n=num_samples)
    return noise / noise.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-9)


def at_peak(crops: Tensor, peak_dbfs: Tensor) -> Tensor:
    """Brings the loudest sample of every crop to a level; silence stays as it is.

    Args:
        crops: ``(batch, num_samples)``.
        peak_dbfs: ``(batch,)``.
    """
    peaks = crops.abs().amax(dim=1, keepdim=True)
    gains = torch.where(peaks > _SILENT_RMS, 10 ** (peak_dbfs[:, None] / 20) / peaks, 1.0)
    return (crops * gains).clamp_(-1, 1)


def _how_many(share: float, num: int, rng: np.random.Generator) -> int:
    """The share of so many, rounded up or down as often as is right in the mean."""
    return int(share * num + rng.random())
