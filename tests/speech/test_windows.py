"""Windows, probes and segment ends, from scripted marks of speech."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceguard.speech.windows import WindowConfig, WindowCutter
from voiceguard.types import (
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    EndCause,
    SegmentEnd,
    SpeechAudio,
    SpeechEnd,
    Window,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

Item: TypeAlias = Window | SegmentEnd

START = 16_000
NO_PROBES = WindowConfig(probe_s=0)


def audio(marks: Sequence[bool], first_frame: int = START // FRAME_SAMPLES) -> SpeechAudio:
    """Frames whose samples are their own number in the stream, in thousandths."""
    numbers = np.arange(first_frame, first_frame + len(marks))
    return SpeechAudio(
        first_sample=first_frame * FRAME_SAMPLES,
        samples=np.repeat(numbers / 1000, FRAME_SAMPLES).astype(np.float32),
        is_speech=tuple(marks),
        powers=tuple(
            1e-3 * (1 + number % 7) if mark else 1e-5
            for number, mark in zip(numbers, marks, strict=True)
        ),
        noise_powers=tuple([1e-5] * len(marks)),
    )


def marks_of(*runs: tuple[bool, float]) -> list[bool]:
    return [mark for mark, seconds in runs for _ in range(round(seconds * 100))]


def cut(
    *runs: tuple[bool, float],
    config: WindowConfig = NO_PROBES,
    cause: EndCause = EndCause.SILENCE,
) -> list[Item]:
    cutter = WindowCutter(config)
    return [*cutter.push(audio(marks_of(*runs))), *cutter.push(SpeechEnd(cause))]


def spans(items: Sequence[Item]) -> list[tuple[float, float]]:
    """Start and end of each window in seconds since the segment's beginning."""
    return [
        ((w.first_sample - START) / SAMPLE_RATE_HZ, (w.end_sample - START) / SAMPLE_RATE_HZ)
        for w in items
        if isinstance(w, Window)
    ]


def test_windows_grow_to_the_longest_length_and_then_slide() -> None:
    *windows, end = cut((False, 0.2), (True, 6))
    growing = [(0.0, 1 + 0.5 * i) for i in range(7)]
    sliding = [(0.5, 4.5), (1.0, 5.0), (1.5, 5.5), (2.0, 6.0), (2.2, 6.2)]
    assert spans(windows) == growing + sliding
    assert isinstance(end, SegmentEnd)
    assert end == SegmentEnd(
        segment=0,
        first_sample=START,
        end_sample=START + round(6.2 * SAMPLE_RATE_HZ),
        net_speech_s=6.0,
        snr_db=end.snr_db,
        cause=EndCause.SILENCE,
    )


def test_the_end_says_how_clear_the_speech_was() -> None:
    cutter = WindowCutter()
    list(cutter.push(audio(marks_of((True, 2)))))
    *_, end = cutter.push(SpeechEnd(EndCause.SILENCE, 0.25))
    assert isinstance(end, SegmentEnd)
    assert end.clear_share == 0.25


def test_the_hop_counts_speech_and_not_pauses() -> None:
    items = cut((True, 0.8), (False, 0.4), (True, 0.25), (False, 0.4), (True, 0.25))
    assert spans(items) == [(0, 0.8), (0, 2.1)]


def test_the_last_window_ends_with_the_last_speech_frame() -> None:
    *windows, end = cut((True, 1.0), (False, 0.5))
    assert isinstance(end, SegmentEnd)
    assert spans(windows) == [(0, 0.8), (0, 1.0)]
    assert end.end_sample == START + SAMPLE_RATE_HZ


def test_there_is_no_last_window_without_new_speech() -> None:
    assert spans(cut((True, 0.8), (False, 0.5))) == [(0, 0.8)]


def test_too_little_speech_has_an_end_and_no_window() -> None:
    (end,) = cut((False, 0.2), (True, 0.79), (False, 0.5))
    assert isinstance(end, SegmentEnd)
    assert end.net_speech_s == pytest.approx(0.79)


def test_a_window_of_scattered_speech_waits_for_enough_of_it() -> None:
    items = cut(*[(True, 0.05), (False, 0.4)] * 30)
    assert all(isinstance(item, SegmentEnd) for item in items)


def test_segments_are_numbered_and_nothing_reaches_from_one_into_the_next() -> None:
    cutter = WindowCutter(NO_PROBES)
    items = [*cutter.push(audio([True] * 200)), *cutter.push(SpeechEnd(EndCause.MAX_LENGTH))]
    items += [*cutter.push(audio([True] * 200, 300)), *cutter.push(SpeechEnd(EndCause.GAP))]
    assert [item.segment for item in items] == sorted(item.segment for item in items)
    second = [item for item in items if item.segment == 1]
    assert min(item.first_sample for item in second) == 300 * FRAME_SAMPLES
    assert second[-1].cause is EndCause.GAP  # type: ignore[union-attr]


