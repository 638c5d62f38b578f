"""The teacher: an encoder as often as there are cores, each embedding recordings of its own.

In: clean voices. Out: their embeddings, in order.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING

from voiceguard.lab.corpora.embedding_cache import embed_all
from voiceguard.lab.progress import untracked

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from voiceguard.lab.progress import Track
    from voiceguard.protocols import Encoder
    from voiceguard.types import Samples

_AT_ONCE = 16
"""Recordings that an encoder is given together: some embed those faster than one by one."""


class Teachers:
    """Equal encoders, of which each is asked by one thread at a time.

    Args:
        load: Loads one. The first is loaded at once; a missing one is told before any work.
        num: How many, at least 1; the others are loaded when there is work for them.

    Raises:
        EncoderError: It cannot be loaded.
    """

    def __init__(self, load: Callable[[], Encoder], num: int = 1) -> None:
        first = load()
        self.info = first.info
        self._load = load
        self._num = num
        self._encoders = [first]

    def embed(
        self, voices: list[Samples], description: str, track: Track = untracked
    ) -> list[NDArray[np.float32]]:
        """Embeddings ``(dim,)`` of recordings of any lengths from ``info.min_window_s`` on.

        Args:
            voices: Each ``(num_samples,)``.
            description: Of the progress that ``track`` shows.
            track: Shows it.
        """
        batches = [voices[first : first + _AT_ONCE] for first in range(0, len(voices), _AT_ONCE)]
        while len(self._encoders) < min(self._num, len(batches)):
            self._encoders.append(self._load())
        idle: SimpleQueue[Encoder] = SimpleQueue()
        for encoder in self._encoders:
            idle.put(encoder)

        def embed(batch: list[Samples]) -> list[NDArray[np.float32]]:
            encoder = idle.get()
            try:
                return embed_all(encoder, batch)
            finally:
                idle.put(encoder)

        with ThreadPoolExecutor(len(self._encoders), "teacher") as pool:
            waiting = [pool.submit(embed, batch) for batch in batches]
            try:
                return [each for done in track(waiting, description) for each in done.result()]
            finally:
                pool.shutdown(cancel_futures=True)
