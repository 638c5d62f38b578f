"""What is said and heard over one connection, and what a refusal or a stranger costs."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from tests.fakes import FakeClock
from tests.integration.mosquitto import until
from tests.mqtt.broker import FakeConnection, conversing, online, places
from tests.mqtt.decisions import make_decision
from voiceguard.mqtt.backlog import Backlog
from voiceguard.mqtt.config import MqttConfig
from voiceguard.mqtt.guards.flood import BURST
from voiceguard.mqtt.home.discovery import MAX_FOREIGN_SPEAKERS
from voiceguard.mqtt.topics import Command

CONFIG = MqttConfig(node_id="den")
TOPICS = CONFIG.topics


def make_backlog(clock: FakeClock, config: MqttConfig = CONFIG) -> Backlog:
    """Listening, Alice and Bob enrolled."""
    backlog = Backlog(config, clock)
    backlog.set_speakers([("alice", "Alice"), ("bob", "Bob")])
    backlog.states.set_available(is_available=True, reason="")
    backlog.set_status({"state": "listening"})
    return backlog


async def test_decisions_come_before_everything_else() -> None:
    """Neither subscriptions nor discovery nor states stand before what waits."""
    clock, connection = FakeClock(), FakeConnection()
    backlog = make_backlog(clock)
    backlog.put(make_decision("waited", at=clock.utc()))
    async with conversing(connection, CONFIG, backlog):
        await online(connection, TOPICS.availability)
        order = list(
            places(
                connection.done,
                TOPICS.decision,
                TOPICS.command,
                TOPICS.discovery,
                TOPICS.status,
                TOPICS.availability,
            )
        )
        assert order == sorted(order)
        assert order[0] == 0


@pytest.mark.parametrize("set_by_s", [-3600.0, 3600.0])
async def test_a_wall_clock_that_is_set_makes_no_decision_younger_or_older(set_by_s: float) -> None:
    """Its expiry is what is left of it, told in the time of the clock as it is now."""
    clock, connection = FakeClock(), FakeConnection()
    backlog = make_backlog(clock)
    for name, life_s in (("short", 5.0), ("long", 8.0)):
        backlog.put(make_decision(name, at=clock.utc(), expires_in_s=life_s))
    clock.set_by_s = set_by_s
    clock.now_s += 6.0
    async with conversing(connection, CONFIG, backlog):
        await online(connection, TOPICS.availability)
    [(decision, expires_in_s)] = connection.events
    assert decision["decision_id"] == "long"
    assert expires_in_s == pytest.approx(2.0)
    assert decision["expires_at"][11:19] == ("11:00:08" if set_by_s < 0 else "13:00:08")
    assert backlog.outbox.expired == 1


async def test_a_machine_that_slept_sends_nothing_old() -> None:
    """A suspend counts, though the monotonic clock stood still."""
    clock, connection = FakeClock(), FakeConnection()
    backlog = make_backlog(clock)
    backlog.put(make_decision(at=clock.utc()))
    clock.slept_s += 3600
    async with conversing(connection, CONFIG, backlog):
        await online(connection, TOPICS.availability)
    assert connection.events == []
    assert connection.sent_to(TOPICS.occupancy("alice")) == ["OFF"]


@pytest.mark.parametrize("set_by_s", [-3600.0, 3600.0])
async def test_the_hold_is_as_long_as_it_is(set_by_s: float) -> None:
    """Setting the wall clock neither ends nor prolongs somebody's presence."""
    clock = FakeClock()
    backlog = make_backlog(clock)
    backlog.put(make_decision(at=clock.utc()))
    clock.set_by_s = set_by_s
    clock.now_s += 29.9
    backlog.refresh()
    assert backlog.states.retained.value(TOPICS.occupancy("alice")) == "ON"
    clock.now_s += 0.2
    backlog.refresh()
    assert backlog.states.retained.value(TOPICS.occupancy("alice")) == "OFF"


async def test_an_accept_that_was_too_late_when_it_was_made_makes_nobody_present() -> None:
    """A decision that may not be acted on is not acted on by us either."""
    clock = FakeClock()
    backlog = make_backlog(clock)
    backlog.put(make_decision(at=clock.utc(), expires_in_s=-0.1))
    assert backlog.states.retained.value(TOPICS.occupancy("alice")) == "OFF"
    assert backlog.outbox.expired == 1


