"""The speech gate, fed by a detector whose scores are written into the samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import hears_tones
from tests.services import needs_shared
from tests.speech.vad import sounds
from voiceguard.speech.gate import (
    GateConfig,
    SpeechFigures,
    SpeechGate,
    SpeechSegment,
    trim_to_speech,
)
from voiceguard.types import (
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    EndCause,
    GateEvent,
    Samples,
    SpeechAudio,
)

SPEECH, WEAK, QUIET = 0.9, 0.4, 0.1
"""Scores at or above enter; between exit and enter; below exit."""


class ScriptedVad:
    """A detector for tests: a frame's score is its first sample. Scores come late, as Silero's."""

    enter_score = 0.5
    exit_score = 0.3
    left_out_s = 0.0

    def __init__(self, delay_frames: int = 0) -> None:
        self._delay = delay_frames * FRAME_SAMPLES
        self._kept = np.empty(0, dtype=np.float32)

    def push(self, samples: Samples) -> list[float]:
        self._kept = np.concatenate((self._kept, samples))
        end = max(0, len(self._kept) - self._delay) // FRAME_SAMPLES * FRAME_SAMPLES
        scores: list[float] = self._kept[:end:FRAME_SAMPLES].tolist()
        self._kept = self._kept[end:]
        return scores

    def finish(self) -> list[float]:
        delay, self._delay = self._delay, 0
        scores = self.push(np.empty(0, dtype=np.float32))
        self._delay = delay
        return scores

    def take_clear(self, _first: int, _end: int) -> int | None:
        return None

    def reset(self) -> None:
        self._kept = np.empty(0, dtype=np.float32)


@dataclass
class Heard:
    """One segment, put together from its events."""

    first_sample: int
    parts: list[Samples] = field(default_factory=list)
    marks: list[bool] = field(default_factory=list)
    levels: list[tuple[float, float]] = field(default_factory=list)
    cause: EndCause | None = None

    @property
    def first(self) -> float:
        return self.first_sample / SAMPLE_RATE_HZ

    @property
    def end(self) -> float:
        return self.first + len(self.marks) / 100

    @property
    def net_s(self) -> float:
        return sum(self.marks) / 100


def assemble(events: list[GateEvent]) -> list[Heard]:
    """Segments from events; checks that each one's audio is continuous and on the grid."""
    segments: list[Heard] = []
    for event in events:
        if isinstance(event, SpeechAudio):
            if not segments or segments[-1].cause is not None:
                segments.append(Heard(event.first_sample))
            segment = segments[-1]
            assert event.first_sample % FRAME_SAMPLES == 0
            assert event.first_sample == segment.first_sample + len(segment.marks) * FRAME_SAMPLES
            assert len(event.samples) == len(event.is_speech) * FRAME_SAMPLES
            assert event.samples.dtype == np.float32
            segment.parts.append(event.samples)
            segment.marks += event.is_speech
            segment.levels += zip(event.powers, event.noise_powers, strict=True)
        else:
            assert segments[-1].cause is None, "one end for each segment"
            segments[-1].cause = event.cause
    return segments


def script(*runs: tuple[float, float]) -> Samples:
    """Audio from (score, seconds) pairs: sums to zero, so that no offset is taken out."""
    return np.concatenate(
        [
            np.resize([score, -score], round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)
            for score, seconds in runs
        ]
    )


def heard(*runs: tuple[float, float], **config: float) -> list[Heard]:
    gate = SpeechGate(ScriptedVad(), GateConfig(**config))
    return assemble([*gate.push(script(*runs)), *gate.flush()])


def test_a_segment_reaches_from_its_pre_roll_to_the_end_of_its_hangover() -> None:
    (segment,) = heard((QUIET, 1), (SPEECH, 2), (QUIET, 1))
    assert (segment.first, segment.end) == pytest.approx((0.8, 3.5))
    assert segment.net_s == pytest.approx(2.0)
    assert segment.cause is EndCause.SILENCE


def test_weak_frames_continue_speech_and_do_not_begin_it() -> None:
    (segment,) = heard((WEAK, 1), (SPEECH, 0.5), (WEAK, 1), (QUIET, 1))
    assert segment.first == pytest.approx(0.8)
    assert segment.net_s == pytest.approx(1.5)


