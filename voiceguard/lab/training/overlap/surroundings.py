"""What befalls a piece whoever speaks in it: rooms, echoes, people further off, noise, channels.

In: pieces on a device. Out: the same as a microphone there might deliver them. Nothing here may
tell one voice from two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import interpolate

from voiceguard.lab.training.corruption.augment import at_peak, coloured_noise
from voiceguard.lab.training.corruption.codecs import (
    TELEPHONE_BAND_HZ,
    clipped,
    requantised,
    telephone,
)
from voiceguard.lab.training.corruption.filters import band_limit
from voiceguard.lab.training.corruption.rooms import reverberated
from voiceguard.lab.training.overlap.company import Company, levelled, loudness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from voiceguard.lab.training.corruption.recordings import Recordings

_P_ROOM, _P_SAME_PLACE, _P_ECHO, _P_BACKGROUND, _P_NOISE = 0.6, 0.5, 0.06, 0.6, 0.6
_P_MICROPHONE, _P_CLIPPED, _P_NARROW, _P_LAW, _P_BITS = 0.6, 0.06, 0.25, 0.1, 0.05
_ECHO_SAMPLES, _ECHO_DB = (800, 5600), (6.0, 16.0)
_BACKGROUND_DB, _NEAR_DB, _P_NEAR = (9.5, 22.0), (9.5, 12.0), 0.7
_NOISE_DB, _FLOOR_DB = (7.0, 25.0), (28.0, 70.0)
"""Below the speech. A second voice is 6 dB below at most, and what lies between is never heard;
just beyond is what is mistaken most, so most backgrounds are there."""
_NEIGHBOURS = 8
"""Among rooms in the order of how long they sound: the other place of the same room."""
_CURVE_POINTS, _CURVE_DB = 9, 4.0
"""Of a microphone's frequency response, from 0 Hz to half the rate, and their deviation."""
_CLIPPED_DB, _LOW_PASS_HZ, _CODEC_PEAK_DB, _BITS = (
    (2.0, 12.0),
    (2500.0, 7000.0),
    (-20.0, -1.0),
    (7, 10),
)