def test_probes_are_disjoint_stretches_that_follow_each_other() -> None:
    items = cut((True, 7), config=WindowConfig(probe_s=2))
    probes = [item for item in items if isinstance(item, Window) and item.is_probe]
    assert spans(probes) == [(0, 2), (2, 4), (4, 6)]


def test_a_probe_of_silence_is_left_out() -> None:
    items = cut((True, 2), *[(False, 0.4), (True, 0.1)] * 4, (True, 2.1), config=WindowConfig())
    probes = [item for item in items if isinstance(item, Window) and item.is_probe]
    assert spans(probes) == [(0, 2), (4, 6)]


def test_a_window_is_the_streams_own_audio_and_later_pushes_cannot_change_it() -> None:
    cutter = WindowCutter(NO_PROBES)
    event = audio([True] * 100)
    window = next(item for item in cutter.push(event) if isinstance(item, Window))
    before = window.samples.copy()
    numbers = np.arange(window.first_sample, window.end_sample) // FRAME_SAMPLES
    np.testing.assert_allclose(
        window.samples / window.samples[-1], numbers / numbers[-1], rtol=1e-6
    )
    event.samples[:] = 0
    np.testing.assert_array_equal(window.samples, before)
    with pytest.raises(ValueError, match="read-only"):
        window.samples[0] = 1


def test_snr_is_that_of_the_speech_inside_the_window() -> None:
    (window, _) = cut((False, 0.2), (True, 0.8))
    assert isinstance(window, Window)
    # mean of 1..7 thousandths, less the noise of 1e-5
    assert window.snr_db == pytest.approx(10 * np.log10(4e-3 / 1e-5), abs=0.2)
    assert window.net_speech_s == pytest.approx(0.8)


def test_a_speaker_change_ends_the_segment_there_and_begins_the_next() -> None:
    cutter = WindowCutter(NO_PROBES)
    list(cutter.push(audio(marks_of((True, 2.2), (False, 0.1), (True, 1.7)))))
    items = cutter.split(0, START + round(2.3 * SAMPLE_RATE_HZ))
    last, end, *new = items
    assert isinstance(end, SegmentEnd)
    assert spans([last]) == [(0, 2.2)]
    assert (end.cause, end.net_speech_s) == (EndCause.SPEAKER_CHANGE, 2.2)
    assert end.end_sample == START + round(2.2 * SAMPLE_RATE_HZ)
    assert spans(new) == [(2.3, 3.1), (2.3, 3.6)]
    assert {item.segment for item in new} == {1}
    rest = [*cutter.push(audio([True] * 30, 500)), *cutter.push(SpeechEnd(EndCause.SILENCE))]
    assert spans(rest) == [(2.3, 4.1), (2.3, 4.3)]
    assert isinstance(rest[-1], SegmentEnd)
    assert (rest[-1].segment, rest[-1].net_speech_s) == (1, 2.0)


def test_a_split_where_a_window_ended_before_does_not_repeat_that_window() -> None:
    cutter = WindowCutter(NO_PROBES)
    before = list(cutter.push(audio([True] * 400)))
    assert (0, 1.3) in spans(before)
    end, *new = cutter.split(0, START + round(1.3 * SAMPLE_RATE_HZ))
    assert isinstance(end, SegmentEnd)
    assert spans(new)[0] == (1.3, 2.1)


def test_a_split_while_items_are_being_taken_voids_what_was_not_taken_yet() -> None:
    """A file's reader waits for each probe's embedding; its event may reach far beyond."""
    cutter = WindowCutter(WindowConfig(probe_s=2))
    taken: list[Item] = []
    for item in cutter.push(audio([True] * 900)):
        taken.append(item)
        if isinstance(item, Window) and item.is_probe and item.segment == 0:
            taken += cutter.split(0, item.first_sample)
    taken += cutter.push(SpeechEnd(EndCause.SILENCE))
    ends = [item for item in taken if isinstance(item, SegmentEnd)]
    assert [end.segment for end in ends] == [0, 1]
    after_end = taken[taken.index(ends[0]) + 1 :]
    assert all(item.segment == 1 and item.first_sample >= START + 32_000 for item in after_end)
    assert sum(end.net_speech_s for end in ends) == pytest.approx(9.0)


@pytest.mark.parametrize("at_s", [-1.0, 0.0, 4.0, 9.0])
def test_a_split_outside_the_open_segments_speech_changes_nothing(at_s: float) -> None:
    cutter = WindowCutter(NO_PROBES)
    list(cutter.push(audio(marks_of((True, 3.9), (False, 0.4)))))
    assert cutter.split(0, START + round(at_s * SAMPLE_RATE_HZ)) == []
    *_, end = cutter.push(SpeechEnd(EndCause.SILENCE))
    assert isinstance(end, SegmentEnd)
    assert (end.segment, end.net_speech_s) == (0, 3.9)


