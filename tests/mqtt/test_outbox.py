"""The queue of decisions."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.mqtt.decisions import NOON, make_decision
from voiceguard.mqtt.outbox import Outbox


def test_a_full_outbox_loses_its_oldest() -> None:
    """What is newest matters most, and the loss is counted."""
    outbox = Outbox(2)
    for name in ("a", "b", "c"):
        outbox.put(make_decision(name))
    taken = outbox.take(NOON)
    assert taken is not None
    assert taken.decision_id == "b"
    assert outbox.dropped == 1


def test_an_expired_decision_is_never_taken() -> None:
    """Not even one that expires at this very moment, wherever it stands in the queue."""
    outbox = Outbox(8)
    for name, expires_in_s in (("a", 9.0), ("b", 1.0), ("c", 5.0)):
        outbox.put(make_decision(name, expires_in_s=expires_in_s))
    assert outbox.next_expiry() == NOON + timedelta(seconds=1)
    taken = outbox.take(NOON + timedelta(seconds=5))
    assert taken is not None
    assert taken.decision_id == "a"
    assert outbox.expired == 2
    assert outbox.pending == 1


def test_a_decision_given_back_is_the_next_one_again() -> None:
    """A broken connection changes neither order nor counters; expiry still applies."""
    outbox = Outbox(8)
    outbox.put(make_decision("a"))
    outbox.put(make_decision("b", expires_in_s=9.0))
    outbox.take(NOON)
    outbox.give_back()
    outbox.give_back()  # nothing in flight: nothing happens
    taken = outbox.take(NOON)
    assert taken is not None
    assert taken.decision_id == "a"
    outbox.give_back()
    taken = outbox.take(NOON + timedelta(seconds=6))
    assert taken is not None
    assert taken.decision_id == "b"


@given(st.lists(st.sampled_from(["put", "take", "settle", "give_back", "wait"]), max_size=60))
def test_every_decision_is_accounted_for(actions: list[str]) -> None:
    """Queued = delivered + dropped + expired + pending, never more than size + 1 are kept."""
    outbox, now, is_in_flight = Outbox(3), NOON, False
    for action in actions:
        if action == "put":
            outbox.put(make_decision(at=now, expires_in_s=2.0))
        elif action == "take" and not is_in_flight:
            taken = outbox.take(now)
            is_in_flight = taken is not None
            assert taken is None or taken.expires_at > now
        elif action == "settle" and is_in_flight:
            outbox.settle()
            is_in_flight = False
        elif action == "give_back":
            outbox.give_back()
            is_in_flight = False
        elif action == "wait":
            now += timedelta(seconds=1)
        assert outbox.pending <= 4
        assert outbox.queued == outbox.delivered + outbox.dropped + outbox.expired + outbox.pending
