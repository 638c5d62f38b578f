"""Hop 6 of 6: messages that break every connection, found out and left away. Pure.

A broker that takes no packet of some size says so, or just hangs up; it would do so for ever.
States and discovery can be done without: what was in flight at two breaks, one after the other, is
skipped for a while and named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.mqtt.guards.refusals import TOO_LARGE, detail_of, hint_of

if TYPE_CHECKING:
    from voiceguard.mqtt.guards.refusals import Refusals

_MAX_BREAKS = 2
_SKIPPED_S = 600.0


class Suspects:
    """Which topics are not to be published at the moment."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._breaks: dict[str, int] = {}
        self._skipped_until_s: dict[str, float] = {}
        self._in_flight: tuple[str, int] | None = None

    def skips(self, topic: str, now_s: float) -> bool:
        """Whether this topic is left away."""
        return self._skipped_until_s.get(topic, now_s) > now_s

    def sending(self, topic: str, num_bytes: int) -> None:
        """From now on it is in flight."""
        self._in_flight = (topic, num_bytes)

    def sent(self) -> None:
        """It broke nothing."""
        if self._in_flight is not None:
            self._breaks.pop(self._in_flight[0], None)
            self._in_flight = None

    def connection_ended(self) -> None:
        """By our own wish."""
        self._in_flight = None

    def connection_broke(self, now_s: float, *, is_too_large: bool) -> None:
        """Blames what was in flight, at once if the broker said that it is too large."""
        if self._in_flight is None:
            return
        topic, num_bytes = self._in_flight
        self._in_flight = None
        self._breaks[topic] = self._breaks.get(topic, 0) + (_MAX_BREAKS if is_too_large else 1)
        if self._breaks[topic] < _MAX_BREAKS:
            return
        self._breaks.pop(topic)
        self._skipped_until_s[topic] = now_s + _SKIPPED_S
        detail = (
            detail_of(TOO_LARGE)
            if is_too_large
            else f"the connection breaks whenever it is sent ({num_bytes} bytes)"
        )
        self._refusals.note_in_words("publish", topic, detail, hint_of(TOO_LARGE, "publish", topic))
