"""What keeps one fault from costing more than itself."""

from __future__ import annotations

from structlog.testing import capture_logs

from voiceguard.mqtt.guards.backoff import Backoff
from voiceguard.mqtt.guards.flood import BURST, FloodGuard
from voiceguard.mqtt.guards.refusals import Refusals
from voiceguard.mqtt.guards.suspects import Suspects


def test_a_message_that_breaks_two_connections_is_left_away_for_a_while() -> None:
    """And named; one break is an accident."""
    suspects = Suspects(refusals := Refusals())
    suspects.sending("discovery", 3000)
    suspects.connection_broke(0.0, is_too_large=False)
    assert not suspects.skips("discovery", 0.0)
    suspects.sending("discovery", 3000)
    suspects.connection_broke(1.0, is_too_large=False)
    assert suspects.skips("discovery", 2.0)
    assert not suspects.skips("status", 2.0)
    assert "3000 bytes" in refusals.standing["publish discovery"]
    assert not suspects.skips("discovery", 602.0)


def test_what_arrived_between_two_breaks_is_innocent() -> None:
    suspects = Suspects(Refusals())
    for _ in range(3):
        suspects.sending("discovery", 3000)
        suspects.connection_broke(0.0, is_too_large=False)
        suspects.sending("discovery", 3000)
        suspects.sent()
    assert not suspects.skips("discovery", 0.0)


def test_too_large_is_believed_at_once() -> None:
    """The broker has said so."""
    suspects = Suspects(Refusals())
    suspects.sending("discovery", 3000)
    suspects.connection_broke(0.0, is_too_large=True)
    assert suspects.skips("discovery", 0.0)


def test_a_cause_is_told_once() -> None:
    """However often it comes back; another cause is news."""
    refusals = Refusals()
    with capture_logs() as logs:
        for code in (0x87, 0x87, 0x97, 0x87):
            refusals.note("publish", "a", code)
            refusals.clear("publish", "a")
    assert [entry["detail"] for entry in logs] == [
        "not authorised (0x87)",
        "a quota of the broker is exceeded (0x97)",
    ]
    assert refusals.standing == {}


def test_nobody_switches_so_often() -> None:
    """A burst is heard; a flood is left sooner and for longer each time, but never for long."""
    guard = FloodGuard()
    pauses, heard = [], []
    now_s = 0.0
    for _ in range(5):
        heard.append(sum(guard.allows(now_s) for _ in range(1000)))
        assert guard.resumes_at_s is not None
        pauses.append(guard.resumes_at_s - now_s)
        now_s = guard.resumes_at_s
        guard.resume(now_s)
    assert heard == [BURST, 10, 10, 10, 10]
    assert pauses == [2.0, 5.0, 10.0, 10.0, 10.0]
    assert all(guard.allows(now_s + each) for each in range(500))


def test_while_something_waits_nobody_waits_long() -> None:
    """However often the broker has failed, and however short its connections were."""
    backoff = Backoff()
    for _ in range(20):
        backoff.ended(3.0)
    assert 0.5 <= backoff.wait_s(is_urgent=True) <= 1.0
    assert 5.0 <= backoff.wait_s(is_urgent=False) <= 10.0
    backoff.ended(11.0)
    assert 0.25 <= backoff.wait_s(is_urgent=False) <= 0.5