async def test_a_refused_decision_is_counted_and_named_once() -> None:
    """PUBACK 0x87: neither delivered nor tried for ever; the status topic tells."""
    clock, connection = FakeClock(), FakeConnection(codes={TOPICS.decision: 0x87})
    backlog = make_backlog(clock)
    with capture_logs() as logs:
        async with conversing(connection, CONFIG, backlog):
            for name in ("a", "b"):
                backlog.put(make_decision(name, at=clock.utc()))
            await until(lambda: backlog.outbox.refused == 2)
            await until(lambda: '"decisions_refused":2' in str(connection.sent_to(TOPICS.status)))
    assert backlog.outbox.delivered == 0
    status = json.loads(connection.sent_to(TOPICS.status)[-1])["mqtt"]
    assert status["refused"] == {f"publish {TOPICS.decision}": "not authorised (0x87)"}
    [refused] = [entry for entry in logs if entry["event"] == "broker_refused"]
    assert f"topic write {TOPICS.decision}" in refused["hint"]
    assert [entry["decisions_refused"] for entry in logs if entry["event"] == "decisions_lost"]


async def test_a_decision_that_nobody_hears_is_tried_again() -> None:
    """A consumer that comes back after a broker's restart gets what still holds."""
    clock, connection = FakeClock(), FakeConnection(codes={TOPICS.decision: 0x10})
    backlog = make_backlog(clock)
    async with conversing(connection, CONFIG, backlog):
        backlog.put(make_decision(at=clock.utc()))
        await until(lambda: bool(connection.events))
        assert f"publish {TOPICS.decision}" in backlog.refusals.standing
        connection.codes = {}
        clock.now_s += 1.0
        backlog.wake.set()
        await until(lambda: backlog.outbox.delivered == 1)
        assert backlog.refusals.standing == {}
        connection.codes = {TOPICS.decision: 0x10}
        backlog.put(make_decision("b", at=clock.utc()))
        await until(lambda: len(connection.events) == 3)
        clock.now_s += 5.0
        backlog.refresh()
        assert (backlog.outbox.unheard, backlog.outbox.pending) == (1, 0)


async def test_a_refused_subscription_is_named_and_asked_again() -> None:
    """A `disarm` that never arrives is a privacy fault: told at once, and until it is mended."""
    clock, connection = FakeClock(), FakeConnection(codes={TOPICS.command: 0x87})
    backlog = make_backlog(clock)
    with capture_logs() as logs:
        async with conversing(connection, CONFIG, backlog):
            await online(connection, TOPICS.availability)
            status = json.loads(connection.sent_to(TOPICS.status)[-1])["mqtt"]
            assert f"subscribe {TOPICS.command}" in status["refused"]
            connection.codes = {}
            clock.now_s += 21.0
            backlog.wake.set()
            await until(lambda: backlog.refusals.standing == {})
    [refused] = [entry for entry in logs if entry["event"] == "broker_refused"]
    assert f"topic read {TOPICS.command}" in refused["hint"]


@pytest.mark.parametrize("topic", [TOPICS.discovery, TOPICS.status, TOPICS.occupancy("alice")])
async def test_a_refused_state_costs_no_other(topic: str) -> None:
    """What is optional is skipped."""
    clock, connection = FakeClock(), FakeConnection(codes={topic: 0x95})
    backlog = make_backlog(clock)
    async with conversing(connection, CONFIG, backlog):
        await online(connection, TOPICS.availability)
        backlog.put(make_decision(at=clock.utc()))
        await until(lambda: backlog.outbox.delivered == 1)
        assert f"publish {topic}" in backlog.refusals.standing
        assert len(connection.sent_to(topic)) <= 3


async def test_a_hostile_discovery_message_is_bounded() -> None:
    """Thousands of names cost no more than a house full of people."""
    clock, connection = FakeClock(), FakeConnection()
    backlog = make_backlog(clock)
    names: dict[str, object] = {f"occupancy_x{index}": {} for index in range(7000)}
    connection.says(TOPICS.discovery, json.dumps({"cmps": names}).encode(), retain=True)
    connection.says(TOPICS.discovery, json.dumps({"cmps": names}).encode(), retain=True)
    async with conversing(connection, CONFIG, backlog):
        await until(lambda: bool(connection.sent_to(TOPICS.occupancy("x0"))))
        await online(connection, TOPICS.availability)
        await until(lambda: backlog.states.retained.next() is None)
    removed = {topic for topic, payload, _ in connection.states if payload == ""}
    assert len(removed) == 2 * MAX_FOREIGN_SPEAKERS  # occupancy, and when they were heard


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 2000,
        b'{"cmps":' * 500,
        b'{"cmps": {"occupancy_a": 1e400}}',
        b'{"cmps": {"occupancy_a": %s}}' % (b"9" * 5000),
        b'{"cmps": ["occupancy_a"]}',
        b'{"cmps": "occupancy_a"}',
        b'"\\ud800"',
        b'{"cmps": {"\\ud800": 1}}',
        b"\xff\xfe\x00",
        b"",
        b"null",
    ],
)
async def test_whatever_stands_on_our_topics_ends_nothing(payload: bytes) -> None:
    """On every topic that we hear, retained or not."""
    clock, connection = FakeClock(), FakeConnection()
    backlog = make_backlog(clock)
    commands: list[Command] = []
    async with conversing(connection, CONFIG, backlog, commands.append):
        for topic in (*places_heard(), TOPICS.occupancy("alice"), TOPICS.occupancy("x/y")):
            for retain in (True, False):
                connection.says(topic, payload, retain=retain)
        connection.says(TOPICS.command, b"disarm")
        await until(lambda: commands == [Command.DISARM])