def test_a_click_does_not_open_the_gate_and_a_short_word_does() -> None:
    assert heard((QUIET, 1), (SPEECH, 0.1), (QUIET, 1), (SPEECH, 0.14), (QUIET, 1)) == []
    assert len(heard((QUIET, 1), (SPEECH, 0.15), (QUIET, 1))) == 1


def test_two_clicks_far_apart_are_not_a_word() -> None:
    assert heard((QUIET, 1), *[(SPEECH, 0.1), (QUIET, 0.2)] * 10) == []


def test_natural_pauses_stay_within_a_segment() -> None:
    (segment,) = heard((QUIET, 1), (SPEECH, 1), (QUIET, 0.45), (SPEECH, 1), (QUIET, 1))
    assert segment.net_s == pytest.approx(2.0)
    assert len(heard((SPEECH, 1), (QUIET, 0.55), (SPEECH, 1))) == 2


def test_pre_roll_does_not_reach_into_the_segment_before() -> None:
    word, short_pause, pause = (SPEECH, 0.5), (QUIET, 0.05), (QUIET, 0.15)
    first, second = heard(
        word, short_pause, word, pause, (SPEECH, 1), hangover_s=0.1, pre_roll_s=0.5
    )
    assert second.first == pytest.approx(1.05)
    assert first.net_s == pytest.approx(1.0)
    assert second.net_s == pytest.approx(1.0)


def test_endless_speech_is_cut_and_goes_on_without_pre_roll_or_loss() -> None:
    segments = heard((QUIET, 1), (SPEECH, 25), (QUIET, 1))
    assert [s.net_s for s in segments] == pytest.approx([10, 10, 5])
    assert [s.first for s in segments] == pytest.approx([0.8, 11, 21])
    assert [s.cause for s in segments] == [
        EndCause.MAX_LENGTH,
        EndCause.MAX_LENGTH,
        EndCause.SILENCE,
    ]


def test_the_longest_length_counts_speech_and_not_pauses() -> None:
    segments = heard(*[(SPEECH, 1), (QUIET, 0.4)] * 12, (QUIET, 1))
    assert [s.net_s for s in segments] == pytest.approx([10, 2])


def test_speech_that_goes_on_weakly_after_a_cut_is_still_speech() -> None:
    segments = heard((SPEECH, 10), (WEAK, 3), (QUIET, 1))
    assert [s.net_s for s in segments] == pytest.approx([10, 3])


def test_a_cut_in_the_last_word_leaves_no_empty_segment() -> None:
    assert len(heard((SPEECH, 10), (QUIET, 2))) == 1


def test_after_a_cut_ten_quiet_frames_are_a_hole_and_eleven_an_end() -> None:
    runs = ((SPEECH, 2), (QUIET, 0.1), (SPEECH, 1), (QUIET, 1))
    _, after = heard(*runs, max_speech_s=2.0, pre_roll_s=0.0)
    assert after.first == pytest.approx(2.0)
    runs = ((SPEECH, 2), (QUIET, 0.11), (SPEECH, 1), (QUIET, 1))
    _, after = heard(*runs, max_speech_s=2.0, pre_roll_s=0.0)
    assert after.first == pytest.approx(2.11)


def test_one_frame_opens_the_gate_where_that_is_asked() -> None:
    (segment,) = heard((QUIET, 1), (SPEECH, 0.01), (QUIET, 1), min_speech_s=0.01)
    assert segment.net_s == pytest.approx(0.01)


def test_a_score_at_a_threshold_counts() -> None:
    vad = ScriptedVad()
    vad.exit_score = 0.25
    gate = SpeechGate(vad)
    audio = script((QUIET, 1), (vad.enter_score, 0.5), (vad.exit_score, 0.5), (QUIET, 1))
    (segment,) = assemble([*gate.push(audio), *gate.flush()])
    assert segment.net_s == pytest.approx(1.0)


def test_the_end_of_the_stream_ends_the_segment() -> None:
    (segment,) = heard((QUIET, 1), (SPEECH, 1))
    assert segment.cause is EndCause.END_OF_STREAM


