"""Two voices at once: told, never an accept; and what happens where nobody can tell."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.fakes import FakeOverlap, chunks, quiet, tone
from tests.pipeline.test_stream import ANNA_HZ, STRANGER_HZ, Bench, scene
from voiceguard.types import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from voiceguard.pipeline.judge import Judge
    from voiceguard.types import AudioChunk


@pytest.mark.parametrize("hz", [ANNA_HZ, STRANGER_HZ])
async def test_two_voices_at_once_are_inconclusive_early_and_at_the_end(hz: float) -> None:
    bench = Bench(overlap=FakeOverlap())
    (final,) = await bench.run(chunks(scene(tone(hz, 3.0), quiet(1.0))))
    assert (final.outcome, final.reason) == (Outcome.INCONCLUSIVE, Reason.MORE_THAN_ONE_VOICE)
    assert all(each.outcome is not Outcome.ACCEPTED for each in bench.sink.decisions)


async def test_one_voice_is_judged_as_if_nobody_listened() -> None:
    audio = chunks(scene(tone(ANNA_HZ, 3.0), quiet(1.0)))
    detector = FakeOverlap(answer=False)
    (final,) = await Bench(overlap=detector).run(audio)
    (other,) = await Bench().run(audio)
    assert final.outcome is Outcome.ACCEPTED
    assert final.judgement == other.judgement
    # The last time for the final decision, which all of the segment is heard for.
    assert detector.lengths[-1] == max(detector.lengths) > 2.5 * 16_000


async def test_a_word_too_short_to_decide_on_is_not_listened_to() -> None:
    detector = FakeOverlap()
    (final,) = await Bench(overlap=detector).run(chunks(scene(tone(ANNA_HZ, 0.5), quiet(1.0))))
    assert (final.reason, detector.lengths) == (Reason.TOO_SHORT, [])


async def test_a_detector_that_fails_accepts_nobody_and_the_stream_goes_on() -> None:
    bench = Bench(overlap=FakeOverlap(fails=True))
    audio = scene(tone(ANNA_HZ, 2.0), quiet(1.0), tone(ANNA_HZ, 2.0), quiet(1.0))
    finals = await bench.run(chunks(audio))
    assert [each.reason for each in finals] == [Reason.INFERENCE_FAILED] * 2
    assert all(each.outcome is not Outcome.ACCEPTED for each in bench.sink.decisions)


async def test_a_detector_that_fails_at_the_end_takes_an_early_accept_back() -> None:
    """What was accepted while the speech went on, before two voices could be told."""
    detector = FakeOverlap(answer=False)
    bench = Bench(overlap=detector)

    def breaks() -> None:
        detector.fails = True

    audio = chunks(scene(tone(ANNA_HZ, 3.0), quiet(1.0)))
    spoken: list[AudioChunk | Callable[[], None]] = [
        *audio[: len(audio) * 3 // 4],
        breaks,
        *audio[len(audio) * 3 // 4 :],
    ]
    (final,) = await bench.run(spoken)
    early = next(each for each in bench.sink.decisions if each.outcome is Outcome.ACCEPTED)
    assert final.reason is Reason.INFERENCE_FAILED
    assert final.revokes == early.decision_id


async def test_a_look_that_falls_due_while_the_encoder_runs_waits_for_one_that_is_listened_to() -> (
    None
):
    """Somebody chooses another rate in mid-inference: nothing is decided on unheard."""

    class Choosing(Bench):
        def at_this_moment(self, judge: Judge) -> Judge:
            look_from_s = 0.8 if self.encoder.num_calls > 4 else 10.0
            return replace(judge, policy=replace(judge.policy, look_from_s=look_from_s))

    bench = Choosing(overlap=FakeOverlap())
    await bench.run(chunks(scene(tone(ANNA_HZ, 3.0), quiet(1.0))))
    assert {each.reason for each in bench.sink.decisions} == {Reason.MORE_THAN_ONE_VOICE}