def places_heard() -> tuple[str, ...]:
    """Where others may write to us."""
    return TOPICS.command, TOPICS.birth, TOPICS.discovery


async def test_a_message_that_nobody_expected_is_refused_by_name() -> None:
    """Whatever a handler raises; the messages after it are heard."""
    clock, connection = FakeClock(), FakeConnection()
    commands: list[Command] = []

    def obey(command: Command) -> None:
        if command is Command.ARM:
            raise RecursionError
        commands.append(command)

    with capture_logs() as logs:
        async with conversing(connection, CONFIG, make_backlog(clock), obey):
            connection.says(TOPICS.command, b"arm")
            connection.says(TOPICS.command, b"disarm")
            await until(lambda: commands == [Command.DISARM])
    [refused] = [entry for entry in logs if entry["event"] == "message_refused"]
    assert (refused["topic"], refused["cause"]) == (TOPICS.command, "RecursionError")


async def test_a_flood_of_commands_is_left_for_a_while() -> None:
    """No acknowledgement waits behind thousands of messages; afterwards commands are heard."""
    clock, connection = FakeClock(), FakeConnection()
    backlog = make_backlog(clock)
    commands: list[Command] = []
    with capture_logs() as logs:
        async with conversing(connection, CONFIG, backlog, commands.append):
            await online(connection, TOPICS.availability)
            for _ in range(5000):
                connection.says(TOPICS.command, b"arm")
            await until(lambda: connection.done.count(("leave", TOPICS.command)) == 1)
            await until(connection.incoming.empty)
            assert len(commands) == BURST
            assert f"hear {TOPICS.command}" in backlog.refusals.standing
            connection.done.clear()
            clock.now_s += 2.1
            backlog.wake.set()
            await until(lambda: ("subscribe", TOPICS.command) in connection.done)
            connection.says(TOPICS.command, b"disarm")
            await until(lambda: commands[-1] is Command.DISARM)
            assert backlog.refusals.standing == {}
    assert [entry["event"] for entry in logs].count("topic_flooded") == 1


async def test_a_flood_of_births_is_answered_now_and_then() -> None:
    """Everything is said again at most every few seconds."""
    clock, connection = FakeClock(), FakeConnection()
    async with conversing(connection, CONFIG, make_backlog(clock)):
        await online(connection, TOPICS.availability)
        for _ in range(30):
            connection.says(TOPICS.birth, b"online")
        await until(lambda: len(connection.sent_to(TOPICS.availability)) == 2)
        connection.says(TOPICS.birth, b"online")
        await asyncio.sleep(0.05)
        assert len(connection.sent_to(TOPICS.availability)) == 2
        clock.now_s += 5.1
        await until(lambda: len(connection.sent_to(TOPICS.availability)) == 3)


async def test_what_says_that_somebody_is_there_expires_at_the_broker() -> None:
    """After a power cut nothing goes on saying `online` or `ON`; what says nobody may stay."""
    clock, connection = FakeClock(), FakeConnection()
    backlog = make_backlog(clock)
    backlog.put(make_decision(at=clock.utc()))
    async with conversing(connection, CONFIG, backlog) as conversation:
        await online(connection, TOPICS.availability)
        lifetimes = {topic: lifetime_s for topic, _, lifetime_s in connection.states}
        assert lifetimes == {
            TOPICS.discovery: None,
            TOPICS.status: 60.0,
            TOPICS.speaker: pytest.approx(30.0),
            TOPICS.occupancy("alice"): pytest.approx(30.0),
            TOPICS.heard("alice"): None,
            TOPICS.occupancy("bob"): None,
            TOPICS.availability: 60.0,
        }
        connection.states.clear()
        clock.now_s += 20.5
        backlog.wake.set()
        await online(connection, TOPICS.availability)
        assert {topic for topic, _, _ in connection.states} == {
            TOPICS.status,
            TOPICS.speaker,
            TOPICS.availability,
        }
        connection.states.clear()
        await conversation.say_offline()
        assert {lifetime_s for _, _, lifetime_s in connection.states} == {None}
        assert TOPICS.speaker in {topic for topic, _, _ in connection.states}


