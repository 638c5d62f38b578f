"""Hop 6 of 6: the retained topics, of which only the latest value matters. Pure.

In: values as they change. Out: what the broker does not know yet. Bounded by the number of topics:
a value replaces the one before it, sent or not.
"""

from __future__ import annotations


class RetainedTopics:
    """Topic to payload; an empty payload removes the topic from the broker, then from here."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._unsent: dict[str, None] = {}

    def set(self, topic: str, payload: str) -> None:
        """Gives a topic its value, to be sent if that is news."""
        if self._values.get(topic) != payload:
            self._values[topic] = payload
            self._unsent[topic] = None

    def set_again(self, topic: str, payload: str) -> None:
        """As ``set``, but sent even if it is the same: somebody's timer starts again."""
        self._values[topic] = payload
        self._unsent.pop(topic, None)  # and last
        self._unsent[topic] = None

    def send_all_again(self) -> None:
        """For a new connection, or somebody who was not there."""
        self._unsent = dict.fromkeys(self._values)

    def next(self) -> tuple[str, str] | None:
        """The longest unsent topic and its payload; None if the broker knows everything."""
        for topic in self._unsent:
            return topic, self._values[topic]
        return None

    def sent(self, topic: str, payload: str) -> None:
        """The broker has it; if the value changed meanwhile, the topic stays unsent."""
        if self._values.get(topic) == payload:
            self._unsent.pop(topic, None)
            if payload == "":
                del self._values[topic]

    def skip(self, topic: str) -> None:
        """The broker does not take it: it is sent again when it changes, or all are."""
        self._unsent.pop(topic, None)

    def value(self, topic: str) -> str | None:
        """What a topic says; None if there is none."""
        return self._values.get(topic)

    def __len__(self) -> int:
        return len(self._values)
