"""Where decisions go besides MQTT."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from structlog.testing import capture_logs

from tests.fakes import make_decision
from voiceguard.decisions.result import Decision
from voiceguard.decisions.sinks import CallbackSink, FanOut, HistorySink, LineSink, ThreadedSink
from voiceguard.errors import StateError
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from voiceguard.decisions.history import History


class FakeHistory:
    """Collects entries; refuses them while ``is_full``."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.is_full = False

    def append(self, entry: dict[str, Any]) -> None:
        if self.is_full:
            raise StateError("the disk is full")
        self.entries.append(entry)


async def _publish(
    history: FakeHistory, decisions: list[Decision], *, max_pending: int = 256
) -> HistorySink:
    with ThreadPoolExecutor(1) as executor:
        as_history: History = history  # type: ignore[assignment]
        sink = HistorySink(as_history, executor, max_pending=max_pending)
        for decision in decisions:
            sink.publish(decision)
        task = asyncio.create_task(sink.run())
        await sink.drain(5)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return sink


async def test_history_keeps_final_decisions_in_order() -> None:
    history = FakeHistory()
    outcomes = [Outcome.ACCEPTED, Outcome.UNKNOWN]
    decisions = [make_decision(outcome=outcome) for outcome in outcomes]
    await _publish(history, [make_decision(is_final=False), *decisions])
    assert [entry["outcome"] for entry in history.entries] == outcomes


async def test_history_that_cannot_be_written_costs_entries_and_nothing_else() -> None:
    history = FakeHistory()
    history.is_full = True
    sink = await _publish(history, [make_decision()])
    assert history.entries == []
    assert sink.decisions_dropped == 1


async def test_history_drops_the_oldest_when_the_disk_cannot_follow() -> None:
    """The queue is bounded, whatever happens to the disk."""
    history = FakeHistory()
    decisions = [make_decision(llr=float(number)) for number in range(5)]
    sink = await _publish(history, decisions, max_pending=2)
    assert [entry["scores"][0]["llr"] for entry in history.entries] == [3.0, 4.0]
    assert sink.decisions_dropped == 3


async def test_what_a_cancelled_writer_left_is_written_at_the_end() -> None:
    """An error elsewhere ends every task at once; what was decided before it is kept."""
    history = FakeHistory()
    with ThreadPoolExecutor(1) as executor:
        as_history: History = history  # type: ignore[assignment]
        sink = HistorySink(as_history, executor)
        for number in range(3):
            sink.publish(make_decision(llr=float(number)))
        task = asyncio.create_task(sink.run())
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await sink.finish(5)
    assert [entry["scores"][0]["llr"] for entry in history.entries] == [0.0, 1.0, 2.0]


def test_lines_are_json_and_fan_out_reaches_every_sink() -> None:
    file, called = io.StringIO(), list[Decision]()
    FanOut([LineSink(file), CallbackSink(called.append)]).publish(make_decision())
    assert json.loads(file.getvalue())["speaker"] == "anna"
    assert called == [make_decision()]


class Broken:
    def publish(self, decision: Decision) -> None:
        raise OverflowError(decision.stream)


def test_a_sink_that_breaks_costs_the_others_nothing_and_is_told_once() -> None:
    called = list[Decision]()
    ways = FanOut([Broken(), CallbackSink(called.append)])
    with capture_logs() as logs:
        for _ in range(3):
            ways.publish(make_decision())
    assert len(called) == 3
    assert [(each["event"], each["sink"]) for each in logs] == [("sink_failed", "Broken")]


def test_an_output_that_nobody_reads_holds_nobody_and_loses_the_oldest() -> None:
    reads = threading.Event()
    written = list[float]()

    def write(decision: Decision) -> None:
        assert reads.wait(20)
        written.append(decision.scores[0].llr or 0.0)

    sink = ThreadedSink(CallbackSink(write), max_pending=3)
    with capture_logs() as logs:
        for number in range(6):
            sink.publish(make_decision(llr=float(number)))
    assert not sink.drain(0.01)
    assert [each["event"] for each in logs] == ["output_not_written"]
    reads.set()
    assert sink.drain(20)
    assert written[-3:] == [3.0, 4.0, 5.0]
    assert sink.decisions_dropped == 3


async def test_whatever_breaks_the_history_costs_entries_and_nothing_else() -> None:
    class BrokenHistory(FakeHistory):
        def append(self, entry: dict[str, Any]) -> None:
            if not self.entries:
                self.entries.append({})
                raise OverflowError("too large for a column")
            super().append(entry)

    history = BrokenHistory()
    sink = await _publish(history, [make_decision(), make_decision(llr=2.0)])
    assert len(history.entries) == 2
    assert sink.decisions_dropped == 1