def test_a_split_of_a_segment_that_is_over_changes_nothing() -> None:
    cutter = WindowCutter(NO_PROBES)
    list(cutter.push(audio([True] * 400)))
    list(cutter.push(SpeechEnd(EndCause.SILENCE)))
    assert cutter.split(0, START + 16_000) == []
    list(cutter.push(audio([True] * 400, 900)))
    assert cutter.split(0, 950 * FRAME_SAMPLES) == []


def test_a_long_segment_with_pauses_keeps_a_bounded_stretch_and_right_figures() -> None:
    cutter = WindowCutter(NO_PROBES)
    marks = marks_of(*[(True, 0.1), (False, 0.4)] * 100)
    list(cutter.push(audio(marks)))
    assert cutter.split(0, START + 16_000) == []
    *_, end = cutter.push(SpeechEnd(EndCause.SILENCE))
    assert isinstance(end, SegmentEnd)
    assert end.net_speech_s == pytest.approx(10.0)
    assert end.end_sample == START + round(49.6 * SAMPLE_RATE_HZ)


runs = st.lists(st.tuples(st.booleans(), st.integers(1, 120)), min_size=1, max_size=20)
configs = st.builds(
    WindowConfig,
    min_s=st.sampled_from([0.5, 0.8]),
    max_s=st.sampled_from([1.5, 4.0]),
    hop_s=st.sampled_from([0.1, 0.5]),
    probe_s=st.sampled_from([0.0, 1.0]),
)


def push_in_pieces(marks: list[bool], lengths: list[int], config: WindowConfig) -> list[Item]:
    cutter, position = WindowCutter(config), 0
    items: list[Item] = []
    for length in [*lengths, len(marks)]:
        piece = marks[position : position + length]
        if piece:
            items += cutter.push(audio(piece, START // FRAME_SAMPLES + position))
        position += length
    items += cutter.push(SpeechEnd(EndCause.SILENCE))
    return items


def described(items: list[Item]) -> list[tuple[Any, ...]]:
    return [
        (w.first_sample, w.samples.tobytes(), w.net_speech_s, w.snr_db, w.is_probe)
        if isinstance(w, Window)
        else (w,)
        for w in items
    ]


@settings(max_examples=60, deadline=None)
@given(runs=runs, lengths=st.lists(st.integers(1, 200), max_size=20), config=configs)
def test_windows_do_not_depend_on_how_the_audio_is_cut(
    runs: list[tuple[bool, int]], lengths: list[int], config: WindowConfig
) -> None:
    marks = [True, *(mark for mark, num_frames in runs for _ in range(num_frames))]
    whole = push_in_pieces(marks, [], config)
    assert described(push_in_pieces(marks, lengths, config)) == described(whole)


@settings(max_examples=60, deadline=None)
@given(runs=runs, config=configs)
def test_windows_lie_within_their_segment_and_within_their_limits(
    runs: list[tuple[bool, int]], config: WindowConfig
) -> None:
    marks = [True, *(mark for mark, num_frames in runs for _ in range(num_frames))]
    *windows, end = push_in_pieces(marks, [], config)
    assert isinstance(end, SegmentEnd)
    assert end.net_speech_s == pytest.approx(sum(marks) / 100)
    scored = []
    for window in windows:
        assert isinstance(window, Window), "one end, after all windows"
        first = (window.first_sample - START) // FRAME_SAMPLES
        last = (window.end_sample - START) // FRAME_SAMPLES
        assert window.first_sample % FRAME_SAMPLES == 0
        assert end.first_sample <= window.first_sample
        assert window.end_sample <= end.end_sample
        assert window.net_speech_s == pytest.approx(sum(marks[first:last]) / 100)
        assert window.segment_speech_s == pytest.approx(sum(marks[:last]) / 100)
        if window.is_probe:
            assert len(window.samples) == config.probe_s * SAMPLE_RATE_HZ
            continue
        scored.append(window)
        assert marks[last - 1], "ends with speech"
        assert config.min_s - 1e-9 <= window.net_speech_s
        assert len(window.samples) <= config.max_s * SAMPLE_RATE_HZ
    for before, after in pairwise(scored[:-1]):
        assert after.segment_speech_s - before.segment_speech_s >= config.hop_s - 1e-9
    longest = max(
        sum(marks[max(0, i - round(config.max_s * 100)) : i]) for i in range(len(marks) + 1)
    )
    assert bool(scored) or longest < config.min_s * 100


@pytest.mark.parametrize(
    "wrong", [{"min_s": 5.0}, {"max_s": 60.0}, {"hop_s": 0.0}, {"probe_s": 0.1}]
)
def test_lengths_that_make_no_sense_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        WindowConfig(**wrong)
