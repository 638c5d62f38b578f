"""The queue between gate and encoder: what it replaces, what it drops, when it waits."""

from __future__ import annotations

import asyncio

from tests.fakes import make_end, make_window
from voiceguard.pipeline.channel import Arrival, Item, WindowChannel
from voiceguard.types import SegmentEnd, Window

ARRIVAL = Arrival(0.0, 0.0)


async def _drain(channel: WindowChannel) -> list[Item]:
    await channel.close()
    return [pending.item async for pending in channel.items()]


async def test_live_newer_window_of_a_segment_replaces_the_pending_one() -> None:
    """A late encoder sees the newest window only, and the loss is counted."""
    channel = WindowChannel(is_live=True)
    for seconds in (1.0, 1.5, 2.0):
        await channel.put(make_window(seconds=seconds), ARRIVAL)
    items = await _drain(channel)
    assert [len(item.samples) for item in items if isinstance(item, Window)] == [32_000]
    assert channel.windows_superseded == 2


async def test_live_windows_of_other_segments_and_probes_are_not_replaced() -> None:
    """Replacing never crosses a segment's end, nor mixes probes with windows."""
    channel = WindowChannel(is_live=True)
    sent: list[Window | SegmentEnd] = [
        make_window(segment=0),
        make_window(segment=0, is_probe=True),
        make_end(segment=0),
        make_window(segment=1),
    ]
    for item in sent:
        await channel.put(item, ARRIVAL)
    assert await _drain(channel) == sent
    assert channel.windows_superseded == 0


async def test_live_overload_drops_the_oldest_segments_windows_but_not_its_end() -> None:
    """Every segment still gets its final decision while the encoder is merely slow."""
    channel = WindowChannel(is_live=True, max_pending=4)
    for segment in range(3):
        await channel.put(make_window(segment=segment), ARRIVAL)
        await channel.put(make_end(segment=segment), ARRIVAL)
    items = await _drain(channel)
    assert [item.segment for item in items if isinstance(item, SegmentEnd)] == [0, 1, 2]
    assert [item.segment for item in items if isinstance(item, Window)] == [2]
    assert channel.segments_dropped == 2


async def test_live_channel_stays_bounded_when_nobody_reads() -> None:
    """An encoder that has died costs a bounded amount of memory."""
    channel = WindowChannel(is_live=True, max_pending=8)
    for segment in range(100):
        await channel.put(make_window(segment=segment), ARRIVAL)
        await channel.put(make_end(segment=segment), ARRIVAL)
    assert len(channel) <= 8


async def test_a_file_waits_until_its_item_was_dealt_with() -> None:
    """No item of a file is ever replaced: its reader waits for the decider."""
    channel = WindowChannel(is_live=False)
    log: list[str] = []

    async def read() -> None:
        for number in range(3):
            await channel.put(make_window(seconds=1.0 + number), ARRIVAL)
            log.append(f"put {number}")
        await channel.close()

    async def decide() -> None:
        async for pending in channel.items():
            await asyncio.sleep(0.01)
            assert isinstance(pending.item, Window)
            log.append(f"done {round(pending.item.net_speech_s) - 1}")

    await asyncio.gather(read(), decide())
    assert log == ["done 0", "put 0", "done 1", "put 1", "done 2", "put 2"]
    assert channel.windows_superseded == 0


async def test_withdraw_takes_back_what_lies_beyond_a_change_of_speaker() -> None:
    """Windows that reach into the next voice are not judged as the first one's."""
    channel = WindowChannel(is_live=True)
    early, late = make_window(seconds=1.0), make_window(first_sample=16_000, is_probe=True)
    await channel.put(early, ARRIVAL)
    await channel.put(late, ARRIVAL)
    channel.withdraw(0, after_sample=16_000)
    assert await _drain(channel) == [early]
