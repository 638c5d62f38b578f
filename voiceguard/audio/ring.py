"""Hop 1 of 6: the buffer between a device's callback thread and the event loop.

Comes in: blocks of samples as the device has them, on PortAudio's thread, which must never wait.
Goes out: the oldest continuous stretch, on the event loop. When the reader is late the oldest
samples are overwritten and counted. In device samples, at every moment,
``captured == delivered + lost + buffered``.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.types import SourceStatistics

if TYPE_CHECKING:
    from voiceguard.types import Samples


@dataclass(frozen=True, slots=True)
class RingRead:
    """A continuous stretch of audio."""

    samples: Samples
    """``(num_samples, channels)``, a copy."""
    first_sample: int
    """Position since the ring was made; samples lost and missed are counted."""
    after_gap: bool
    """Samples before this stretch were lost or missed."""
    written_at_s: float
    """When its last sample was written, on the producer's clock."""


class RingBuffer:
    """Keeps the newest ``capacity_samples``; one producer thread, one consumer thread.

    The lock is held for a copy of one block (microseconds), by either side.

    Args:
        capacity_samples: In device samples.
        channels: Of the device.
        rate_hz: Only to date the end of a stretch that is not the newest.
    """

    def __init__(self, capacity_samples: int, channels: int, rate_hz: int) -> None:
        self._data = np.zeros((capacity_samples, channels), dtype=np.float32)
        self._capacity = capacity_samples
        self._rate_hz = rate_hz
        self._lock = threading.Lock()
        # Counts of captured samples: what was missed has no place in the buffer.
        self._written = 0
        self._read = 0
        self._lost = 0
        # Where, in captured samples, something is missing, and how much.
        self._gaps: deque[tuple[int, int]] = deque()
        self._missed = 0
        self._overflows = 0
        self._missed_before_read = 0
        self._gap_pending = False
        self._written_at_s = 0.0

    def write(self, samples: Samples, at_s: float, *, num_missed: int | None = None) -> None:
        """Appends a block and overwrites the oldest samples where there is no room.

        Args:
            samples: ``(num_samples, channels)`` float32; copied.
            at_s: The producer's clock when the last sample arrived.
            num_missed: Samples that the driver lost just before this block, as far as can be
                estimated (0: some, nobody knows how many), which counts as one overflow; None
                when the block joins the last.
        """
        num = len(samples)
        kept = samples[-self._capacity :]
        with self._lock:
            if num_missed is not None:
                self._gaps.append((self._written, num_missed))
                self._missed += num_missed
                self._overflows += 1
            self._written += num
            self._written_at_s = at_s
            start = (self._written - len(kept)) % self._capacity
            head = min(len(kept), self._capacity - start)
            self._data[start : start + head] = kept[:head]
            self._data[: len(kept) - head] = kept[head:]
            overwritten = self._written - self._read - self._capacity
            if overwritten > 0:
                self._read += overwritten
                self._lost += overwritten
                self._gap_pending = True
                self._pass_gaps()

    def read(self, max_samples: int) -> RingRead | None:
        """Takes the oldest continuous stretch of at most ``max_samples``; None when empty."""
        with self._lock:
            after_gap = self._pass_gaps() or self._gap_pending
            end = min(self._written, self._read + max_samples)
            if self._gaps:
                end = min(end, self._gaps[0][0])
            num = end - self._read
            if num <= 0:
                return None
            samples = self._copy(self._read, num)
            first_sample = self._read + self._missed_before_read
            self._read = end
            self._gap_pending = False
            behind_s = (self._written - end) / self._rate_hz
            return RingRead(samples, first_sample, after_gap, self._written_at_s - behind_s)

    def discard(self) -> None:
        """Gives up what is buffered, and counts it as lost."""
        with self._lock:
            if self._written > self._read:
                self._lost += self._written - self._read
                self._read = self._written
                self._gap_pending = True

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to read; only the consumer's thread can rely on "no"."""
        return self._written == self._read

    @property
    def end_position(self) -> int:
        """One past the newest sample, lost and missed ones counted."""
        with self._lock:
            return self._written + self._missed

    def counts(self) -> SourceStatistics:
        """The counters, all taken at the same moment."""
        with self._lock:
            return SourceStatistics(
                samples_captured=self._written,
                samples_delivered=self._read - self._lost,
                samples_lost=self._lost,
                samples_buffered=self._written - self._read,
                samples_missed=self._missed,
                num_overflows=self._overflows,
                overflow_s=self._missed / self._rate_hz,
            )

    def _copy(self, first: int, num: int) -> Samples:
        start = first % self._capacity
        head = self._data[start : start + num]
        if len(head) == num:
            return head.copy()
        return np.concatenate([head, self._data[: num - len(head)]])

    def _pass_gaps(self) -> bool:
        """Moves the gaps at or before the read position into the past; says if there were any."""
        passed = False
        while self._gaps and self._gaps[0][0] <= self._read:
            self._missed_before_read += self._gaps.popleft()[1]
            passed = True
        # An overwrite may pass a gap long before the reader comes: remember it until then.
        self._gap_pending = self._gap_pending or passed
        return passed
