"""Hop 6 of 6: what the retained topics say about the daemon and about who is present.

Pure: time comes in as an argument. In: status, availability, speakers, decisions. Out: payloads in
RetainedTopics. Whoever is not heard is not present: only while available and ``listening`` can
anybody be.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from voiceguard.decisions.wire import SCHEMA, to_json
from voiceguard.mqtt.presence import Presence
from voiceguard.mqtt.retained import RetainedTopics
from voiceguard.mqtt.topics import EMPTY, OCCUPIED, OFFLINE, ONLINE
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from voiceguard.decisions.result import Decision
    from voiceguard.mqtt.topics import Topics


class States:
    """Everything that is published retained. Call ``refresh`` after any change, and with time."""

    def __init__(self, topics: Topics, occupancy_hold_s: float) -> None:
        self._topics = topics
        self._presence = Presence(timedelta(seconds=occupancy_hold_s))
        self._status: dict[str, Any] = {"state": "starting", "reason": ""}
        self._is_available = False
        self._unavailable_reason = ""
        self.speakers: dict[str, str] = {}
        """Name to display name."""
        self.retained = RetainedTopics()

    def set_status(self, status: Mapping[str, Any]) -> None:
        self._status = dict(status)

    def set_available(self, *, is_available: bool, reason: str) -> None:
        self._is_available = is_available
        self._unavailable_reason = reason

    def set_speakers(self, speakers: dict[str, str]) -> None:
        """Takes the enrolled speakers; who is gone leaves no topic behind."""
        for name in self.speakers.keys() - speakers.keys():
            self.forget(name)
        self.speakers = speakers

    def forget(self, speaker: str) -> None:
        """Removes a speaker's topic from the broker, and the speaker from the others."""
        self._presence.forget(speaker)
        self.retained.set(self._topics.occupancy(speaker), "")

    def apply(self, decision: Decision, now: datetime) -> None:
        """Takes in a decision, if anything can be heard and its speaker is still enrolled."""
        is_accept = decision.outcome is Outcome.ACCEPTED
        if not self._is_hearing or (is_accept and decision.speaker not in self.speakers):
            return
        self._presence.apply(decision, now)
        if is_accept and decision.speaker in self._presence.present:
            # ON although it was on: Home Assistant's off_delay starts again.
            self.retained.set_again(self._topics.occupancy(decision.speaker), OCCUPIED)

    def refresh(self, now: datetime) -> None:
        """Brings every topic up to this moment; offline is said first, online last."""
        if not self._is_hearing:
            self._presence.clear()
        self._presence.expire(now)
        if not self._is_available:
            self.retained.set(self._topics.availability, OFFLINE)
        self.retained.set(self._topics.status, to_json(self._status_payload()))
        present = self._presence.present
        for name in self.speakers:
            payload = OCCUPIED if name in present else EMPTY
            self.retained.set(self._topics.occupancy(name), payload)
        self.retained.set(self._topics.speaker, to_json(self._presence.payload()))
        if self._is_available:
            self.retained.set(self._topics.availability, ONLINE)

    def send_all_again(self) -> None:
        """For a broker or a home that may know nothing; online comes after what it vouches for."""
        self.retained.send_all_again()
        if self._is_available:
            self.retained.set_again(self._topics.availability, ONLINE)

    def next_expiry(self) -> datetime | None:
        """When ``refresh`` will next find that time alone has changed something."""
        return self._presence.next_expiry()

    @property
    def _is_hearing(self) -> bool:
        return self._is_available and self._status.get("state") == "listening"

    def _status_payload(self) -> dict[str, Any]:
        payload = {"schema": SCHEMA, **self._status}
        if not self._is_available and payload.get("state") != "starting":
            payload["state"] = "unavailable"
            payload["reason"] = self._unavailable_reason or payload.get("reason", "")
        return payload
