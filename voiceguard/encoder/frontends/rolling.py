"""The features of a stream's overlapping windows, without computing shared frames again.

Part of hop 3, on the inference executor. Every window is treated as a recording of its own: its
edges are padded and it is normalised as if nothing came before. But frames that touch no edge are
the same in every window that holds them, so a stream computes those once.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from voiceguard.types import FRAME_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = TypeVar("Array")
"""Of numpy, or a tensor of torch."""


class FrameByFrame(Protocol[Array]):
    """What ``base.FrontEnd`` and ``arrays.ArrayFrontEnd`` have in common."""

    offset_samples: int
    frame_samples: int
    reach_back: int

    def frames(self, samples: Array, /) -> Array: ...

    def bands(self, frames: Array, /) -> Array: ...

    def finish(self, bands: Array, /) -> Array: ...

    def join(self, parts: Sequence[Array], /) -> Array: ...


KEPT_FRAMES = 512
"""A stream keeps the newest 5.1 s: more than a window of 4 s and a hop reach back."""


class RollingFeatures(Generic[Array]):
    """One stream's features; equal to the front end's of each window to float32 rounding."""

    def __init__(self, front_end: FrameByFrame[Array]) -> None:
        self._front_end = front_end
        self._segment: int | None = None
        self._first = 0
        self._kept: Any = None  # (kept frames, num_bands), from frame _first on

    def __call__(self, samples: Array, *, segment: int, first_sample: int) -> Array:
        """Computes what no earlier window of this segment had, and reuses the rest.

        Args:
            samples: ``(num_samples,)``, at least as long as the front end needs.
            segment: Numbers a stretch of continuous audio.
            first_sample: The window's place in the stream, a multiple of FRAME_SAMPLES.

        Returns:
            The features, of the shape that the front end gives, as it gives them for these samples
            alone.

        Raises:
            ValueError: ``first_sample`` is not on the grid.
        """
        if first_sample % FRAME_SAMPLES:
            raise ValueError(f"a window starts at {first_sample}, not on the 10 ms grid")
        first = first_sample // FRAME_SAMPLES  # frames are counted from the stream's start
        frames: Any = self._front_end.frames(samples)  # (frames, frame_samples)
        whole = range(first, first + len(frames))
        num_samples: int = len(samples)  # type: ignore[arg-type] # an array has a length
        inner = self._inner(whole, num_samples)
        left, right = self._missing(segment, inner)
        wanted = (range(whole.start, inner.start), left, right, range(inner.stop, whole.stop))
        head, before, after, tail = self._bands(frames, first, wanted)
        kept = before[:0] if self._kept is None else self._kept
        known: Any = self._front_end.join(
            [before, kept, after]
        )  # one stretch, the inner frames within it
        known_first = self._first - len(before)
        newest = max(len(known) - KEPT_FRAMES, 0)
        self._first, self._kept = known_first + newest, known[newest:]
        middle = known[inner.start - known_first : inner.stop - known_first]
        return self._front_end.finish(self._front_end.join([head, middle, tail]))

    def _inner(self, whole: range, num_samples: int) -> range:
        """The frames of a window that neither edge has touched."""
        edge = self._front_end.offset_samples
        first_untouched = -(-(edge + self._front_end.reach_back) // FRAME_SAMPLES)
        begin = min(whole.start + first_untouched, whole.stop)
        num_whole = (num_samples + edge - self._front_end.frame_samples) // FRAME_SAMPLES + 1
        return range(begin, max(begin, min(whole.start + num_whole, whole.stop)))

    def _missing(self, segment: int, inner: range) -> tuple[range, range]:
        """Frames to compute before and after the kept ones; forgets what does not adjoin."""
        num_kept = 0 if self._kept is None else len(self._kept)
        kept_stop = self._first + num_kept
        if segment != self._segment or inner.start > kept_stop or inner.stop < self._first:
            self._segment, self._first, self._kept = segment, inner.start, None
            kept_stop = inner.start
        before = range(inner.start, max(inner.start, self._first))
        after = range(min(kept_stop, inner.stop), inner.stop)
        return before, after

    def _bands(self, frames: Any, first: int, wanted: tuple[range, ...]) -> list[Any]:  # noqa: ANN401 - an Array
        """Bands of some frames of a window that begins with frame ``first``.

        Returns:
            ``(len(range), num_bands)`` for each range, computed in one go.
        """
        chosen = [frames[span.start - first : span.stop - first] for span in wanted]
        bands: Any = self._front_end.bands(self._front_end.join(chosen))  # (chosen, num_bands)
        ends = list(accumulate(len(span) for span in wanted))
        return [bands[end - len(span) : end] for end, span in zip(ends, wanted, strict=True)]
