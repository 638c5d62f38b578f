"""Hop 6 of 6: what a broker refuses within a connection, in words, each cause told once.

Event loop only. In: the reason codes of acknowledgements. Out: a log line per cause, with what to
do about it, and for the status topic what is refused at this moment.
"""

from __future__ import annotations

import structlog

log = structlog.get_logger()

NO_SUBSCRIBER = 0x10
REFUSED = 0x80
"""This and every higher reason code is a refusal."""
TOO_LARGE = 0x95
RETAIN_UNAVAILABLE = 0x9A

NO_EXPIRY = "it speaks MQTT 3.1.1, in which decisions do not expire (mqtt.decisions_without_expiry)"
NO_EXPIRY_HINT = (
    "use a broker of MQTT 5, or vouch for this one with mqtt.decisions_without_expiry = true: it "
    "must not keep QoS 0 messages for clients that are away (mosquitto: queue_qos0_messages false)"
)

_DETAILS = {
    NO_SUBSCRIBER: "nobody subscribes to it",
    0x80: "the broker gives no reason",
    0x83: "the broker does not do this",
    0x87: "not authorised",
    0x8F: "the broker does not like the topic",
    0x90: "the broker does not like the topic",
    TOO_LARGE: "it is larger than the broker takes",
    0x97: "a quota of the broker is exceeded",
    0x99: "the broker does not like the payload",
    RETAIN_UNAVAILABLE: "the broker keeps no retained messages",
}
_PASSING = frozenset({NO_SUBSCRIBER, 0x80, 0x83, 0x97})
"""Codes that may be gone a moment later."""
_HINTS = {
    NO_SUBSCRIBER: "is the consumer running, and does it subscribe to this topic?",
    0x87: "allow our user to {verb} it in the broker's access list (mosquitto: `topic {access} "
    "{topic}` in its acl_file); `voiceguard doctor` tries it out",
    TOO_LARGE: "raise the broker's limit (mosquitto: max_packet_size, message_size_limit)",
    0x97: "raise the broker's quota",
    RETAIN_UNAVAILABLE: "let the broker retain messages (mosquitto: retain_available true)",
}


def is_passing(code: int) -> bool:
    """Whether the same may be taken when it is tried again."""
    return code in _PASSING


def detail_of(code: int) -> str:
    """A reason code in words."""
    return f"{_DETAILS.get(code, 'refused')} (0x{code:02X})"


def hint_of(code: int, verb: str, topic: str) -> str:
    """What to do about it.

    Args:
        code: The reason code.
        verb: ``publish`` or ``subscribe``.
        topic: What it was about.
    """
    does, access = ("write to", "write") if verb == "publish" else ("read", "read")
    hint = _HINTS.get(code, "the broker's own log may say more; `voiceguard doctor` tries it out")
    return hint.format(verb=does, access=access, topic=topic)


class Refusals:
    """What is refused at this moment, by ``publish TOPIC`` or ``subscribe TOPIC``."""

    def __init__(self) -> None:
        self.standing: dict[str, str] = {}
        self._told: set[tuple[str, str]] = set()

    def note(self, verb: str, topic: str, code: int) -> None:
        """A reason code that is a refusal; ``note_in_words`` for what has none."""
        self.note_in_words(verb, topic, detail_of(code), hint_of(code, verb, topic))

    def note_in_words(self, verb: str, topic: str, detail: str, hint: str) -> None:
        """The same cause is logged once, however often it comes back."""
        what = f"{verb} {topic}"
        self.standing[what] = detail
        if (what, detail) not in self._told:
            self._told.add((what, detail))
            log.warning("broker_refused", action=verb, topic=topic, detail=detail, hint=hint)

    def clear(self, verb: str, topic: str) -> None:
        """It was taken after all."""
        self.standing.pop(f"{verb} {topic}", None)
