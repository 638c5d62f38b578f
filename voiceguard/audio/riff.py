"""What FFmpeg does not look at in the headers of WAV files; pure, on the I/O executor.

In: an open file. Out: how much of it is there, by its own header; and a word about tags that would
make FFmpeg ask for as much memory as they say, up to 4 GB.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO

RIFF_UNKNOWN = 0x7FFF_0000
"""A size from here on was written by a program that could not seek back to correct it."""
MAX_TAG_BYTES = 1 << 20
MAX_CHUNKS = 10_000

_ORDERS: dict[bytes, Literal["little", "big"]] = {
    b"RIFF": "little",
    b"RF64": "little",
    b"BW64": "little",
    b"RIFX": "big",
}


class RiffHeader:
    """A WAV file's outermost chunks; of any other file, nothing.

    Args:
        file: Regular, read from its start; left there.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._num_bytes = os.fstat(file.fileno()).st_size
        start = file.read(12)
        self._kind = start[:4]
        self._order = _ORDERS.get(self._kind)
        self._declared = int.from_bytes(start[4:8], self._order or "little") + 8
        file.seek(0)

    @property
    def is_big_endian(self) -> bool:
        """Whether numbers in it, samples too, are so."""
        return self._order == "big"

    @property
    def share_present(self) -> float:
        """How much of the file is there; 1.0 where it doesn't say how long it should be."""
        is_known = self._kind in {b"RIFF", b"RIFX"} and self._declared < RIFF_UNKNOWN
        return min(1.0, self._num_bytes / self._declared) if is_known else 1.0

    def has_impossible_tag(self) -> bool:
        """Whether a tag says that it is longer than the file and than any tag."""
        if self._order is None:
            return False
        try:
            return any(
                kind == b"LIST" and self._has_impossible(first, first + size)
                for kind, first, size in self._chunks(12, self._num_bytes)
            )
        finally:
            self._file.seek(0)

    def _has_impossible(self, first: int, end: int) -> bool:
        return any(
            size > MAX_TAG_BYTES and start + size > self._num_bytes
            for _, start, size in self._chunks(first + 4, min(end, self._num_bytes))
        )

    def _chunks(self, first: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """Kind, place of the content and its length of each chunk between two places."""
        for _ in range(MAX_CHUNKS):
            if first + 8 > end:
                return
            self._file.seek(first)
            head = self._file.read(8)
            size = int.from_bytes(head[4:], self._order or "little")
            yield head[:4], first + 8, size
            first += 8 + size + size % 2
