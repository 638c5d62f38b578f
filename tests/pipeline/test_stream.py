"""One stream from audio to decisions, with tones for voices and a real gate, cutter and policy."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fakes import (
    ENCODER_ID,
    CollectingSink,
    FakeClock,
    FakeSource,
    PitchEncoder,
    chunks,
    ended,
    hears_tones,
    listening,
    make_voiceprint,
    plain_calibration,
    quiet,
    tone,
)
from voiceguard.pipeline.judge import Judge
from voiceguard.pipeline.stream import Stream
from voiceguard.scoring.policy import PolicyConfig
from voiceguard.scoring.scorer import Scorer
from voiceguard.speech.ear import Ear
from voiceguard.speech.gate import GateConfig, SpeechGate
from voiceguard.speech.windows import WindowConfig, WindowCutter
from voiceguard.types import AudioChunk, Outcome, Reason, Samples, SourceState, SourceStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voiceguard.decisions.result import Decision
    from voiceguard.protocols import OverlapDetector

ANNA_HZ, STRANGER_HZ = 440.0, 2500.0


@dataclass
class Bench:
    """Runs a script of source events through a Stream and collects what comes out."""

    encoder: PitchEncoder = field(default_factory=PitchEncoder)
    clock: FakeClock = field(default_factory=FakeClock)
    sink: CollectingSink = field(default_factory=CollectingSink)
    change_cosine: float | None = None
    overlap: OverlapDetector | None = None
    statuses: list[SourceStatus] = field(default_factory=list)

    def judge(self) -> Judge:
        calibration = replace(plain_calibration(ENCODER_ID), change_cosine=self.change_cosine)
        anna = make_voiceprint("anna", self.encoder.embed(tone(ANNA_HZ, 1.0)))
        return Judge(
            encoder_id=ENCODER_ID,
            scorer=Scorer([anna], None, calibration),
            policy=PolicyConfig(),
            calibration=calibration,
        )

    def at_this_moment(self, judge: Judge) -> Judge:
        """The judge, where it depends on the time."""
        return judge

    async def run(
        self,
        script: Sequence[AudioChunk | SourceStatus | Callable[[], None]],
        *,
        is_live: bool = False,
    ) -> list[Decision]:
        judge = self.judge()
        cutter = WindowCutter(WindowConfig(), keep_audio=self.overlap is not None)
        with ThreadPoolExecutor(1) as executor:
            stream = Stream(
                FakeSource(script, is_live=is_live),
                ear=Ear(SpeechGate(hears_tones(), GateConfig()), cutter),
                encoder=self.encoder.open_stream(),
                judge=lambda: self.at_this_moment(judge),
                sink=self.sink,
                executor=executor,
                clock=self.clock,
                overlap=self.overlap,
                on_status=lambda _name, status: self.statuses.append(status),
            )
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(stream.listen())
                tasks.create_task(stream.decide())
        self.stream = stream
        return self.sink.finals


def scene(*parts: Samples) -> Samples:
    return np.concatenate([quiet(1.0), *parts])


async def test_a_known_voice_is_accepted_early_and_once_at_the_end() -> None:
    """Provisional accepts come while the speech goes on; exactly one final decision follows."""
    bench = Bench()
    audio = scene(tone(ANNA_HZ, 3.0), quiet(1.0))
    finals = await bench.run([listening(), *chunks(audio), ended()])
    assert [(d.outcome, d.speaker) for d in finals] == [(Outcome.ACCEPTED, "anna")]
    early = [d for d in bench.sink.decisions if not d.is_final and d.outcome is Outcome.ACCEPTED]
    assert early
    assert early[0].end_s < finals[0].end_s


async def test_a_stranger_is_unknown_and_silence_is_nothing() -> None:
    bench = Bench()
    audio = scene(tone(STRANGER_HZ, 3.0), quiet(2.0))
    finals = await bench.run([*chunks(audio), ended()])
    assert [(d.outcome, d.speaker) for d in finals] == [(Outcome.UNKNOWN, None)]
    assert all(d.outcome is not Outcome.ACCEPTED for d in bench.sink.decisions)


async def test_a_word_too_short_is_inconclusive() -> None:
    bench = Bench()
    finals = await bench.run(chunks(scene(tone(ANNA_HZ, 0.5), quiet(1.0))))
    assert [(d.outcome, d.reason) for d in finals] == [(Outcome.INCONCLUSIVE, Reason.TOO_SHORT)]
    assert bench.encoder.num_calls == 1  # the voiceprint; too little speech costs no inference


async def test_silence_costs_no_inference() -> None:
    bench = Bench()
    await bench.run(chunks(quiet(20.0)))
    assert bench.encoder.num_calls == 1  # the voiceprint


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
async def test_any_rate_gives_the_same_decisions_at_the_same_times(rate_hz: int) -> None:
    t = np.arange(rate_hz * 5) / rate_hz
    syllables = 0.55 - 0.45 * np.cos(2 * np.pi * 4.0 * t)
    is_speech = (t >= 1.0) & (t < 4.0)
    noise = np.random.default_rng(0).normal(0, 1e-4, len(t))
    audio = (0.2 * syllables * np.sin(2 * np.pi * ANNA_HZ * t) * is_speech + noise).astype("f4")
    finals = await Bench().run(chunks(audio, rate_hz=rate_hz))
    assert [d.outcome for d in finals] == [Outcome.ACCEPTED]
    assert finals[0].start_s == pytest.approx(0.8, abs=0.1)  # pre-roll included
    assert finals[0].end_s == pytest.approx(4.0, abs=0.1)


async def test_stereo_is_mixed_down() -> None:
    stereo = [
        replace(chunk, samples=np.repeat(chunk.samples, 2, axis=1))
        for chunk in chunks(scene(tone(ANNA_HZ, 3.0), quiet(1.0)))
    ]
    assert [d.outcome for d in await Bench().run(stereo)] == [Outcome.ACCEPTED]


async def test_times_are_those_of_the_speech() -> None:
    """UTC of the speech comes from when its chunk was delivered, however late it is decided."""
    bench = Bench()
    bench.clock.now_s = 1010.0
    finals = await bench.run(chunks(scene(tone(ANNA_HZ, 3.0), quiet(1.0))))
    decision = finals[0]
    opened_at = bench.clock.utc() - timedelta(seconds=10)
    assert (decision.started_at - opened_at).total_seconds() == pytest.approx(decision.start_s)
    assert (decision.ended_at - opened_at).total_seconds() == pytest.approx(decision.end_s)
    assert decision.expires_at - decision.delivered_at == timedelta(seconds=5)


async def test_a_gap_in_mid_speech_is_never_an_accept() -> None:
    """What was heard before and after a gap is two segments; the broken one is inconclusive."""
    bench = Bench()
    parts = chunks(scene(tone(ANNA_HZ, 6.0), quiet(1.0)))
    middle = len(parts) // 2
    late = [
        replace(
            chunk,
            first_sample=chunk.first_sample + 8_000,
            delivered_at_s=chunk.delivered_at_s + 0.5,
            after_gap=number == 0,
        )
        for number, chunk in enumerate(parts[middle:])
    ]
    finals = await bench.run([*parts[:middle], *late])
    assert [(d.outcome, d.reason) for d in finals] == [
        (Outcome.INCONCLUSIVE, Reason.AUDIO_LOST),
        (Outcome.ACCEPTED, Reason.ABOVE_THRESHOLD),
    ]
    assert finals[1].end_s == pytest.approx(7.5, abs=0.1)  # the timeline counts what was lost


async def test_an_accept_before_a_lost_device_is_taken_back() -> None:
    """The provisional accept is revoked by the final decision that says otherwise."""
    bench = Bench()
    lost = SourceStatus(state=SourceState.LOST, detail="unplugged")
    parts = chunks(scene(tone(ANNA_HZ, 3.0)))
    finals = await bench.run([*parts, lost])
    early = next(d for d in bench.sink.decisions if d.outcome is Outcome.ACCEPTED)
    assert finals[-1].reason is Reason.AUDIO_LOST
    assert finals[-1].revokes == early.decision_id
    assert bench.statuses == [lost]


async def test_a_broken_encoder_is_inconclusive_and_the_stream_goes_on() -> None:
    bench = Bench()
    judge = bench.judge()  # before it breaks
    bench.judge = lambda: judge  # type: ignore[method-assign]
    bench.encoder.fails = True
    audio = scene(tone(ANNA_HZ, 2.0), quiet(1.0), tone(ANNA_HZ, 2.0), quiet(1.0))
    finals = await bench.run(chunks(audio))
    assert [d.reason for d in finals] == [Reason.INFERENCE_FAILED] * 2


async def test_another_voice_ends_the_segment_and_is_judged_for_itself() -> None:
    """No pause between the enrolled speaker and a stranger: two segments, two decisions."""
    bench = Bench(change_cosine=0.5)
    audio = scene(tone(ANNA_HZ, 4.2), tone(STRANGER_HZ, 4.0), quiet(1.0))
    finals = await bench.run(chunks(audio))
    assert [(d.outcome, d.speaker) for d in finals] == [
        (Outcome.ACCEPTED, "anna"),
        (Outcome.UNKNOWN, None),
    ]


async def test_decisions_of_a_file_do_not_depend_on_how_it_is_cut() -> None:
    audio = scene(tone(ANNA_HZ, 5.0), quiet(0.8), tone(STRANGER_HZ, 2.0), quiet(1.0))

    async def figures(block_s: float) -> list[tuple[object, ...]]:
        finals = await Bench(change_cosine=0.5).run(chunks(audio, block_s=block_s))
        return [(d.outcome, d.speaker, d.start_s, d.end_s, d.scores[0].cosine) for d in finals]

    assert await figures(0.013) == await figures(0.1) == await figures(2.0)


async def test_what_was_pending_when_the_machine_slept_is_dropped() -> None:
    """A decision about speech from before a suspend would be stale."""
    bench = Bench()
    parts = chunks(scene(tone(ANNA_HZ, 3.0)))
    after = [
        replace(chunk, first_sample=chunk.first_sample + 64_000, delivered_at_s=5000.0)
        for chunk in chunks(quiet(2.0))
    ]

    def sleep() -> None:
        bench.clock.slept_s = 3600.0

    finals = await bench.run([*parts, sleep, *after], is_live=True)
    assert [d.reason for d in finals] == [Reason.AUDIO_LOST]


async def test_counters_tell_what_was_done() -> None:
    bench = Bench()
    audio = scene(tone(ANNA_HZ, 2.0), quiet(1.0))
    audio[1000] = np.nan
    await bench.run(chunks(audio))
    statistics = bench.stream.statistics()
    assert statistics.segments == 1
    assert statistics.samples_not_finite == 1
    assert statistics.speech_s == pytest.approx(2.0, abs=0.2)
    assert statistics.windows_embedded >= 3
