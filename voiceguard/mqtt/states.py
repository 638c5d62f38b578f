"""Hop 6 of 6: what the retained topics say about the daemon and about who is present.

Pure: time comes in as an argument, in seconds that nobody sets (``clock.elapsed_s``). In: status,
availability, speakers, decisions, what became of those before. Out: payloads in RetainedTopics, and
how long each may outlive us. Whoever is not heard is not present: only while available and
``listening`` can anybody be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voiceguard.decisions.wire import SCHEMA, to_json
from voiceguard.mqtt.presence import Presence
from voiceguard.mqtt.retained import RetainedTopics
from voiceguard.mqtt.topics import EMPTY, OCCUPIED, OFFLINE, ONLINE
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voiceguard.decisions.result import Decision
    from voiceguard.mqtt.topics import Topics


BEAT_S = 20.0
"""How often what expires is said again."""
LIFETIME_S = 60.0
"""How long a broker that knows MQTT 5 believes what is not said again."""


class States:
    """Everything that is published retained. Call ``refresh`` after any change, and with time."""

    def __init__(self, topics: Topics, occupancy_hold_s: float) -> None:
        self._topics = topics
        self._presence = Presence(occupancy_hold_s)
        self._status: dict[str, Any] = {"state": "starting", "reason": ""}
        self._publishing: dict[str, Any] = {}
        self._is_available = False
        self._unavailable_reason = ""
        self.speakers: dict[str, str] = {}
        """Name to display name."""
        self.retained = RetainedTopics()

    def set_status(self, status: Mapping[str, Any]) -> None:
        self._status = dict(status)

    def set_publishing(self, publishing: Mapping[str, Any]) -> None:
        """What became of decisions, and what the broker refuses; the status topic tells."""
        self._publishing = dict(publishing)

    def set_available(self, *, is_available: bool, reason: str) -> None:
        last = self.retained.value(self._topics.speaker)
        if self._is_available and not is_available and last is not None:
            self.retained.set(self._topics.availability, OFFLINE)
            self.retained.set_again(self._topics.speaker, last)  # from now on without expiry
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

    def apply(self, decision: Decision, now_s: float) -> None:
        """Takes in a decision, if anything can be heard and its speaker is still enrolled."""
        is_accept = decision.outcome is Outcome.ACCEPTED
        if not self._is_hearing or (is_accept and decision.speaker not in self.speakers):
            return
        self._presence.apply(decision, now_s)
        if is_accept and decision.speaker in self._presence.present:
            # ON although it was on: Home Assistant's off_delay starts again.
            self.retained.set_again(self._topics.occupancy(decision.speaker), OCCUPIED)

    def refresh(self, now_s: float) -> None:
        """Brings every topic up to this moment; offline is said first, online last."""
        if not self._is_hearing:
            self._presence.clear()
        self._presence.expire(now_s)
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

    def next_expiry_s(self) -> float | None:
        """When ``refresh`` will next find that time alone has changed something."""
        return self._presence.next_expiry_s()

    def beat(self) -> None:
        """Says again whatever would expire; whoever is present expires with the hold."""
        topics = self._topics
        for topic in (topics.status, topics.speaker, topics.availability):
            payload = self.retained.value(topic)
            if payload is not None and self._is_available:
                self.retained.set_again(topic, payload)

    def lifetime_s(self, topic: str, now_s: float) -> float | None:
        """How long a broker may believe a topic's value if we are never heard again.

        None is for ever: what says that nobody is there, and all that is left by a clean stop.
        """
        if not self._is_available or self.retained.value(topic) == OFFLINE:
            return None
        if topic in {self._topics.availability, self._topics.status}:
            return LIFETIME_S
        if topic == self._topics.speaker:
            until_s = self._presence.next_expiry_s()
            return LIFETIME_S if until_s is None else min(LIFETIME_S, until_s - now_s)
        speaker = self._topics.occupied_by(topic)
        held_until_s = None if speaker is None else self._presence.until_s(speaker)
        return None if held_until_s is None else held_until_s - now_s

    @property
    def _is_hearing(self) -> bool:
        return self._is_available and self._status.get("state") == "listening"

    def _status_payload(self) -> dict[str, Any]:
        payload = {"schema": SCHEMA, **self._status}
        if self._publishing:
            payload["mqtt"] = self._publishing
        if not self._is_available and payload.get("state") != "starting":
            payload["state"] = "unavailable"
            payload["reason"] = self._unavailable_reason or payload.get("reason", "")
        return payload
