"""What the control socket's events add up to: the state that the screen shows.

Pure. In: events as ``docs/control-socket.md`` has them, and the time at which they came. Out:
streams with level, gate and the best guess so far, the last decisions, what was lost.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voiceguard.scoring.posterior import posterior
from voiceguard.types import SpeakerScore

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DECISIONS = 200
"""Kept for the screen; the history has the others."""
SILENT_DB = -90.0
"""What exact zeros are drawn as."""
GUESS_LIVES_S = 3.0
"""A guess is taken off the screen so long after the last news of it, where no decision came."""
EVEN_ODDS = 0.5
LOST_S = {"overflow_s", "outage_s"}
LOST_SAMPLES = {"samples_lost", "samples_missed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """Whom a segment sounds like so far."""

    speaker: str
    p_speaker: float | None
    """Posterior at even odds between the enrolled and strangers; None without a calibration."""
    speech_s: float
    at_s: float


@dataclass(slots=True, kw_only=True)
class StreamView:
    """One stream as it is drawn."""

    state: str = "starting"
    detail: str = ""
    level_db: float = SILENT_DB
    is_speech: bool = False
    guess: Guess | None = None
    speech_s: float = 0.0
    num_segments: int = 0
    lost: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Monitor:
    """Everything that is on the screen."""

    state: str = "connecting"
    reason: str = ""
    is_armed: bool = True
    encoder: str = ""
    is_calibrated: bool = True
    speakers: dict[str, str] = field(default_factory=dict)
    """What each is called for people."""
    streams: dict[str, StreamView] = field(default_factory=dict)
    decisions: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MAX_DECISIONS))
    """Final ones, newest first, as the wire writes them."""
    num_dropped: int = 0
    """Events that this screen was too slow for."""

    def take(self, event: Mapping[str, Any], *, now_s: float) -> None:
        """Takes in one event; one of a kind that is not known here changes nothing.

        Args:
            event: As it came.
            now_s: On a clock that nobody sets.
        """
        kind = event.get("event")
        if kind == "status":
            self._take_status(event)
        elif kind == "dropped":
            self.num_dropped += event["num_events"]
        elif kind in {"level", "progress", "decision", "losses"}:
            stream = self.streams.setdefault(event["stream"], StreamView())
            getattr(self, f"_take_{kind}")(stream, event, now_s)

    def forget_guesses(self, now_s: float) -> None:
        """Takes guesses off the screen of which nothing more was heard."""
        for stream in self.streams.values():
            if stream.guess is not None and now_s - stream.guess.at_s > GUESS_LIVES_S:
                stream.guess = None

    def name_of(self, speaker: str) -> str:
        """What a speaker is called for people."""
        return self.speakers.get(speaker, speaker)

    def _take_status(self, told: Mapping[str, Any]) -> None:
        self.state, self.reason = told["state"], told["reason"]
        self.is_armed = told["armed"]
        self.encoder = told["encoder"]["name"]
        self.is_calibrated = told["encoder"]["is_calibrated"]
        names = told.get("display_names", {})
        self.speakers = {name: names.get(name, name) for name in told["speakers"]}
        gone = self.streams.keys() - told["streams"].keys()
        for name in gone:
            del self.streams[name]
        for name, counted in told["streams"].items():
            stream = self.streams.setdefault(name, StreamView())
            stream.state, stream.detail = counted["state"], counted["detail"]
            stream.speech_s, stream.num_segments = counted["speech_s"], counted["segments"]
            if stream.state != "listening":
                stream.level_db, stream.is_speech, stream.guess = SILENT_DB, False, None

    def _take_level(self, stream: StreamView, event: Mapping[str, Any], _now_s: float) -> None:
        stream.state = "listening"
        stream.level_db = SILENT_DB if event["level_db"] is None else event["level_db"]
        stream.is_speech = event["is_speech"]

    def _take_progress(self, stream: StreamView, event: Mapping[str, Any], now_s: float) -> None:
        if not event["scores"]:
            return
        figures = ("speaker", "cosine", "normalised", "llr")
        scores = [SpeakerScore(**{key: each[key] for key in figures}) for each in event["scores"]]
        best = scores[0].speaker
        stream.guess = Guess(
            speaker=best,
            p_speaker=posterior(scores, best, EVEN_ODDS),
            speech_s=event["speech_s"],
            at_s=now_s,
        )

    def _take_decision(self, stream: StreamView, event: Mapping[str, Any], _now_s: float) -> None:
        if event["is_final"]:
            stream.guess = None
            self.decisions.appendleft(dict(event))

    def _take_losses(self, stream: StreamView, event: Mapping[str, Any], _now_s: float) -> None:
        counters = LOST_S | LOST_SAMPLES | {"segments_dropped"}
        stream.lost = {name: event[name] for name in counters if event.get(name)}
