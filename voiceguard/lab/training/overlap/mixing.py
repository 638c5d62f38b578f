"""Pieces with one voice and pieces with two, mixed on the device without end.

In: speech of many people and their surroundings. Out: batches of pieces, whether two people speak
at once in each, and when. One voice may be followed by another: that is no overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from voiceguard.encoder.overlap.spectrogram import HOP_SAMPLES
from voiceguard.lab.training.overlap.company import loudness
from voiceguard.lab.training.speech.drawn import changed_windows
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from voiceguard.lab.training.overlap.surroundings import Surroundings
    from voiceguard.lab.training.speech.circles import Circles

WINDOW_SAMPLES = 4 * SAMPLE_RATE_HZ
"""What pieces are cut from, and as long as they get."""
_SPEEDS = np.geomspace(0.8, 1.25, 12)
_FORMANTS = (0.84, 1.19)
_OWN_SHARE = 0.35
"""Of windows, how many keep their voice."""
_P_OVERLAP, _P_CHANGE, _P_PAUSE = 0.45, 0.12, 0.3
_OVERLAP_SHARES, _CHANGES_AT, _GAP = (0.45, 1.0), (0.3, 0.7), (0.01, 0.2)
"""Of a piece."""
_PAUSE_S = (0.1, 0.6)
_MAX_LEVEL_DB = 6.0
"""Of the second voice, above or below the first."""
_EDGE_SAMPLES = 160
_ACTIVE = 10**-2.5
"""Of a voice's loudest hop, in power: what is quieter is a pause."""
_HEARD, _MASKED = 10**-1.5, 10**-2.5
"""Of the louder voice's power in a hop: more, and the other is heard; less, and it is not."""
_LEAST_SHARE, _LEAST_S = 0.15, 0.3
"""Of a piece that is called overlap; one with less is left out."""
_TOUCHED_SHARE = 0.05
"""A change of speaker may have so much of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """What one step learns from."""

    samples: Tensor
    """``(num_pieces, num_samples)``."""
    is_overlap: Tensor
    """``(num_pieces,)`` 0 or 1."""
    weights: Tensor
    """``(num_pieces,)`` 0 where nobody can say."""
    hops: Tensor
    """``(num_pieces, num_hops)`` 0 or 1, of each 20 ms."""
    hop_weights: Tensor
    """``(num_pieces, num_hops)`` 0 where nobody can say."""


class Mixer:
    """Draws batches.

    Args:
        circles: Speech.
        surroundings: What befalls it.
        num_windows: How many voices a batch is mixed from.
    """

    def __init__(self, circles: Circles, surroundings: Surroundings, num_windows: int) -> None:
        self._circles = circles
        self._surroundings = surroundings
        self._num_windows = num_windows

    @torch.no_grad()
    def draw(self, num: int, num_samples: int, rng: np.random.Generator) -> Pieces:
        """So many pieces of one length; everything random is the generator's."""
        windows, who = changed_windows(
            self._circles,
            self._num_windows,
            WINDOW_SAMPLES,
            own_share=_OWN_SHARE,
            speeds=_SPEEDS,
            formants=_FORMANTS,
            rng=rng,
        )
        rows = np.resize(rng.permutation(len(windows)), num)
        kind = rng.permutation(num) / num
        is_overlap, is_change = kind < _P_OVERLAP, kind >= 1 - _P_CHANGE
        levels = np.where(
            rng.random(num) < 0.5,
            rng.triangular(-_MAX_LEVEL_DB, 0, _MAX_LEVEL_DB, num),
            rng.uniform(-_MAX_LEVEL_DB, _MAX_LEVEL_DB, num),
        )
        levels = np.where(is_change, levels / 2, levels)
        first = _cut(windows, rows, num_samples, rng)
        second = _cut(windows, _others(who, rows, rng), num_samples, rng)
        spans = _spans(is_overlap, is_change, num_samples, rng)
        device = windows.device
        first_span, second_span = (torch.from_numpy(each).to(device) for each in spans)
        gains = torch.from_numpy((10 ** (levels / 20)).astype(np.float32)).to(device)
        first = first_span * first / loudness(first)
        second = gains[:, None] * second_span * second / loudness(second)
        hops, hop_weights = truth(first, second)
        least = max(_LEAST_SHARE, _LEAST_S * SAMPLE_RATE_HZ / num_samples)
        overlaps = torch.from_numpy(is_overlap).to(device)
        share = hops.mean(1)
        mixed = self._surroundings.in_a_room(first, second, rng)
        mixed = self._surroundings.background(mixed, windows, who, rows, rng)
        return Pieces(
            samples=self._surroundings.channel(mixed, rng),
            is_overlap=overlaps.float(),
            weights=torch.where(overlaps, share >= least, share < _TOUCHED_SHARE).float(),
            hops=hops,
            hop_weights=hop_weights,
        )


