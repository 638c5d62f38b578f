"""What a microphone knows without a device; with one: tests/integration/test_microphone.py."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.audio.fake_driver import FakeDriver
from tests.fakes import FakeClock
from tests.integration.mosquitto import until
from voiceguard.audio.config import AudioConfig
from voiceguard.audio.devices import DeviceDescription
from voiceguard.audio.microphone import Microphone
from voiceguard.audio.portaudio import Capture
from voiceguard.audio.timeline import Timeline
from voiceguard.clock import SystemClock
from voiceguard.types import SourceState, SourceStatus

DEVICE = DeviceDescription(
    index=0, name="m", host_api="ALSA", num_channels=1, default_rate_hz=48_000, is_default=True
)


def captured(rate_hz: int, seconds: float, from_s: float) -> Capture:
    """A capture whose blocks came from ``from_s`` on."""
    capture = Capture(DEVICE, AudioConfig(rate_hz=rate_hz), wake=lambda: None, clock=SystemClock())
    num_samples = round(seconds * rate_hz)
    capture.ring.write(np.ones((num_samples, 1), dtype=np.float32), from_s + seconds)
    capture.first_block_at_s = from_s
    capture.last_block_at_s = from_s + seconds
    return capture


def test_a_device_that_returns_at_another_rate_goes_on_where_the_clock_is() -> None:
    timeline = Timeline()
    before = captured(48_000, 2.0, from_s=100.0)
    after = captured(16_000, 1.0, from_s=105.5)
    assert timeline.begin(before)
    assert timeline.base == 0
    timeline.end(before)
    assert timeline.begin(after)
    assert timeline.base / 16_000 == pytest.approx(5.5)
    assert timeline.missed == pytest.approx(3.5 * 16_000, abs=1)
    assert not timeline.begin(after), "placed once"


def test_a_capture_that_never_delivered_leaves_no_trace_in_time() -> None:
    timeline = Timeline()
    first = captured(16_000, 1.0, from_s=10.0)
    mute = Capture(DEVICE, AudioConfig(), wake=lambda: None, clock=SystemClock())
    timeline.begin(first)
    timeline.end(first)
    assert not timeline.begin(mute)
    timeline.end(mute)
    assert timeline.begin(captured(16_000, 1.0, from_s=13.0))
    assert timeline.base == 3 * 16_000


async def test_a_closed_microphone_yields_nothing_and_closes_again() -> None:
    with ThreadPoolExecutor(1) as executor:
        microphone = Microphone("m", None, AudioConfig(), executor, clock=SystemClock())
        await microphone.close()
        assert [event async for event in microphone.events()] == []
        await microphone.close()
    counts = microphone.statistics()
    assert counts.samples_captured == counts.num_reopened == 0


async def test_what_the_driver_lost_and_what_outages_cost_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An overrun, then two times unplugged: nothing of it is lost by the reader."""
    clock = FakeClock()
    driver = FakeDriver(clock).install(monkeypatch)
    states: list[SourceState] = []
    with ThreadPoolExecutor(2) as executor:
        microphone = Microphone("m", None, AudioConfig(), executor, clock=clock)

        async def listen() -> None:
            async for event in microphone.events():
                states.extend([event.state] if isinstance(event, SourceStatus) else [])

        listening = asyncio.create_task(listen())
        await until(lambda: len(driver.streams) == 1)
        driver.deliver()
        driver.deliver(after_s=0.6, overflow=True)
        await until(lambda: microphone.statistics().samples_delivered == 3_200)
        counts = microphone.statistics()
        assert (counts.num_overflows, counts.samples_missed, counts.overflow_s) == (1, 8_000, 0.5)
        for number, away_s in enumerate((3.0, 2.0), 1):
            num_opened = len(driver.streams)
            driver.vanish()
            await until(lambda: states[-1] is SourceState.LOST)
            clock.now_s += away_s
            before = microphone.statistics()
            await until(lambda: len(driver.streams) > num_opened)  # noqa: B023
            driver.deliver()
            await until(lambda: states[-1] is SourceState.LISTENING)
            assert microphone.statistics().num_reopened == number
            assert before.outage_s <= microphone.statistics().outage_s, "counted while it lasts"
        await microphone.close()
        await listening
        clock.now_s += 10.0  # closed on purpose: no outage
        counts = microphone.statistics()
    assert counts.outage_s == pytest.approx(5.0)
    assert counts.samples_missed == 8_000 + 5 * 16_000
    assert (counts.samples_lost, counts.num_overflows, counts.overflow_s) == (0, 1, 0.5)
    assert counts.samples_captured == counts.samples_delivered == 4 * 1_600


async def test_zeros_mean_a_mute_after_the_time_that_is_set_where_no_server_can_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = FakeClock()
    driver = FakeDriver(clock).install(monkeypatch)
    statuses: list[SourceStatus] = []
    with ThreadPoolExecutor(2) as executor:
        config = AudioConfig(mute_after_s=2.0)
        microphone = Microphone("m", None, config, executor, clock=clock)

        async def listen() -> None:
            async for event in microphone.events():
                statuses.extend([event] if isinstance(event, SourceStatus) else [])

        listening = asyncio.create_task(listen())
        await until(lambda: len(driver.streams) == 1)
        for num_blocks, level, state in (
            (15, 0.0, SourceState.LISTENING),
            (1, 0.01, SourceState.LISTENING),
            (20, 0.0, SourceState.MUTED),
            (1, 0.01, SourceState.LISTENING),
        ):
            for _ in range(num_blocks):
                before = microphone.statistics().samples_delivered
                driver.deliver(level=level)
                await until(lambda: microphone.statistics().samples_delivered > before)  # noqa: B023
            await until(lambda: bool(statuses) and statuses[-1].state is state)  # noqa: B023
        assert [each.state.value for each in statuses] == ["listening", "muted", "listening"]
        assert "exact zeros for 2 s" in statuses[1].detail
        await microphone.close()
        await listening
