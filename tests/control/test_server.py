"""Server and client over a real socket: commands, events, bounds."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from voiceguard.control.client import ControlClient
from voiceguard.control.connection import MAX_EVENTS
from voiceguard.control.place import control_socket
from voiceguard.control.protocol import MAX_REQUEST_BYTES, RequestError
from voiceguard.control.server import MAX_CLIENTS, ControlCommand, ControlServer, NoParameters
from voiceguard.errors import StateError, VoiceprintError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from voiceguard.control.connection import Connection


@dataclass(frozen=True, slots=True)
class Sum:
    a: int
    b: int = 1


async def add(asked: Sum, _client: Connection) -> dict[str, Any]:
    return {"sum": asked.a + asked.b}


async def fail(asked: Sum, _client: Connection) -> dict[str, Any]:
    if asked.a:
        raise VoiceprintError("no such person", hint="enroll them")
    raise ZeroDivisionError("a bug")


@asynccontextmanager
async def serving(state: Path) -> AsyncIterator[ControlServer]:
    server = ControlServer(state, frozenset({"tick", "tock"}))
    server.add("add", ControlCommand(Sum, add))
    server.add("fail", ControlCommand(Sum, fail))
    task = asyncio.create_task(server.run())
    try:
        await until(lambda: control_socket(state).exists() or task.done())
        await asyncio.sleep(0.01)  # made, and then listening
        yield server
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what others do in their own time
            await asyncio.sleep(0.01)


async def raw(state: Path, data: bytes) -> list[dict[str, Any]]:
    """What a client that knows no protocol gets for some bytes, before it is left."""
    reader, writer = await asyncio.open_unix_connection(str(control_socket(state)))
    writer.write(data)
    writer.write_eof()
    answers = (await asyncio.wait_for(reader.read(), 5)).splitlines()
    writer.close()
    return [json.loads(line) for line in answers]


async def test_commands_are_answered_in_order_with_their_ids(tmp_path: Path) -> None:
    async with serving(tmp_path):
        asked = b"".join(b'{"id": %d, "command": "add", "a": %d}\n' % (n, n) for n in range(3))
        answers = await raw(tmp_path, asked)
    assert [each["id"] for each in answers] == [0, 1, 2]
    assert [each["result"]["sum"] for each in answers] == [1, 2, 3]


async def test_a_request_without_its_newline_is_answered_as_well(tmp_path: Path) -> None:
    async with serving(tmp_path):
        (answer,) = await raw(tmp_path, b'{"command": "add", "a": 1}')
    assert answer == {"id": None, "ok": True, "result": {"sum": 2}}


@pytest.mark.parametrize(
    ("request_", "name", "words"),
    [
        ({"command": "sing"}, "unknown_command", "there is no command 'sing'"),
        ({"command": "add"}, "bad_parameters", "a is missing"),
        ({"command": "add", "a": "1"}, "bad_parameters", "a must be a whole number"),
        ({"command": "add", "a": 1, "c": 2}, "bad_parameters", "c"),
        ({"command": "watch", "events": ["tick", "boom"]}, "bad_parameters", "no events boom"),
        ({"command": "fail", "a": 1}, "failed", "no such person"),
        ({"command": "fail", "a": 0}, "internal", "ZeroDivisionError"),
    ],
)
async def test_every_refusal_has_a_name_and_the_next_request_is_served(
    tmp_path: Path, request_: dict[str, Any], name: str, words: str
) -> None:
    async with serving(tmp_path):
        lines = [json.dumps({"id": 5, **request_}), json.dumps({"command": "add", "a": 1})]
        refusal, answer = await raw(tmp_path, "\n".join(lines).encode())
    assert (refusal["id"], refusal["ok"], refusal["error"]["name"]) == (5, False, name)
    assert words in refusal["error"]["message"]
    assert answer["ok"] is True


async def test_a_line_too_long_is_refused_and_the_client_left(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        (answer,) = await raw(tmp_path, b"x" * (2 * MAX_REQUEST_BYTES))
        assert answer["error"]["name"] == "line_too_long"
        await until(lambda: server.statistics()["num_clients"] == 0)


async def test_it_is_for_its_owner_only_and_gone_afterwards(tmp_path: Path) -> None:
    async with serving(tmp_path):
        assert stat.S_IMODE(control_socket(tmp_path).stat().st_mode) == 0o600
    assert not control_socket(tmp_path).exists()


async def test_a_socket_of_an_earlier_daemon_is_replaced(tmp_path: Path) -> None:
    async with serving(tmp_path):
        os.link(control_socket(tmp_path), tmp_path / "kept")
    (tmp_path / "kept").rename(control_socket(tmp_path))
    async with serving(tmp_path):
        (answer,) = await raw(tmp_path, b'{"command": "add", "a": 1}')
    assert answer["ok"] is True


async def test_something_else_in_its_place_is_named_and_costs_no_more(tmp_path: Path) -> None:
    control_socket(tmp_path).write_text("mine")
    with capture_logs() as logged:
        await asyncio.wait_for(ControlServer(tmp_path, frozenset()).run(), 5)
    (warning,) = logged
    assert warning["event"] == "control_unavailable"
    assert control_socket(tmp_path).read_text() == "mine"


async def test_a_state_directory_of_any_length_will_do(tmp_path: Path) -> None:
    """A path of a Unix socket has 107 bytes."""
    state = tmp_path / ("d" * 200)
    state.mkdir()
    async with serving(state):
        result = await asyncio.to_thread(_sum_of, state)
    assert result == 3


def _sum_of(state: Path) -> int:
    with ControlClient(state) as client:
        return int(client.call("add", a=2)["sum"])


async def test_events_go_to_those_who_watch_them(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        with ControlClient(tmp_path) as one, ControlClient(tmp_path) as other:
            await asyncio.to_thread(one.call, "watch", events=["tick"])
            assert server.is_watched("tick")
            assert not server.is_watched("tock")
            await asyncio.to_thread(other.call, "watch")
            server.publish("tock", {"n": 1})
            server.publish("tick", {"n": 2})
            assert await asyncio.to_thread(one.next_event, 5) == {"event": "tick", "n": 2}
            assert await asyncio.to_thread(other.next_event, 5) == {"event": "tock", "n": 1}
            assert await asyncio.to_thread(one.next_event, 0.05) is None
            assert (await asyncio.to_thread(one.call, "add", a=1))["sum"] == 2
        await until(lambda: not server.is_watched("tick"))


async def test_a_slow_client_loses_the_oldest_events_and_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        with ControlClient(tmp_path) as slow:
            await asyncio.to_thread(slow.call, "watch")
            for n in range(MAX_EVENTS + 40):  # none is sent before this has come to its end
                server.publish("tick", {"n": n})
            assert await asyncio.to_thread(slow.next_event, 5) == {
                "event": "dropped",
                "num_events": 40,
            }
            assert await asyncio.to_thread(slow.next_event, 5) == {"event": "tick", "n": 40}
        await until(lambda: server.statistics()["num_clients"] == 0)
        assert server.statistics()["events_dropped"] == 40


async def test_no_more_clients_than_there_is_room_for(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        clients = [ControlClient(tmp_path) for _ in range(MAX_CLIENTS)]
        await until(lambda: server.statistics()["num_clients"] == MAX_CLIENTS)
        one_more = ControlClient(tmp_path)
        with pytest.raises(RequestError, match="16 clients are connected") as refusal:
            await asyncio.to_thread(one_more.call, "add", a=1)
        assert refusal.value.name == "too_many_clients"
        for each in [*clients, one_more]:
            each.close()
        await until(lambda: server.statistics()["num_clients"] == 0)
        assert server.statistics()["clients_refused"] == 1


async def test_those_who_come_at_once_are_counted_like_those_who_come_one_by_one(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as server:
        clients = [ControlClient(tmp_path) for _ in range(MAX_CLIENTS + 1)]  # nobody is let in yet
        await until(lambda: server.statistics()["num_clients"] == MAX_CLIENTS)
        assert server.statistics()["clients_refused"] == 1
        for each in clients:
            each.close()
        await until(lambda: server.statistics()["num_clients"] == 0)
        with ControlClient(tmp_path) as another:
            assert (await asyncio.to_thread(another.call, "add", a=1))["sum"] == 2


async def test_who_asks_on_without_reading_answers_is_not_heard_on(tmp_path: Path) -> None:
    """Nothing of the daemon's memory is for those who take no answer."""
    num_asked = 0

    async def tell(_asked: NoParameters, _client: Connection) -> dict[str, Any]:
        nonlocal num_asked
        num_asked += 1
        return {"much": "x" * 50_000}

    num_requests, request = 100, b'{"command": "tell"}\n'
    async with serving(tmp_path) as server:
        server.add("tell", ControlCommand(NoParameters, tell))
        reader, writer = await asyncio.open_unix_connection(
            str(control_socket(tmp_path)), limit=1 << 20
        )
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(num_requests * request)
        await until(lambda: num_asked > 0)
        await asyncio.sleep(0.2)
        assert num_asked < 30
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(num_requests):
            assert json.loads(await reader.readline())["ok"] is True
        writer.close()


def test_where_no_daemon_runs_the_client_says_so(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no voiceguard is running on"):
        ControlClient(tmp_path)
    with pytest.raises(StateError, match="no voiceguard is running on"):
        ControlClient(tmp_path / "missing")


async def test_a_daemon_that_ends_is_noticed_by_its_clients(tmp_path: Path) -> None:
    async with serving(tmp_path):
        client = ControlClient(tmp_path)
        await asyncio.to_thread(client.call, "watch")
    with pytest.raises(StateError, match="the daemon has ended"), client:
        await asyncio.to_thread(next, client.events())
