"""Who else is heard, further off: televisions, and people at other tables.

In: windows of speech and recordings. Out: some of it for each piece, at one level. None of it is a
second voice: what is learnt is that it is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from voiceguard.encoder.overlap.spectrogram import HOP_SAMPLES
from voiceguard.lab.training.corruption.augment import speech_rms
from voiceguard.lab.training.corruption.filters import band_limit
from voiceguard.lab.training.corruption.rooms import reverberated
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from voiceguard.lab.training.corruption.recordings import Recordings

_P_RECORDED, _P_SET, _P_TWO, _P_PAUSES, _P_FAR, _P_SMALL, _P_MUSIC = (
    0.2,
    0.6,
    0.3,
    0.7,
    0.5,
    0.4,
    0.7,
)
_TABLES = (2, 8)
"""How many speak there; of a set one, or two."""
_TALK_S, _PAUSE_S, _BEGIN_S = (0.6, 5.0), (0.3, 4.0), (-4.0, 3.5)
"""What is recorded of televisions is a sentence or two and seconds without, in which the music is
heard; at a level that is taken over all of it, a short sentence is a loud one."""
_VOICES_DB, _MUSIC_DB = 4.0, (4.0, 18.0)
_LOW_HZ, _HIGH_HZ, _WHOLE_HZ = (80.0, 350.0), (3000.0, 8000.0), 8000.0
"""What a small loudspeaker leaves out."""


class Company:
    """Draws it, each piece its own.

    Args:
        rooms: Responses ``(num_rooms, taps)`` of unit energy, on the device.
        music: What is heard between and below a television's sentences.
        talk: Televisions and many voices, as recorded: some of what is drawn.
    """

    def __init__(self, rooms: Tensor, music: Recordings, talk: Recordings | None) -> None:
        self._rooms = rooms
        self._music = music
        self._talk = talk
        self._device = rooms.device

    def draw(
        self,
        windows: Tensor,
        who: NDArray[np.int64],
        of: NDArray[np.int64],
        num_samples: int,
        rng: np.random.Generator,
    ) -> Tensor:
        """``(len(of), num_samples)`` of power 1, or silent where nobody says anything just then.

        Args:
            windows: ``(num_windows, at least num_samples)`` whose voices are in it.
            who: ``(num_windows,)`` speaks in them.
            of: ``(num,)``, the window that each piece's first voice is from.
            num_samples: Of each.
            rng: Draws.
        """
        num = len(of)
        is_set = rng.random(num) < _P_SET
        voices = self._somewhere(self._voices(windows, who, of, is_set, num_samples, rng), rng)
        is_small = is_set & (rng.random(num) < _P_SMALL)
        low_hz = rng.uniform(*_LOW_HZ, num) * is_small
        high_hz = np.where(is_small, rng.uniform(*_HIGH_HZ, num), _WHOLE_HZ)
        voices = band_limit(voices, self._floats(low_hz), self._floats(high_hz))
        has_music = is_set & (rng.random(num) < _P_MUSIC)
        music = self._music.stretches(num, num_samples, rng)
        share = has_music * 10 ** (-rng.uniform(*_MUSIC_DB, num) / 20)
        voices = voices / loudness(voices)
        voices = levelled(voices + self._floats(share)[:, None] * music / loudness(music))
        if self._talk is not None:
            rows = torch.from_numpy(np.flatnonzero(rng.random(num) < _P_RECORDED))
            at = rows.to(self._device)
            voices[at] = levelled(self._talk.stretches(len(at), num_samples, rng))
        return voices

    def _voices(
        self,
        windows: Tensor,
        who: NDArray[np.int64],
        of: NDArray[np.int64],
        is_set: NDArray[np.bool_],
        num_samples: int,
        rng: np.random.Generator,
    ) -> Tensor:
        """Other people than the piece's own, most of them with pauses: ``(num, num_samples)``."""
        num = len(of)
        of_set = np.where(rng.random(num) < _P_TWO, 2, 1)
        of_tables = rng.integers(*_TABLES, num, endpoint=True)
        num_voices = np.where(is_set, of_set, of_tables)
        draws = rng.random((num, len(who)))
        draws[who == who[of][:, np.newaxis]] = 2.0
        most = min(_TABLES[1], len(who))
        chosen = draws.argsort(axis=1)[:, :most]
        is_other = np.take_along_axis(draws, chosen, axis=1) < 1.0
        is_heard = is_other & (np.arange(most) < num_voices[:, np.newaxis])
        gains = is_heard * 10 ** (rng.uniform(-_VOICES_DB, _VOICES_DB, chosen.shape) / 20)
        turned = torch.roll(windows, int(rng.integers(windows.shape[1])), dims=1)[:, :num_samples]
        turned = turned / loudness(turned)
        found = torch.zeros(num, num_samples, device=self._device)
        # One voice after another: all at once would be eight times the memory.
        for index in range(most):
            rows = np.flatnonzero(is_heard[:, index])
            spoken = self._floats(_talking(len(rows), num_samples, rng))
            spoken = spoken.repeat_interleave(HOP_SAMPLES, dim=1)[:, :num_samples]
            voice = turned[torch.from_numpy(chosen[rows, index]).to(self._device)]
            at = torch.from_numpy(rows).to(self._device)
            found[at] += self._floats(gains[rows, index])[:, None] * spoken * voice
        return found

    def _somewhere(self, voices: Tensor, rng: np.random.Generator) -> Tensor:
        """Half of them far away in a room."""
        num = max(1, round(_P_FAR * len(voices)))  # a transform of none may be an error
        rows = rng.permutation(len(voices))[:num]
        place = torch.from_numpy(rng.integers(len(self._rooms), size=num)).to(self._device)
        at = torch.from_numpy(rows).to(self._device)
        voices[at] = reverberated(voices[at], self._rooms[place])
        return voices

    def _floats(self, values: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.asarray(values, dtype=np.float32)).to(self._device)


def _talking(num: int, num_samples: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """By hop whether somebody speaks, up to twice in a piece: ``(num, num_hops)``."""
    at_s = np.arange(0, num_samples, HOP_SAMPLES) / SAMPLE_RATE_HZ
    begin, first, pause, second = (
        rng.uniform(*limits, (num, 1)) for limits in (_BEGIN_S, _TALK_S, _PAUSE_S, _TALK_S)
    )
    since = at_s - begin
    again = since - first - pause
    talks = ((since >= 0) & (since < first)) | ((again >= 0) & (again < second))
    always: NDArray[np.bool_] = rng.random((num, 1)) >= _P_PAUSES
    return talks | always


def levelled(samples: Tensor) -> Tensor:
    """``(num, num_samples)`` to a power of 1, pauses counted."""
    return samples / samples.square().mean(1, keepdim=True).sqrt().clamp_min(1e-5)


def loudness(samples: Tensor) -> Tensor:
    """``(num, 1)``, of silence as well something to divide by."""
    return speech_rms(samples).clamp_min(1e-5)
