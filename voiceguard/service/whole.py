"""Whole recordings as one vector: in one piece where that is possible, in several where it is not.

Blocking. In: a recording of any length. Out: what an encoder makes of it. An encoder's memory grows
with what it is given, so that recordings longer than MAX_PIECE_S are given in pieces of PIECE_S,
and their vectors averaged, longer pieces counting more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.speech.recorded import blocks_of
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voiceguard.protocols import Encoder
    from voiceguard.types import Embedding, Recorded, Samples

PIECE_S = 30.0
MAX_PIECE_S = 45.0
"""The last piece is never short: 15 s at least."""

_PIECE_SAMPLES = round(PIECE_S * SAMPLE_RATE_HZ)
_MAX_PIECE_SAMPLES = round(MAX_PIECE_S * SAMPLE_RATE_HZ)
_MIN_STRETCH_SAMPLES = 3 * SAMPLE_RATE_HZ
"""Of a stretch between damaged places; a shorter one is left out where there are longer ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A recording, and what was made of it."""

    vectors: dict[str, Embedding]
    """By name; means where there were several pieces."""
    num_samples: int
    num_pieces: int


def embed_whole(encoder: Encoder, recording: Recorded) -> Whole:
    """The embedding of a whole recording as it is, L2 norm 1, under that name.

    Raises:
        AudioError: Too short, or not finite.
    """
    whole = over_pieces(lambda piece: {"embedding": encoder.embed(piece)}, recording)
    if whole.num_pieces > 1:
        mean = whole.vectors["embedding"]
        whole.vectors["embedding"] = (mean / np.linalg.norm(mean)).astype(np.float32)
    return whole


def over_pieces(compute: Callable[[Samples], dict[str, Embedding]], recording: Recorded) -> Whole:
    """The vectors of a recording, by their names: those of its only piece, or means over several.

    Args:
        compute: What gives the vectors of ``(num_samples,)`` mono 16 kHz.
        recording: Of any length.

    Raises:
        AudioError: As ``compute`` says.
    """
    vectors: dict[str, Embedding] = {}
    weight = num_samples = num_pieces = 0
    longest_short = np.empty(0, dtype=np.float32)
    for piece in _pieces(recording):
        num_samples += len(piece)
        if len(piece) < _MIN_STRETCH_SAMPLES:
            longest_short = max(longest_short, piece, key=len)
            continue
        weight += len(piece)
        num_pieces += 1
        share = len(piece) / weight
        for name, vector in compute(piece).items():
            # The mean so far moves towards the new piece; of one piece it is that, bit by bit.
            mean = vectors.get(name, vector)
            vectors[name] = (mean + share * (vector - mean)).astype(np.float32)
    if num_pieces == 0:
        vectors, num_pieces = compute(longest_short), 1
    return Whole(vectors=vectors, num_samples=num_samples, num_pieces=num_pieces)


def _pieces(recording: Recorded) -> Iterator[Samples]:
    """Of PIECE_S, but for the last before the end or before what is missing."""
    held: list[Samples] = []
    num_held = 0
    for block in blocks_of(recording):
        if block.after_gap and num_held:
            yield np.concatenate(held)
            held, num_held = [], 0
        held.append(block.samples)
        num_held += len(block.samples)
        while num_held > _MAX_PIECE_SAMPLES:
            joined = np.concatenate(held)
            yield joined[:_PIECE_SAMPLES]
            held = [joined[_PIECE_SAMPLES:]]
            num_held = len(held[0])
    if num_held:
        yield np.concatenate(held)
