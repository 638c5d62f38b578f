"""Hop 6 of 6: what the retained topics say about the daemon and about who is present.

Pure: time comes in as an argument, in seconds that nobody sets (``clock.elapsed_s``). In: status,
availability, speakers, streams, decisions, what became of those before. Out: payloads in
RetainedTopics, and how long each may outlive us. Whoever is not heard is not present: only while
available and ``listening`` can anybody be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voiceguard.decisions.wire import SCHEMA, iso_utc, to_json
from voiceguard.mqtt.home.household import shown_names
from voiceguard.mqtt.presence import Presence, verdict
from voiceguard.mqtt.retained import RetainedTopics
from voiceguard.mqtt.topics import EMPTY, OCCUPIED, OFFLINE, ONLINE, UNAVAILABLE
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
        self._has_ended = False
        self._unavailable_reason = ""
        self.speakers: dict[str, str] = {}
        """Id to the name that people read."""
        self.streams: tuple[str, ...] = ()
        self.retained = RetainedTopics()

    def set_status(self, status: Mapping[str, Any]) -> None:
        self._status = dict(status)

    def set_publishing(self, publishing: Mapping[str, Any]) -> None:
        """What became of decisions, and what the broker refuses; the status topic tells."""
        self._publishing = dict(publishing)

    def set_available(self, *, is_available: bool, reason: str) -> None:
        is_lost = self._is_available and not is_available
        self._is_available = is_available
        self._unavailable_reason = reason
        if is_lost:
            self._withdraw()

    def end(self) -> None:
        """The connection ends by our own will, which no last will follows."""
        self._has_ended = True
        self._is_available = False
        self._unavailable_reason = "stopped"
        self._withdraw()

    def _withdraw(self) -> None:
        """Said first; and who spoke last stays readable, from now on without expiry."""
        self.retained.set(self._topics.availability, self._availability)
        for topic in (self._topics.speaker, *map(self._topics.stream, self.streams)):
            if (last := self.retained.value(topic)) is not None:
                self.retained.set_again(topic, last)

    def set_speakers(self, speakers: Mapping[str, str]) -> None:
        """Takes the enrolled speakers, id to display name; who is gone leaves no topic behind."""
        for name in self.speakers.keys() - speakers.keys():
            self.forget(name)
        self.speakers = shown_names(speakers)

    def set_streams(self, streams: Iterable[str]) -> None:
        """Takes the streams that there are; one that is gone leaves no topic behind."""
        names = tuple(streams)
        for name in set(self.streams) - set(names):
            self.forget_stream(name)
        self.streams = names

    def forget(self, speaker: str) -> None:
        """Removes a speaker's topics from the broker, and the speaker from the others."""
        self._presence.forget(speaker)
        self.retained.set(self._topics.occupancy(speaker), "")
        self.retained.set(self._topics.heard(speaker), "")

    def forget_stream(self, stream: str) -> None:
        """Removes a stream's topics from the broker, its device in Home Assistant included."""
        self.retained.set(self._topics.stream_discovery(stream), "")
        self.retained.set(self._topics.stream(stream), "")

    def apply(self, decision: Decision, now_s: float) -> None:
        """Takes in a decision, if anything can be heard and its speaker is still enrolled."""
        is_accept = decision.outcome is Outcome.ACCEPTED
        if not self._is_hearing or (is_accept and decision.speaker not in self.speakers):
            return
        self._presence.apply(decision, now_s)
        if not is_accept or decision.speaker is None:
            return
        if decision.is_final:
            heard = to_json(self._heard_payload(decision, decision.speaker))
            self.retained.set(self._topics.heard(decision.speaker), heard)
        if decision.speaker in self._presence.present:
            # ON although it was on: Home Assistant's off_delay starts again.
            self.retained.set_again(self._topics.occupancy(decision.speaker), OCCUPIED)

    def refresh(self, now_s: float) -> None:
        """Brings every topic up to this moment; offline is said first, online last."""
        self._presence.expire(now_s)
        if not self._is_hearing:
            self._presence.clear()
        if not self._is_available:
            self.retained.set(self._topics.availability, self._availability)
        self.retained.set(self._topics.status, to_json(self._status_payload()))
        present = self._presence.present
        for name in self.speakers:
            payload = OCCUPIED if name in present else EMPTY
            self.retained.set(self._topics.occupancy(name), payload)
        spoken = self._named(self._presence.payload())
        self.retained.set(self._topics.speaker, to_json(spoken))
        for name in self.streams:
            self.retained.set(self._topics.stream(name), to_json(self._stream_payload(name)))
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
        expiring = (topics.status, topics.speaker, *map(topics.stream, self.streams))
        for topic in (*expiring, topics.availability):
            payload = self.retained.value(topic)
            if payload is not None and self._is_available:
                self.retained.set_again(topic, payload)

    def lifetime_s(self, topic: str, now_s: float) -> float | None:
        """How long a broker may believe a topic's value if we are never heard again.

        None is for ever: what says that nobody is there, when somebody was last heard, and all that
        is left by a clean stop.
        """
        topics = self._topics
        if not self._is_available or self.retained.value(topic) in {OFFLINE, ""}:
            return None
        if topic in {topics.availability, topics.status}:
            return LIFETIME_S
        if topic == topics.speaker or topics.last_part(topic, "stream") is not None:
            until_s = self._presence.next_expiry_s()
            return LIFETIME_S if until_s is None else min(LIFETIME_S, until_s - now_s)
        speaker = topics.last_part(topic, "occupancy")
        held_until_s = None if speaker is None else self._presence.until_s(speaker)
        return None if held_until_s is None else held_until_s - now_s

    @property
    def _is_hearing(self) -> bool:
        return self._is_available and self._status.get("state") == "listening"

    @property
    def _availability(self) -> str:
        if self._is_available:
            return ONLINE
        return OFFLINE if self._has_ended else UNAVAILABLE

    def _status_payload(self) -> dict[str, Any]:
        payload = {"schema": SCHEMA, **self._status}
        if self._publishing:
            payload["mqtt"] = self._publishing
            payload["has_problem"] = bool(
                payload.get("has_problem") or self._publishing.get("refused")
            )
            if not payload.get("reason"):
                payload["reason"] = "; ".join(
                    f"{what}: {why}"
                    for what, why in (self._publishing.get("refused") or {}).items()
                )
        if not self._is_available and payload.get("state") != "starting":
            payload["state"] = "unavailable"
            payload["reason"] = self._unavailable_reason or payload.get("reason", "")
        if self._has_ended:
            payload |= {"condition": "stopped", "has_problem": False}
        return payload

    def _stream_payload(self, stream: str) -> dict[str, Any]:
        """A stream that is not open has no state of its own."""
        known = (self._status.get("streams") or {}).get(stream, {})
        otherwise = "starting" if self._status.get("armed", True) else "disarmed"
        condition = "stopped" if self._has_ended else known.get("condition", otherwise)
        latest = self._presence.latest(stream)
        return {
            "schema": SCHEMA,
            "stream": stream,
            "condition": condition,
            "has_problem": bool(known.get("has_problem")) and not self._has_ended,
            "detail": known.get("detail", ""),
            **self._named(verdict(latest)),
        }

    def _heard_payload(self, decision: Decision, speaker: str) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            **self._named({"speaker": speaker}),
            "heard_at": iso_utc(decision.ended_at),
            "stream": decision.stream,
            "decision_id": decision.decision_id,
        }

    def _named(self, payload: dict[str, Any]) -> dict[str, Any]:
        """With the name that people read behind the speaker."""
        speaker = payload["speaker"]
        named = {"speaker_name": None if speaker is None else self.speakers.get(speaker, speaker)}
        position = [*payload].index("speaker") + 1
        items = list(payload.items())
        return dict([*items[:position], *named.items(), *items[position:]])
