"""Turns as takes, for an enrollment through a room's assistant. Event loop.

In: a turn's audio as it comes. Out: each whole turn as one event, mono 16 kHz, 16 bit; the longest
is cut. Nothing is kept beyond the turn that is under way, and nothing is written.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from voiceguard.speech.mixing import to_mono
from voiceguard.speech.resampling import StreamResampler
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voiceguard.types import Samples

MAX_TURN_S = 30.0


class TurnRecorder:
    """Hears the turns of one room for whoever asked.

    Args:
        stream: The room's.
        send: Takes the payload of an event ``turn``; never waits.
        begun: A turn that is under way, whose beginning is missed; None: there is none.
    """

    def __init__(
        self, stream: str, send: Callable[[Mapping[str, Any]], None], begun: str | None = None
    ) -> None:
        self._stream = stream
        self._send = send
        self._begun = begun
        self._turn_id = ""
        self._parts: list[Samples] = []
        self._num_samples = 0
        self._resampler: StreamResampler | None = None

    def hear(self, turn_id: str, samples: Samples, rate_hz: int) -> None:
        """Samples ``(num_samples, channels)`` of that turn."""
        if turn_id == self._begun:
            return
        if turn_id != self._turn_id:
            self._turn_id, self._parts, self._num_samples = turn_id, [], 0
            self._resampler = StreamResampler(rate_hz)
        assert self._resampler is not None
        self._keep(self._resampler.push(to_mono(samples, "downmix")))

    def end(self, turn_id: str) -> None:
        """It is over."""
        if turn_id != self._turn_id or self._resampler is None:
            return  # nothing of it was heard: it began before
        self._keep(self._resampler.flush())
        samples = np.concatenate(self._parts)[: round(MAX_TURN_S * SAMPLE_RATE_HZ)]
        pcm = (np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
        told = {"stream": self._stream, "turn_id": turn_id, "rate_hz": SAMPLE_RATE_HZ}
        self._send({**told, "audio": base64.b64encode(pcm).decode("ascii")})
        self._turn_id, self._parts, self._resampler = "", [], None

    def _keep(self, samples: Samples) -> None:
        if self._num_samples < MAX_TURN_S * SAMPLE_RATE_HZ:
            self._parts.append(samples)
            self._num_samples += len(samples)
