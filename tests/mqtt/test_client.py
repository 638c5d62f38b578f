"""The link while no broker is there; tests/integration/test_mosquitto.py has the rest."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.fakes import FakeClock
from tests.integration.mosquitto import until
from tests.mqtt.decisions import fresh_decision, make_decision
from tests.services import free_port
from voiceguard.clock import SystemClock
from voiceguard.errors import ConfigError
from voiceguard.mqtt.client import MqttLink
from voiceguard.mqtt.config import MqttConfig
from voiceguard.types import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.clock import Clock


def make_link(clock: Clock | None = None) -> MqttLink:
    """A link to a port where nobody listens."""
    config = MqttConfig(broker=f"mqtt://127.0.0.1:{free_port()}", timeout_s=0.5)
    return MqttLink(config, on_command=lambda _: None, clock=clock or SystemClock())


async def test_drain_ends_when_everything_has_expired() -> None:
    """A broker that is away must not keep a finished daemon from ending."""
    link = make_link()
    assert await link.drain(0.0)
    link.publish(fresh_decision("a", expires_in_s=0.2))
    link.publish(fresh_decision("b", expires_in_s=0.3))
    started_s = time.monotonic()
    assert await link.drain(10.0)
    assert time.monotonic() - started_s < 5.0
    assert link.statistics().decisions_expired == 2


async def test_drain_gives_up_in_time() -> None:
    """And says that something is left."""
    link = make_link()
    link.publish(fresh_decision(expires_in_s=60.0))
    assert not await link.drain(0.05)
    assert link.statistics().decisions_pending == 1


async def test_provisional_doubts_are_not_published() -> None:
    """Only provisional accepts are news before the final decision."""
    clock = FakeClock()
    link = make_link(clock)
    link.publish(make_decision(outcome=Outcome.INCONCLUSIVE, is_final=False))
    assert link.statistics().decisions_queued == 0
    link.publish(make_decision(is_final=False, at=clock.utc()))
    link.publish(make_decision(outcome=Outcome.INCONCLUSIVE))
    assert link.statistics().decisions_queued == 2


async def test_the_clock_that_is_given_decides_about_expiry() -> None:
    """Time that passes expires what waits."""
    clock = FakeClock()
    link = make_link(clock)
    link.publish(make_decision(at=clock.utc(), expires_in_s=5.0))
    assert not await link.drain(0.01)
    clock.now_s += 5
    assert await link.drain(0.01)


async def test_it_can_be_closed_at_any_time() -> None:
    """Before it runs, while it waits to try again, and twice; nothing is left running."""
    link = make_link()
    await link.close()
    await link.run()  # returns at once
    link = make_link()
    with capture_logs() as logs:
        task = asyncio.create_task(link.run())
        await until(lambda: bool(logs))
        await link.close()
        await link.close()
        await task
    assert logs[0]["cause"] == "connection_refused"
    assert len(asyncio.all_tasks()) == 1


async def test_an_unusable_password_file_stops_the_start(tmp_path: Path) -> None:
    """Waiting would not mend it."""
    config = MqttConfig(
        broker="mqtt://ann@127.0.0.1", password_file=tmp_path / "missing", node_id="den"
    )
    link = MqttLink(config, on_command=lambda _: None, clock=SystemClock())
    with pytest.raises(ConfigError, match="missing"):
        await link.run()
