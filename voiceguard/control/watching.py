"""What happens in the daemon, as events of the control socket.

Event loop; nothing here waits, and what nobody watches costs a look at who does. Units are in the
names; what is not known is null.

| event | payload |
|---|---|
| `level` | per block of audio: `stream`, `level_db` and `peak_db` (full scale 0; null for exact zeros), `is_speech` (the gate is open) |
| `progress` | per window that was embedded: `stream`, `segment`, `speech_s` so far, `snr_db`, `scores` as a decision has them, for display only: looking at them is not a decision |
| `decision` | a decision as `decisions.wire` writes it, provisional ones too |
| `losses` | `stream`, `opened_at`, `noted_at` and what it has lost since |
| `status` | what the status topic says, where it changes and every `service.status_interval_s` |
| `dropped` | `num_events` that this client was too slow for |
"""  # noqa: E501 - a table

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from voiceguard.decisions.wire import decision_payload, rounded, scores_payload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voiceguard.control.server import ControlServer
    from voiceguard.decisions.result import Decision
    from voiceguard.types import AudioChunk, SpeakerScore, Window

EVENTS = frozenset({"level", "progress", "decision", "losses", "status"})


class Watching:
    """Tells clients what streams hear and decide; a watcher of streams and a sink of decisions."""

    def __init__(self, server: ControlServer) -> None:
        self._server = server

    def heard(self, stream: str, chunk: AudioChunk, *, is_speech: bool) -> None:
        """A block of audio has been heard."""
        if not self._server.is_watched("level"):
            return
        samples = chunk.samples
        power = float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0
        peak = float(np.abs(samples).max(initial=0.0))
        levels = {"level_db": _db(power), "peak_db": _db(peak * peak), "is_speech": is_speech}
        self._server.publish("level", {"stream": stream, **levels})

    @property
    def wants_progress(self) -> bool:
        """Whether anybody sees what ``scored`` is told."""
        return self._server.is_watched("progress")

    def scored(self, stream: str, window: Window, scores: Sequence[SpeakerScore]) -> None:
        """A segment has grown by a window, and these are its scores by now."""
        told = {
            "stream": stream,
            "segment": window.segment,
            "speech_s": rounded(window.segment_speech_s, 3),
            "snr_db": rounded(window.snr_db, 1),
            "scores": scores_payload(scores),
        }
        self._server.publish("progress", told)

    def publish(self, decision: Decision) -> None:
        """Takes every decision, provisional ones too."""
        if self._server.is_watched("decision"):
            self._server.publish("decision", decision_payload(decision))

    def lost(self, losses: Mapping[str, Any]) -> None:
        """What a stream has lost, as the history notes it."""
        self._server.publish("losses", losses)

    def status(self, status: Mapping[str, Any]) -> None:
        """The daemon's status."""
        self._server.publish("status", status)


def _db(power: float) -> float | None:
    return rounded(10 * math.log10(power), 1) if power > 0 and math.isfinite(power) else None
