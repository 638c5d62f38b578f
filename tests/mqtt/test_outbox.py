"""The queue of decisions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.mqtt.decisions import make_decision
from voiceguard.mqtt.outbox import Outbox

NOW_S = 1000.0


def test_a_full_outbox_loses_its_oldest() -> None:
    """What is newest matters most, and the loss is counted."""
    outbox = Outbox(2)
    for name in ("a", "b", "c"):
        outbox.put(make_decision(name), NOW_S + 5)
    taken = outbox.take(NOW_S)
    assert taken is not None
    assert taken.decision.decision_id == "b"
    assert outbox.dropped == 1


def test_an_expired_decision_is_never_taken() -> None:
    """Not even one that expires at this very moment, wherever it stands in the queue."""
    outbox = Outbox(8)
    for name, expires_in_s in (("a", 9.0), ("b", 1.0), ("c", 5.0)):
        outbox.put(make_decision(name), NOW_S + expires_in_s)
    assert outbox.next_expiry_s() == NOW_S + 1
    taken = outbox.take(NOW_S + 5)
    assert taken is not None
    assert taken.decision.decision_id == "a"
    assert outbox.expired == 2
    assert outbox.pending == 1


def test_a_decision_given_back_is_the_next_one_again() -> None:
    """A broken connection changes neither order nor counters; expiry still applies."""
    outbox = Outbox(8)
    outbox.put(make_decision("a"), NOW_S + 5)
    outbox.put(make_decision("b"), NOW_S + 9)
    outbox.take(NOW_S)
    outbox.give_back()
    outbox.give_back()  # nothing in flight: nothing happens
    taken = outbox.take(NOW_S)
    assert taken is not None
    assert taken.decision.decision_id == "a"
    outbox.give_back()
    taken = outbox.take(NOW_S + 6)
    assert taken is not None
    assert taken.decision.decision_id == "b"


@given(
    st.lists(
        st.sampled_from(["put", "take", "settle", "refuse", "hold", "give_back", "break", "wait"]),
        max_size=60,
    )
)
def test_every_decision_is_accounted_for(actions: list[str]) -> None:
    """Queued is the sum of its fates, and never more than size + 1 are kept."""
    outbox, now_s, is_in_flight = Outbox(3), NOW_S, False
    for action in actions:
        if action == "put":
            outbox.put(make_decision(), now_s + 2.0)
        elif action == "take" and not is_in_flight:
            taken = outbox.take(now_s)
            is_in_flight = taken is not None
            assert taken is None or taken.expires_at_s > now_s
        elif action in {"settle", "refuse", "hold"} and is_in_flight:
            if action == "settle":
                outbox.settle()
            elif action == "refuse":
                outbox.refuse()
            else:
                outbox.hold(now_s + 0.5, is_unheard=True)
            is_in_flight = False
        elif action in {"give_back", "break"}:
            outbox.give_back(is_suspect=action == "break")
            is_in_flight = False
        elif action == "wait":
            now_s += 0.7
        assert outbox.pending <= 4
        fates = outbox.delivered + outbox.dropped + outbox.expired + outbox.refused
        assert outbox.queued == fates + outbox.unheard + outbox.pending


def test_what_nobody_hears_waits_without_losing_its_place() -> None:
    """Those of one topic keep their order; the other topic goes on meanwhile."""
    outbox = Outbox(8)
    for name, is_final in (("a", True), ("b", True), ("p", False)):
        outbox.put(make_decision(name, is_final=is_final, segment=7), NOW_S + 5)
    outbox.take(NOW_S)
    outbox.hold(NOW_S + 0.25, is_unheard=True)
    assert outbox.next_attempt_s(NOW_S) == NOW_S + 0.25
    taken = outbox.take(NOW_S + 0.1)
    assert taken is not None
    assert taken.decision.decision_id == "p"
    outbox.settle()
    assert outbox.take(NOW_S + 0.1) is None
    taken = outbox.take(NOW_S + 0.25)
    assert taken is not None
    assert taken.decision.decision_id == "a"


def test_no_provisional_accept_follows_its_final_decision() -> None:
    """It may have been taken back: held up by a topic without subscribers, it is dropped."""
    outbox = Outbox(8)
    outbox.put(make_decision("early", is_final=False), NOW_S + 5)
    outbox.put(make_decision("other", is_final=False, segment=1), NOW_S + 5)
    outbox.take(NOW_S)
    outbox.hold(NOW_S + 0.25, is_unheard=True)
    outbox.put(make_decision("final"), NOW_S + 5)
    outbox.take(NOW_S)
    outbox.settle()
    taken = outbox.take(NOW_S + 1)
    assert taken is not None
    assert taken.decision.decision_id == "other"
    assert (outbox.delivered, outbox.unheard) == (1, 1)


def test_a_decision_that_breaks_every_connection_is_given_up() -> None:
    """A broker that hangs up on it must not keep those behind it waiting until they expire."""
    outbox = Outbox(8)
    outbox.put(make_decision("poison"), NOW_S + 5)
    outbox.put(make_decision("next"), NOW_S + 5)
    for _ in range(3):
        outbox.take(NOW_S)
        outbox.give_back(is_suspect=True)
    taken = outbox.take(NOW_S)
    assert taken is not None
    assert taken.decision.decision_id == "next"
    assert outbox.refused == 1


def test_every_fate_is_counted_each_time() -> None:
    """Twice each, in one outbox: delivered, refused, dropped, expired, unheard."""
    outbox = Outbox(2)

    def in_flight() -> None:
        outbox.put(make_decision(), NOW_S + 5)
        assert outbox.take(NOW_S) is not None

    for _ in range(2):
        in_flight()
        outbox.settle()
        in_flight()
        outbox.refuse()
    for _ in range(4):
        outbox.put(make_decision("dropped or expired"), NOW_S + 1)
    outbox.expire(NOW_S + 1)
    for _ in range(2):
        in_flight()
        outbox.hold(NOW_S, is_unheard=True)
        outbox.expire(NOW_S + 5)
    assert (outbox.delivered, outbox.refused, outbox.dropped) == (2, 2, 2)
    assert (outbox.expired, outbox.unheard, outbox.pending) == (2, 2, 0)


def test_two_decisions_that_broke_their_connections_are_both_counted() -> None:
    outbox = Outbox(8)
    for name in ("one", "two"):
        outbox.put(make_decision(name), NOW_S + 5)
    for _ in range(6):
        outbox.take(NOW_S)
        outbox.give_back(is_suspect=True)
    assert (outbox.refused, outbox.pending) == (2, 0)


def test_an_interruption_that_is_nobodys_fault_gives_up_no_decision() -> None:
    outbox = Outbox(8)
    outbox.put(make_decision("patient"), NOW_S + 5)
    for _ in range(9):
        outbox.take(NOW_S)
        outbox.give_back()
    assert (outbox.refused, outbox.pending) == (0, 1)


def test_where_nothing_waits_there_is_no_moment_to_wait_for() -> None:
    """And what may be tried at this moment is not held any more."""
    outbox = Outbox(8)
    assert outbox.next_expiry_s() is None
    assert outbox.next_attempt_s(NOW_S) is None
    outbox.put(make_decision("a"), NOW_S + 5)
    outbox.take(NOW_S)
    outbox.hold(NOW_S + 1, is_unheard=False)
    assert outbox.next_attempt_s(NOW_S + 1) is None