def test_nothing_spans_a_gap_and_the_timeline_jumps() -> None:
    gate = SpeechGate(ScriptedVad())
    events = gate.push(script((QUIET, 1), (SPEECH, 1)))
    events += gate.mark_gap(1000)
    assert gate.position == 33_000
    events += [*gate.push(script((SPEECH, 1))), *gate.flush()]
    before, after = assemble(events)
    assert before.cause is EndCause.GAP
    # 33 000 is off the 10 ms grid; the first frame after it begins at the next multiple of 160.
    assert after.first_sample == 33_120
    assert after.end <= (33_000 + 16_000) / SAMPLE_RATE_HZ


def test_what_comes_after_a_gap_does_not_depend_on_how_it_is_cut() -> None:
    """Less than a frame at a time, until the grid is reached again."""
    found = []
    for num_samples in (50, 16_000):
        gate = SpeechGate(ScriptedVad())
        gate.push(script((QUIET, 1)))
        gate.mark_gap(1000)
        audio = np.concatenate([script((QUIET, 0.3))[:-40], script((SPEECH, 1))])
        pieces = [audio[i : i + num_samples] for i in range(0, len(audio), num_samples)]
        (segment,) = assemble([*(e for each in pieces for e in gate.push(each)), *gate.flush()])
        assert gate.position == 17_000 + len(audio)
        found.append((segment.first_sample, np.concatenate(segment.parts).tolist()))
    assert found[0] == found[1]


def test_a_gap_without_a_length_moves_no_timeline() -> None:
    gate = SpeechGate(ScriptedVad())
    gate.push(script((QUIET, 1)))
    gate.mark_gap()
    assert gate.position == SAMPLE_RATE_HZ


def test_a_gap_in_silence_ends_nothing_and_forgets_the_pre_roll() -> None:
    gate = SpeechGate(ScriptedVad())
    gate.push(script((QUIET, 1)))
    assert gate.mark_gap(1600) == []
    (segment,) = assemble([*gate.push(script((SPEECH, 1))), *gate.flush()])
    assert segment.first_sample == 17_600
    assert all(np.all(np.abs(part) == np.float32(SPEECH)) for part in segment.parts)


def test_levels_after_a_gap_in_mid_frame_are_those_of_the_frames_they_stand_for() -> None:
    speech = sounds.babbling(1, -20)
    speech[::FRAME_SAMPLES] = SPEECH
    broken = SpeechGate(ScriptedVad())
    broken.push(script((QUIET, 1))[:-70])
    broken.mark_gap(70)
    (after,) = assemble([*broken.push(speech), *broken.flush()])
    (fresh,) = assemble(SpeechGate(ScriptedVad()).push(speech))
    assert [power for power, _ in after.levels] == [power for power, _ in fresh.levels]


def test_what_is_not_a_number_is_taken_as_silence() -> None:
    gate = SpeechGate(hears_tones())
    samples = sounds.noise("pink", 5, -70)
    samples[SAMPLE_RATE_HZ * 2 : SAMPLE_RATE_HZ * 3] += sounds.babbling(1, -20)
    samples[::4001] = np.nan
    samples[5::7001] = np.inf
    segments = assemble([*gate.push(samples), *gate.flush()])
    assert segments
    assert all(np.isfinite(part).all() for segment in segments for part in segment.parts)
    assert all(np.isfinite(pair).all() for segment in segments for pair in segment.levels)


runs = st.lists(
    st.tuples(st.sampled_from([SPEECH, WEAK, QUIET]), st.integers(1, 150)), min_size=1, max_size=15
)
cuts = st.lists(st.integers(1, 30_000), max_size=12)


def push_in_pieces(gate: SpeechGate, samples: Samples, lengths: list[int]) -> list[GateEvent]:
    """Pushes the samples cut at the given lengths, the rest in one piece."""
    pieces = np.split(samples, np.minimum(np.cumsum(lengths), len(samples)))
    return [event for piece in pieces for event in gate.push(piece)] + gate.flush()


@settings(max_examples=60, deadline=None)
@given(runs=runs, lengths=cuts, delay=st.integers(0, 5))
def test_segments_do_not_depend_on_how_the_input_is_cut(
    runs: list[tuple[float, int]], lengths: list[int], delay: int
) -> None:
    samples = script(*[(score, frames / 100) for score, frames in runs])
    config = GateConfig(max_speech_s=2.0)
    whole = assemble(push_in_pieces(SpeechGate(ScriptedVad(delay), config), samples, []))
    cut = assemble(push_in_pieces(SpeechGate(ScriptedVad(delay), config), samples, lengths))
    assert len(cut) == len(whole)
    for mine, theirs in zip(cut, whole, strict=True):
        assert (mine.first_sample, mine.marks, mine.levels, mine.cause) == (
            theirs.first_sample,
            theirs.marks,
            theirs.levels,
            theirs.cause,
        )
        np.testing.assert_array_equal(np.concatenate(mine.parts), np.concatenate(theirs.parts))