def truth(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Of each hop, whether both voices are heard; and 0 where one nearly masks the other.

    Args:
        first: ``(num, num_samples)``, one voice alone.
        second: Likewise, silence where there is none.

    Returns:
        ``(num, num_hops)`` twice, 0 or 1.
    """
    num_hops = first.shape[1] // HOP_SAMPLES
    voices = torch.stack([first, second])[..., : num_hops * HOP_SAMPLES]
    power = voices.reshape(2, -1, num_hops, HOP_SAMPLES).square().mean(3)
    is_active = power > _ACTIVE * power.amax(2, keepdim=True).clamp_min(1e-9)
    quieter, louder = power.amin(0), power.amax(0)
    heard = is_active.all(0) & (quieter > _HEARD * louder)
    unsure = is_active.all(0) & ~heard & (quieter > _MASKED * louder)
    return heard.float(), (~unsure).float()


def _spans(
    is_overlap: NDArray[np.bool_],
    is_change: NDArray[np.bool_],
    num_samples: int,
    rng: np.random.Generator,
) -> list[NDArray[np.float32]]:
    """When the first and when the second speaks, ``(num, num_samples)`` each, 0 to 1."""
    num = len(is_overlap)
    never, always = np.full(num, 2.0), np.full(num, -1.0)
    share = rng.uniform(*_OVERLAP_SHARES, num)
    begin = rng.random(num) * (1 - share)
    turn = rng.uniform(*_CHANGES_AT, num)
    gap = np.where(rng.random(num) < 0.5, _GAP[0], rng.uniform(*_GAP, num))
    second_begin = np.where(is_overlap, begin, np.where(is_change, turn + gap, never))
    ends = (np.where(is_change, turn, never), np.where(is_overlap, begin + share, never))
    spans = []
    for start, end in zip((always, second_begin), ends, strict=True):
        span = _span(start, end, num_samples)
        rows = np.flatnonzero(rng.random(num) < _P_PAUSE)
        length = rng.uniform(*_PAUSE_S, len(rows)) * SAMPLE_RATE_HZ / num_samples
        pause = rng.uniform(-0.1, 1.0, len(rows))
        span[rows] *= 1 - _span(pause, pause + length, num_samples)
        spans.append(span)
    return spans


def _span(
    begin: NDArray[np.float64], end: NDArray[np.float64], num_samples: int
) -> NDArray[np.float32]:
    """1 between two shares of a piece, 0 outside, with soft edges: ``(num, num_samples)``."""
    at = np.arange(num_samples, dtype=np.float32)
    begins, ends = ((num_samples * each[:, None]).astype(np.float32) for each in (begin, end))
    inside = np.minimum(at - begins, ends - at) / _EDGE_SAMPLES
    span: NDArray[np.float32] = np.clip(inside, 0, 1)
    return span


def _cut(windows: Tensor, rows: NDArray[np.int64], num: int, rng: np.random.Generator) -> Tensor:
    places = rng.integers(windows.shape[1] - num + 1, size=len(rows))
    row, place = torch.from_numpy(np.stack([rows, places])).to(windows.device).unsqueeze(2)
    cut: Tensor = windows[row, place + torch.arange(num, device=windows.device)]
    return cut


def _others(
    who: NDArray[np.int64], rows: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """For each row a window of another speaker."""
    draws = rng.random((len(rows), len(who)))
    draws[who[rows][:, np.newaxis] == who] = -1.0
    others: NDArray[np.int64] = draws.argmax(axis=1)
    return others
