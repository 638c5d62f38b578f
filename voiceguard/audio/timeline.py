"""Hop 1 of 6: where audio belongs in time, over all the times that a device was opened.

Event loop; pure. In: captures, with the clock's times of their first and last blocks. Out: the
position of each capture's first sample, and what passed while there was none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voiceguard.audio.portaudio import Capture


class Timeline:
    """Positions that go on over re-opened devices, by the clock, also when the rate changes."""

    def __init__(self) -> None:
        self.base = 0
        """Position of the present capture's first sample, at its rate."""
        self.missed = 0
        """Samples that passed while no capture was open, each counted at the rate that followed."""
        self._away_s = 0.0
        self._capture: Capture | None = None
        self._end_s = 0.0
        self._end_at_s: float | None = None
        """Since when no capture has delivered; None while one does, and before the first."""

    def outage_s(self, until_s: float) -> float:
        """How long nothing was delivered, all times together, the present one up to a moment."""
        since_s = until_s if self._end_at_s is None else self._end_at_s
        return self._away_s + max(0.0, until_s - since_s)

    def begin(self, capture: Capture) -> bool:
        """Places a capture that has delivered; says whether that was still to be done."""
        if self._capture is capture or capture.first_block_at_s is None:
            return False
        self._capture = capture
        away_s = 0.0
        if self._end_at_s is not None:
            away_s = max(0.0, capture.first_block_at_s - self._end_at_s)
            self._end_at_s = None
        self.base = round((self._end_s + away_s) * capture.rate_hz)
        self.missed += round(away_s * capture.rate_hz)
        self._away_s += away_s
        return True

    def end(self, capture: Capture) -> None:
        """The capture is over: what comes next is placed by the time since its last block."""
        if capture.last_block_at_s is None:
            return
        self.begin(capture)
        self._end_s = (self.base + capture.ring.end_position) / capture.rate_hz
        self._end_at_s = capture.last_block_at_s