@settings(max_examples=60, deadline=None)
@given(runs=runs)
def test_segments_hold_the_streams_own_audio_and_speak_of_disjoint_speech(
    runs: list[tuple[float, int]],
) -> None:
    samples = script(*[(score, frames / 100) for score, frames in runs])
    numbers = np.arange(len(samples) // FRAME_SAMPLES) / 1e4  # tell frames apart
    samples[2::FRAME_SAMPLES], samples[3::FRAME_SAMPLES] = numbers, -numbers
    gate = SpeechGate(ScriptedVad(), GateConfig(max_speech_s=2.0, hangover_s=0.1))
    speech_end = 0
    for segment in assemble([*gate.push(samples), *gate.flush()]):
        audio = np.concatenate(segment.parts)
        np.testing.assert_array_equal(audio, samples[segment.first_sample :][: len(audio)])
        assert segment.first_sample >= speech_end
        assert 0.15 <= segment.net_s <= 2.0
        last = max(i for i, is_speech in enumerate(segment.marks) if is_speech)
        speech_end = segment.first_sample + (last + 1) * FRAME_SAMPLES
        assert segment.cause is not None


def test_trimming_keeps_each_stretch_of_speech_to_its_last_speech_frame() -> None:
    trimmed = trim_to_speech(
        script((QUIET, 1), (SPEECH, 1), (QUIET, 1), (SPEECH, 2), (QUIET, 1)), ScriptedVad()
    )
    assert [len(segment) / SAMPLE_RATE_HZ for segment in trimmed.segments] == [1.2, 2.2]
    assert trimmed.net_speech_s == pytest.approx(3.0)
    assert len(trimmed.samples) == round(3.4 * SAMPLE_RATE_HZ)


def test_trimming_has_the_timing_that_it_is_given() -> None:
    audio = script((QUIET, 1), (SPEECH, 1), (QUIET, 1), (SPEECH, 1), (QUIET, 3))
    assert len(trim_to_speech(audio, ScriptedVad(), GateConfig(hangover_s=2.0)).segments) == 1


def test_a_recordings_snr_is_that_of_all_its_stretches() -> None:
    figures = SpeechFigures()
    figures.add(SpeechSegment(np.zeros(320, np.float32), [11e-4, 31e-4], [1e-4, 1e-4]))
    figures.add(SpeechSegment(np.zeros(160, np.float32), [21e-4], [1e-4]))
    assert figures.snr_db == pytest.approx(10 * np.log10(20))
    assert figures.net_speech_s == pytest.approx(0.03)


def test_trimming_silence_leaves_nothing_and_no_figures() -> None:
    trimmed = trim_to_speech(script((QUIET, 3)), ScriptedVad())
    assert trimmed.segments == ()
    assert trimmed.samples.shape == (0,)
    assert trimmed.net_speech_s == 0.0
    assert np.isnan(trimmed.snr_db)


@needs_shared
@pytest.mark.parametrize("snr_db", [5, 10, 20])
@pytest.mark.parametrize("kind", ["white", "pink"])
def test_the_estimated_snr_is_near_the_true_one_within_the_band(kind: str, snr_db: int) -> None:
    speech = sounds.reading(seconds=15)
    room = sounds.noise(kind, 17, 0)
    # The estimate hears from 100 Hz on; pink noise has a third of its power below.
    in_band_db = snr_db if kind == "white" else snr_db - 2.6
    room *= 10 ** ((-26 - in_band_db) / 20)
    room[2 * SAMPLE_RATE_HZ :] += speech
    assert abs(trim_to_speech(room, hears_tones()).snr_db - snr_db) < 3.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"hangover_s": 70},
        {"pre_roll_s": -0.1},
        {"min_speech_s": 0.0},
        {"max_speech_s": float("nan")},
    ],
)
def test_timing_that_makes_no_sense_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GateConfig(**wrong)
