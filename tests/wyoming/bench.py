"""A room with a real port and a real pipeline; voices are tones, the broker is a switch."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.fakes import CollectingSink, hears_tones
from tests.pipeline.test_stream import Bench
from tests.services import free_port
from voiceguard.clock import SystemClock
from voiceguard.decisions.sinks import FanOut
from voiceguard.people.config import PeopleConfig
from voiceguard.pipeline.permission import Permission
from voiceguard.pipeline.stream import Stream
from voiceguard.speech.ear import Ear
from voiceguard.speech.gate import GateConfig, SpeechGate
from voiceguard.speech.windows import WindowConfig, WindowCutter
from voiceguard.wyoming.config import ProxyConfig, SatelliteConfig, WyomingConfig
from voiceguard.wyoming.rooms import Rooms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voiceguard.decisions.result import Decision
    from voiceguard.wyoming.config import Address


@dataclass
class House:
    """Rooms, and what was decided in them."""

    rooms: Rooms
    port: int
    broker_is_up: asyncio.Event
    streams: dict[str, Stream]
    sink: CollectingSink = field(default_factory=CollectingSink)

    @property
    def status(self) -> dict[str, Any]:
        """Of the room."""
        told: dict[str, Any] = self.rooms.statistics()["kitchen"]
        return told

    @property
    def finals(self) -> list[Decision]:
        return self.sink.finals


@asynccontextmanager
async def house(
    upstream: str = "",
    *,
    is_armed: bool = True,
    port: int = 0,
    people: PeopleConfig | None = None,
    satellite: Address | None = None,
    **room: Any,  # noqa: ANN401 - of its table
) -> AsyncIterator[House]:
    """A kitchen, and a hall where there is a satellite; Anna (440 Hz) is enrolled."""
    bench, broker_is_up = Bench(), asyncio.Event()
    permission = Permission(people or PeopleConfig(), SystemClock())
    port = port or free_port()
    broker_is_up.set()

    async def published(_decision_id: str) -> None:
        await broker_is_up.wait()

    config = ProxyConfig(
        name="kitchen", listen=f"tcp://127.0.0.1:{port}", upstream=upstream, **room
    )
    halls = (SatelliteConfig(name="hall", address=str(satellite)),) if satellite else ()
    rooms = Rooms(
        WyomingConfig(proxy=(config,), satellite=halls, announce=False),
        clock=SystemClock(),
        published=published,
        names=lambda: {"anna": "Anna B."},
        judged_for=lambda action, each: permission.judged_for(action, each, bench.judge()),
    )
    at_hand = House(rooms, port, broker_is_up, {})
    sink = FanOut([at_hand.sink, rooms])
    with ThreadPoolExecutor(1) as executor:
        for name, opener in rooms.openers().items() if is_armed else ():
            at_hand.streams[name] = Stream(
                opener(),
                ear=Ear(
                    SpeechGate(hears_tones(), GateConfig()),
                    WindowCutter(WindowConfig()),
                ),
                encoder=bench.encoder.open_stream(),
                judge=lambda: permission.judge("kitchen", bench.judge()),
                sink=sink,
                executor=executor,
                clock=SystemClock(),
                on_turn_decided=partial(rooms.turn_decided, name),
            )
        async with asyncio.TaskGroup() as tasks:
            ports = rooms.start(tasks)
            for stream in at_hand.streams.values():
                tasks.create_task(stream.listen())
                tasks.create_task(stream.decide())
            await is_open(port)
            yield at_hand
            for stream in at_hand.streams.values():
                await stream.close()
            for task in ports:
                task.cancel()
    await asyncio.sleep(0.05)  # connections are closed in the loop's next rounds


async def is_open(port: int) -> None:
    """Waits until somebody listens there."""
    for _ in range(1000):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    raise AssertionError(f"nobody listens on {port}")


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what others do in their own time."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