class Surroundings:
    """Draws them, each piece its own.

    Args:
        recorded: Noise, and music last; either is drawn as often as coloured noise is.
        rooms: Responses ``(num_rooms, taps)`` of unit energy, on the device.
        talk: Televisions and many voices, as recorded, beside those that are made.
    """

    def __init__(
        self, recorded: Sequence[Recordings], rooms: Tensor, talk: Recordings | None = None
    ) -> None:
        self._recorded = recorded
        self._rooms = rooms[torch.argsort(sounding(rooms))]
        self._device = rooms.device
        self._company = Company(rooms, recorded[-1], talk)

    def in_a_room(self, first: Tensor, second: Tensor, rng: np.random.Generator) -> Tensor:
        """Two voices ``(num, num_samples)``, of which the second may be silence, as one.

        Where there is a room both sound from one place, as in a recording that is played, or
        each from its own.
        """
        num = len(first)
        mixed = first + second
        at = self._drawn(_P_ROOM, num, rng)
        place = rng.integers(len(self._rooms), size=len(at))
        other = place + rng.integers(-_NEIGHBOURS, _NEIGHBOURS + 1, len(at))
        other = np.clip(other, 0, len(self._rooms) - 1)
        other = np.where(rng.random(len(at)) < _P_SAME_PLACE, place, other)
        mixed[at] = reverberated(first[at], self._rooms[place])
        mixed[at] += reverberated(second[at], self._rooms[other])
        at = self._drawn(_P_ECHO, num, rng)
        delay = torch.from_numpy(rng.integers(*_ECHO_SAMPLES, size=len(at))).to(self._device)
        before = torch.arange(mixed.shape[1], device=self._device) - delay.unsqueeze(1)
        again = mixed[at].gather(1, before.clamp_min(0)) * (before >= 0)
        mixed[at] += self._gain(_ECHO_DB, len(at), rng) * again
        return mixed

    def background(
        self,
        mixed: Tensor,
        windows: Tensor,
        who: NDArray[np.int64],
        of: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> Tensor:
        """Somebody's television, people at other tables, noise; and a microphone's own.

        Args:
            mixed: ``(num, num_samples)``.
            windows: ``(num_windows, any number)`` whose voices are in the background.
            who: ``(num_windows,)`` speaks in them.
            of: ``(num,)``, the window that each piece's first voice is from.
            rng: Draws.
        """
        num, num_samples = mixed.shape
        speech = loudness(mixed)
        mixed = mixed.clone()
        at = self._drawn(_P_BACKGROUND, num, rng)
        voices = self._company.draw(windows, who, of[at.cpu().numpy()], num_samples, rng)
        near, any_gain = (self._gain(limits, len(at), rng) for limits in (_NEAR_DB, _BACKGROUND_DB))
        is_near = torch.from_numpy(rng.random((len(at), 1)) < _P_NEAR).to(self._device)
        mixed[at] += torch.where(is_near, near, any_gain) * speech[at] * voices
        at = self._drawn(_P_NOISE, num, rng)
        noise = self._noise(len(at), num_samples, rng)
        mixed[at] += self._gain(_NOISE_DB, len(at), rng) * speech[at] * noise
        floor = coloured_noise(self._floats(rng.uniform(-0.5, 1.5, num)), num_samples, rng)
        return mixed + self._gain(_FLOOR_DB, num, rng) * speech * floor

    def channel(self, mixed: Tensor, rng: np.random.Generator) -> Tensor:
        """Microphones that colour, clip and leave out, and codecs; ``(num, num_samples)``."""
        num = len(mixed)
        mixed = mixed.clone()
        at = self._drawn(_P_MICROPHONE, num, rng)
        curves = self._floats(rng.normal(0, _CURVE_DB, (len(at), _CURVE_POINTS)))
        mixed[at] = coloured(mixed[at], curves)
        at = self._drawn(_P_CLIPPED, num, rng)
        mixed[at] = clipped(mixed[at], self._floats(rng.uniform(*_CLIPPED_DB, len(at))))
        at = self._drawn(_P_NARROW, num, rng)
        is_telephone = rng.random(len(at)) < 0.6
        low, high = TELEPHONE_BAND_HZ
        high_hz = np.where(is_telephone, high, rng.uniform(*_LOW_PASS_HZ, len(at)))
        mixed[at] = band_limit(mixed[at], self._floats(low * is_telephone), self._floats(high_hz))
        mixed = at_peak(mixed, self._floats(rng.uniform(*_CODEC_PEAK_DB, num)))
        at = self._drawn(_P_LAW, num, rng)
        mixed[at] = telephone(mixed[at], "mu")
        at = self._drawn(_P_LAW, num, rng)
        mixed[at] = telephone(mixed[at], "a")
        at = self._drawn(_P_BITS, num, rng)
        bits = rng.integers(*_BITS, size=len(at), endpoint=True)
        mixed[at] = requantised(mixed[at], self._floats(bits))
        return mixed

    def _noise(self, num: int, num_samples: int, rng: np.random.Generator) -> Tensor:
        """Of power 1."""
        kind = rng.integers(len(self._recorded) + 1, size=num)
        noise = coloured_noise(self._floats(rng.uniform(-0.5, 2.0, num)), num_samples, rng)
        for index, recordings in enumerate(self._recorded):
            rows = np.flatnonzero(kind == index)
            at = torch.from_numpy(rows).to(self._device)
            noise[at] = recordings.stretches(len(rows), num_samples, rng)
        return levelled(noise)

    def _drawn(self, probability: float, num: int, rng: np.random.Generator) -> Tensor:
        """Which of so many: as good as exactly that share, and one at least.

        A transform of none at all is an error to some libraries.
        """
        num_drawn = max(1, int(probability * num + rng.random()))
        return torch.from_numpy(rng.permutation(num)[:num_drawn]).to(self._device)

    def _gain(self, below_db: tuple[float, float], num: int, rng: np.random.Generator) -> Tensor:
        """``(num, 1)``."""
        return self._floats(10 ** (-rng.uniform(*below_db, num) / 20))[:, None]

    def _floats(self, values: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.asarray(values, dtype=np.float32)).to(self._device)


def coloured(samples: Tensor, gains_db: Tensor) -> Tensor:
    """Filters by a smooth curve.

    Args:
        samples: ``(num, num_samples)``.
        gains_db: ``(num, num_points)``, from 0 Hz to half the rate.
    """
    spectrum = torch.fft.rfft(samples)
    num_bins = spectrum.shape[1]
    curve = interpolate(gains_db[:, None], num_bins, mode="linear", align_corners=True)[:, 0]
    filtered: Tensor = torch.fft.irfft(spectrum * 10 ** (curve / 20), n=samples.shape[1])
    return filtered


def sounding(rooms: Tensor) -> Tensor:
    """How many taps it takes until 1 % of a response's energy is left, ``(num_rooms,)``."""
    left = rooms.square().flip(1).cumsum(1).flip(1)
    return (left > 0.01 * left[:, :1]).sum(1)