async def test_a_foreign_occupancy_is_taken_away() -> None:
    """Whoever was forgotten while we were away is not present for ever."""
    clock, connection = FakeClock(), FakeConnection()
    async with conversing(connection, CONFIG, make_backlog(clock)):
        await until(lambda: ("unsubscribe", TOPICS.occupancy("+")) in connection.done)
        connection.says(TOPICS.occupancy("mallory"), b"ON", retain=True)
        connection.says(TOPICS.occupancy("alice"), b"ON", retain=True)
        await until(lambda: connection.sent_to(TOPICS.occupancy("mallory")) == [""])
        assert set(connection.sent_to(TOPICS.occupancy("alice"))) == {"OFF"}


async def test_what_an_earlier_life_left_is_taken_away() -> None:
    """Rooms that are no more with their devices, and when the forgotten were last heard."""
    clock, connection = FakeClock(), FakeConnection()
    backlog = make_backlog(clock)
    backlog.announce(replace(backlog.household, streams={"kitchen": "Kitchen"}))
    async with conversing(connection, CONFIG, backlog):
        await until(lambda: ("unsubscribe", TOPICS.of_all("stream")) in connection.done)
        for name in ("kitchen", "attic", "x/y", "A b"):
            connection.says(TOPICS.stream(name), b"{}", retain=True)
        connection.says(TOPICS.heard("mallory"), b"{}", retain=True)
        connection.says(TOPICS.heard("alice"), b"{}", retain=True)
        await until(lambda: connection.sent_to(TOPICS.heard("mallory")) == [""])
        await until(lambda: connection.sent_to(TOPICS.stream_discovery("attic")) == [""])
        emptied = {topic for topic, payload, _ in connection.states if payload == ""}
        assert emptied == {
            TOPICS.heard("mallory"),
            TOPICS.occupancy("mallory"),
            TOPICS.stream("attic"),
            TOPICS.stream_discovery("attic"),
        }


async def test_a_rate_is_asked_for_as_it_is_shown_or_as_a_number() -> None:
    """Whatever else stands behind the word is refused by name, as any unknown command."""
    clock, connection = FakeClock(), FakeConnection()
    wanted: list[float] = []
    commands: list[Command] = []
    backlog = make_backlog(clock)
    async with conversing(connection, CONFIG, backlog, commands.append, wanted.append):
        refused = ("p_fa", "p_fa ", "p_fa x", "arm 1", "arm ", "restart now", "p_fa 1 % %")
        for payload in ("p_fa 0.001", "p_fa 0.1 %", *refused, "restart"):
            connection.says(TOPICS.command, payload.encode())
        await until(lambda: commands == [Command.RESTART])
    assert wanted == [0.001, pytest.approx(0.001)]


async def test_no_decision_goes_by_3_1_1_to_a_broker_that_nobody_vouches_for() -> None:
    """Where nothing expires, and the user has not said that nothing is kept."""
    clock, connection = FakeClock(), FakeConnection(protocol="3.1.1")
    config = MqttConfig(node_id="den")
    backlog = make_backlog(clock, config)
    backlog.put(make_decision(at=clock.utc()))
    with capture_logs() as logs:
        async with conversing(connection, config, backlog):
            await online(connection, TOPICS.availability)
    assert connection.events == []
    assert backlog.outbox.refused == 1
    [refused] = [entry for entry in logs if entry["event"] == "broker_refused"]
    assert "decisions_without_expiry = true" in refused["hint"]


@pytest.mark.parametrize(
    "config",
    [MqttConfig(node_id="den", decisions_without_expiry=True), MqttConfig(broker="embedded")],
    ids=["vouched for", "embedded"],
)
async def test_decisions_go_by_3_1_1_to_brokers_that_are_vouched_for(config: MqttConfig) -> None:
    clock, connection = FakeClock(), FakeConnection(protocol="3.1.1")
    backlog = make_backlog(clock, config)
    backlog.put(make_decision(at=clock.utc()))
    async with conversing(connection, config, backlog):
        await until(lambda: backlog.outbox.delivered == 1)
