"""What is known of one segment so far: its windows' embeddings, and whether its voice changed.

Pure. Belongs to hops 4 and 5: the pipeline adds embeddings as they come and asks for the pooled
test embedding of the whole segment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voiceguard.scoring.pooling import pool

if TYPE_CHECKING:
    from voiceguard.types import Embedding, Window


@dataclass(slots=True)
class SegmentEvidence:
    """The embeddings of one segment's windows, oldest first.

    Windows overlap, so their scores are never summed: one embedding is pooled from them, and one
    trial is scored with it.
    """

    segment: int
    max_window_samples: int
    windows: list[tuple[Window, Embedding]] = field(default_factory=list)
    probes: list[tuple[Window, Embedding]] = field(default_factory=list)
    num_looks: int = 0
    """Provisional results given so far; each spends a part of the error budget."""
    inference_failed: bool = False
    heard_two_voices: bool = False

    def add(self, window: Window, embedding: Embedding) -> None:
        """Keeps the embedding of a scored window or of a probe."""
        (self.probes if window.is_probe else self.windows).append((window, embedding))

    def pooled(self) -> Embedding | None:
        """The segment's test embedding, L2 norm 1; None while it has no window."""
        if not self.windows:
            return None
        return pool(
            [embedding for _, embedding in self.windows],
            [len(window.samples) for window, _ in self.windows],
            max_window_samples=self.max_window_samples,
        )

    def change_sample(self, max_cosine: float) -> int | None:
        """Where another voice took over, if the latest probe is that unlike the ones before it.

        A change in mid-probe leaves that probe half like both of its neighbours, so the latest
        one is compared with the last but one as well.

        Args:
            max_cosine: Two stretches of one voice are more alike than this in all but a small,
                measured share of cases (see the calibration that carries it).

        Returns:
            The first sample that is not surely the earlier voice's: where the latest probe
            begins, or the one before it; None where the voice is the same.
        """
        later = (window for window, _ in reversed(self.probes))
        for cosine, window in zip(self.latest_cosines(), later, strict=False):
            if cosine < max_cosine:
                return window.first_sample
        return None

    def latest_cosines(self) -> list[float]:
        """Of the latest probe with the one before it, and with the last but one, if there are."""
        return [float(earlier @ self.probes[-1][1]) for _, earlier in self.probes[-2:-4:-1]]

    def note_change(self, max_cosine: float) -> None:
        """Remembers that the voice changed, where the segment cannot be ended for it.

        Forgets the probes that no later one is compared with.
        """
        self.heard_two_voices |= self.change_sample(max_cosine) is not None
        del self.probes[:-2]

    def cut_back(self, end_sample: int) -> None:
        """Drops the windows that reach beyond a sample, because another voice begins there."""
        self.windows = [pair for pair in self.windows if pair[0].end_sample <= end_sample]
        self.probes = [pair for pair in self.probes if pair[0].end_sample <= end_sample]
