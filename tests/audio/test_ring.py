"""The ring between the callback thread and the event loop."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceguard.audio.ring import RingBuffer

RATE_HZ = 1_000


def ramp(
    first: int, num: int, channels: int = 1
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Samples that tell their own number in the capture."""
    numbers = np.arange(first, first + num, dtype=np.float32)
    return np.repeat(numbers[:, None], channels, axis=1)


def test_what_is_written_is_read_in_order_with_its_position_and_time() -> None:
    ring = RingBuffer(100, 2, RATE_HZ)
    ring.write(ramp(0, 30, 2), 5.0)
    first = ring.read(20)
    rest = ring.read(20)
    assert first is not None
    assert rest is not None
    np.testing.assert_array_equal(first.samples, ramp(0, 20, 2))
    np.testing.assert_array_equal(rest.samples, ramp(20, 10, 2))
    assert (first.first_sample, rest.first_sample) == (0, 20)
    assert rest.written_at_s == 5.0
    assert first.written_at_s == pytest.approx(5.0 - 10 / RATE_HZ)
    assert not first.after_gap
    assert ring.read(20) is None


def test_a_late_reader_gets_the_newest_and_is_told_of_the_gap_once() -> None:
    ring = RingBuffer(10, 1, RATE_HZ)
    for first in range(0, 24, 4):
        ring.write(ramp(first, 4), 0.0)
    stretch = ring.read(5)
    assert stretch is not None
    assert stretch.after_gap
    assert stretch.first_sample == 14
    np.testing.assert_array_equal(stretch.samples[:, 0], np.arange(14, 19))
    rest = ring.read(100)
    assert rest is not None
    assert not rest.after_gap


def test_a_block_larger_than_the_ring_leaves_its_end() -> None:
    ring = RingBuffer(10, 1, RATE_HZ)
    ring.write(ramp(0, 3), 0.0)
    ring.write(ramp(3, 25), 0.0)
    stretch = ring.read(100)
    assert stretch is not None
    np.testing.assert_array_equal(stretch.samples[:, 0], np.arange(18, 28))
    assert ring.counts().samples_lost == 18


def test_a_read_never_spans_what_the_driver_missed() -> None:
    ring = RingBuffer(100, 1, RATE_HZ)
    ring.write(ramp(0, 10), 0.0)
    ring.write(ramp(10, 10), 0.0, num_missed=7)
    before, after = ring.read(100), ring.read(100)
    assert before is not None
    assert after is not None
    assert (len(before.samples), before.after_gap) == (10, False)
    assert (after.first_sample, after.after_gap) == (17, True)
    assert ring.end_position == 27


def test_a_copy_is_handed_out() -> None:
    ring = RingBuffer(4, 1, RATE_HZ)
    ring.write(ramp(0, 4), 0.0)
    stretch = ring.read(4)
    ring.write(ramp(50, 4), 0.0)
    assert stretch is not None
    np.testing.assert_array_equal(stretch.samples[:, 0], np.arange(4))


def test_what_is_discarded_is_lost_and_a_gap() -> None:
    ring = RingBuffer(10, 1, RATE_HZ)
    ring.write(ramp(0, 6), 0.0)
    ring.discard()
    ring.write(ramp(6, 2), 0.0)
    stretch = ring.read(10)
    assert stretch is not None
    assert (stretch.first_sample, stretch.after_gap) == (6, True)
    assert ring.counts().samples_lost == 6


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 40), st.none() | st.integers(0, 9)),
        st.tuples(st.just("read"), st.integers(1, 40), st.none()),
        st.tuples(st.just("discard"), st.just(0), st.none()),
    ),
    max_size=60,
)


@given(capacity=st.integers(1, 25), operations=OPERATIONS)
def test_captured_is_delivered_lost_and_buffered_whatever_happens(
    capacity: int, operations: list[tuple[str, int, int | None]]
) -> None:
    """And every sample read is at its position, and every joint that is not one is marked."""
    ring = RingBuffer(capacity, 1, RATE_HZ)
    captured = missed = delivered = 0
    positions: list[int] = []  # of each captured sample
    expected_next = 0
    for operation, num, num_missed in operations:
        if operation == "write":
            missed += num_missed or 0
            positions += range(captured + missed, captured + missed + num)
            ring.write(ramp(captured, num), 0.0, num_missed=num_missed)
            captured += num
        elif operation == "discard":
            ring.discard()
        elif (stretch := ring.read(num)) is not None:
            numbers = stretch.samples[:, 0].astype(int)
            delivered += len(numbers)
            assert [positions[number] for number in numbers] == list(
                range(stretch.first_sample, stretch.first_sample + len(numbers))
            )
            if stretch.first_sample != expected_next:
                assert stretch.after_gap
            expected_next = stretch.first_sample + len(numbers)
        counts = ring.counts()
        assert counts.samples_captured == captured
        assert counts.samples_delivered == delivered
        assert counts.samples_missed == missed
        assert 0 <= counts.samples_buffered <= capacity
        assert ring.is_empty == (counts.samples_buffered == 0)
        assert captured == delivered + counts.samples_lost + counts.samples_buffered


def test_a_thread_writes_while_another_reads() -> None:
    ring = RingBuffer(500, 1, RATE_HZ)
    num_blocks = 2_000

    def produce() -> None:
        for block in range(num_blocks):
            ring.write(ramp(block * 16, 16), 0.0)

    producer = threading.Thread(target=produce)
    producer.start()
    next_sample = num_read = 0
    while producer.is_alive() or not ring.is_empty:
        stretch = ring.read(64)
        if stretch is None:
            continue
        assert stretch.after_gap == (stretch.first_sample != next_sample)
        np.testing.assert_array_equal(
            stretch.samples[:, 0], stretch.first_sample + np.arange(len(stretch.samples))
        )
        next_sample = stretch.first_sample + len(stretch.samples)
        num_read += len(stretch.samples)
    producer.join()
    assert next_sample == num_blocks * 16
    assert num_read + ring.counts().samples_lost == num_blocks * 16
