"""Embeddings that are computed when somebody looks at them.

The daemon embeds every window as it comes, for it cannot know which will count. Of a recording
half of them never do: a short segment is decided by its longest window, and a probe without another
one after it is compared with nothing. Measuring need not wait for those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike

    from voiceguard.protocols import Encoder, EncoderStream
    from voiceguard.types import Embedding, Window


def lazy_stream(encoder: Encoder) -> EncoderStream:
    """A stream like the encoder's own, whose embeddings are computed at the first look at them.

    They serve as arrays to numpy, and ``@`` multiplies two of them.

    Args:
        encoder: Whose failures come at the first look too; what is too short it refuses at once.
    """
    return _LazyStream(encoder)


class _LazyStream:
    def __init__(self, encoder: Encoder) -> None:
        self._stream = encoder.open_stream()
        self._least_samples = encoder.info.min_window_s * SAMPLE_RATE_HZ

    def embed(self, window: Window) -> Embedding:
        if len(window.samples) < self._least_samples:
            return self._stream.embed(window)
        return cast("Embedding", _Awaited(lambda: self._stream.embed(window)))


class _Awaited:
    """An embedding, ``(embedding_dim,)``, that may not have been computed yet."""

    def __init__(self, compute: Callable[[], Embedding]) -> None:
        self._compute: Callable[[], Embedding] | None = compute
        self._computed: Embedding | None = None

    def __array__(self, dtype: DTypeLike | None = None, *, copy: bool | None = None) -> Embedding:
        if self._compute is not None:
            self._computed, self._compute = self._compute(), None
        found: Embedding = np.asarray(self._computed, dtype=dtype)
        return found.copy() if copy else found

    def __matmul__(self, other: _Awaited) -> float:
        return float(np.asarray(self) @ np.asarray(other))
