"""Audio that is pushed is decided on as the daemon decides, however it is cut."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import voiceguard
from tests.fakes import FakeOverlap
from tests.recordings import SPOKEN, STRANGERS, TAKES
from voiceguard.audio.files import load_audio
from voiceguard.errors import AudioError, ConfigError, StoreKeyError, UsageError
from voiceguard.people.config import PeopleConfig, Rule
from voiceguard.settings import load_settings
from voiceguard.testing import FakeEncoder, fake_guard, quiet, tone
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from voiceguard import Decision, Guard
    from voiceguard.types import Samples

ANNA_HZ, BEN_HZ = 440.0, 1500.0


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    made = fake_guard(tmp_path)
    takes = [tone(ANNA_HZ, 6.0, seed=take) for take in range(3)]
    made.enroll("anna", takes, consent=True, display_name="Anna")
    return made


def spoken(hz: float, seconds: float = 3.0) -> Samples:
    return np.concatenate([quiet(1.0), tone(hz, seconds, seed=9), quiet(1.5)])


def pushed(guard: Guard, samples: NDArray[Any], block: int, rate: int = 16_000) -> list[Decision]:
    stream = guard.stream("hall")
    decisions = []
    for first in range(0, len(samples), block):
        decisions += stream.feed(samples[first : first + block], rate)
    return decisions + stream.finish()


def test_the_enrolled_voice_is_accepted_while_it_speaks_and_a_stranger_is_not(
    guard: Guard,
) -> None:
    decisions = pushed(guard, np.concatenate([spoken(ANNA_HZ), spoken(BEN_HZ)]), 1600)
    finals = [(each.outcome, each.speaker) for each in decisions if each.is_final]
    assert finals == [("accepted", "anna"), ("unknown", None)]
    assert decisions[0].stream == "hall"
    assert not decisions[0].is_final, "it was said before the segment had ended"


@pytest.mark.parametrize("block", [37, 1600, 1_000_000])
def test_however_the_audio_is_cut_the_decisions_are_the_same(guard: Guard, block: int) -> None:
    samples = np.concatenate([spoken(ANNA_HZ, 2.0), spoken(BEN_HZ, 2.0)])
    want = pushed(guard, samples, 480)
    got = pushed(guard, samples, block)
    assert [each.judgement for each in got] == [each.judgement for each in want]
    assert [(each.start_s, each.end_s) for each in got] == [
        (each.start_s, each.end_s) for each in want
    ]


def test_it_decides_as_the_daemon_decides_about_the_same_file(tmp_path: Path) -> None:
    """The shipped encoder, real gate: one path for both."""
    guard = voiceguard.open_guard(state_dir=str(tmp_path))
    guard.enroll("robin", TAKES[:3], consent=True)
    for file in (SPOKEN[0], STRANGERS[0]):
        settings = load_settings(
            state_dir=str(tmp_path),
            mqtt={"broker": "none"},
            audio={"sources": (f"file:{file}",), "paced": False},
        )
        of_daemon: list[Decision] = []
        asyncio.run(voiceguard.listen(of_daemon.append, settings))
        got = pushed(guard, load_audio(file, 0), 1600)
        assert [each.judgement for each in got] == [each.judgement for each in of_daemon]


def test_rates_channels_and_types_of_samples_are_taken_as_they_are(guard: Guard) -> None:
    at_48_khz = np.repeat(spoken(ANNA_HZ), 3)
    stereo = np.stack([at_48_khz, at_48_khz], axis=1)
    as_int16 = (spoken(ANNA_HZ) * 32767).astype(np.int16)
    for samples, rate in ((stereo, 48_000), (as_int16, 16_000), (spoken(ANNA_HZ) * 1.0, 16_000)):
        assert pushed(guard, samples, 4800, rate)[-1].speaker == "anna"


def test_another_rate_ends_the_segment_before_it(guard: Guard) -> None:
    stream = guard.stream()
    stream.feed(tone(ANNA_HZ, 3.0), 16_000)
    (decision,) = [each for each in stream.feed(np.repeat(quiet(0.5), 3), 48_000) if each.is_final]
    assert decision.reason is voiceguard.Reason.AUDIO_LOST


def test_where_audio_is_missing_nobody_is_accepted(guard: Guard) -> None:
    stream = guard.stream()
    stream.feed(tone(ANNA_HZ, 3.0), 16_000)
    assert [(each.outcome, each.reason) for each in stream.gap() if each.is_final] == [
        ("inconclusive", "audio_lost")
    ]


def test_who_is_enrolled_or_removed_counts_from_the_next_piece_on(guard: Guard) -> None:
    stream = guard.stream()
    assert stream.feed(spoken(BEN_HZ), 16_000)[-1].outcome == "unknown"
    guard.enroll("ben", [tone(BEN_HZ, 6.0, seed=take) for take in range(3)], consent=True)
    assert stream.feed(spoken(BEN_HZ), 16_000)[-1].speaker == "ben"
    guard.remove("ben")
    assert stream.feed(spoken(BEN_HZ), 16_000)[-1].outcome == "unknown"


def test_without_the_key_nobody_is_recognised_and_the_stream_goes_on_with_it(
    guard: Guard, tmp_path: Path
) -> None:
    stream = guard.stream()
    key = next(tmp_path.glob("*key*"))
    content = key.read_bytes()
    key.unlink()
    with pytest.raises(StoreKeyError):
        stream.feed(spoken(ANNA_HZ), 16_000)
    key.write_bytes(content)
    key.chmod(0o600)
    assert stream.feed(spoken(ANNA_HZ), 16_000)[-1].speaker == "anna"


def test_what_an_error_kept_from_being_heard_is_a_gap(guard: Guard, tmp_path: Path) -> None:
    """Nobody is accepted by two ends of a sentence whose middle nobody has heard."""
    key = tmp_path / "voiceguard.key"
    begun, missed, rest = np.array_split(spoken(ANNA_HZ), 3)
    stream = guard.stream()
    stream.feed(begun, 16_000)
    key.rename(tmp_path / "elsewhere")
    with pytest.raises(StoreKeyError):
        stream.feed(missed, 16_000)
    (tmp_path / "elsewhere").rename(key)
    decisions = [*stream.feed(rest, 16_000), *stream.finish()]
    assert decisions[0].reason is voiceguard.Reason.AUDIO_LOST


def test_a_piece_that_is_no_audio_is_a_gap_as_well(guard: Guard) -> None:
    stream = guard.stream()
    stream.feed(tone(ANNA_HZ, 3.0), 16_000)
    with pytest.raises(AudioError):
        stream.feed(np.zeros(100, np.int64), 16_000)
    assert stream.feed(quiet(0.1), 16_000)[-1].reason is voiceguard.Reason.AUDIO_LOST


def test_an_end_that_could_not_be_judged_can_be_asked_for_again(
    guard: Guard, tmp_path: Path
) -> None:
    key = tmp_path / "voiceguard.key"
    stream = guard.stream()
    stream.feed(spoken(ANNA_HZ)[: 3 * SAMPLE_RATE_HZ], SAMPLE_RATE_HZ)
    key.rename(tmp_path / "elsewhere")
    with pytest.raises(StoreKeyError):
        stream.finish()
    (tmp_path / "elsewhere").rename(key)
    assert stream.finish()[-1].speaker == "anna"


def test_an_encoder_that_fails_accepts_nobody(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    guard = fake_guard(tmp_path, encoder=encoder)
    guard.enroll("anna", [tone(ANNA_HZ, 6.0, seed=take) for take in range(3)], consent=True)
    encoder.fails = True
    (decision,) = pushed(guard, spoken(ANNA_HZ), 1600)
    assert (decision.outcome, decision.reason) == ("inconclusive", "inference_failed")


def test_two_people_at_once_are_nobody_and_a_detector_that_fails_accepts_nobody(
    tmp_path: Path,
) -> None:
    detector = FakeOverlap(answer=False)
    guard = fake_guard(tmp_path, overlap=detector)
    guard.enroll("anna", [tone(ANNA_HZ, 6.0, seed=take) for take in range(3)], consent=True)
    audio = spoken(ANNA_HZ)
    assert [each.outcome for each in pushed(guard, audio, 1600) if each.is_final] == ["accepted"]
    detector.answer = True
    decisions = pushed(guard, audio, 1600)
    assert guard.verify("anna", audio).reason is voiceguard.Reason.MORE_THAN_ONE_VOICE
    detector.fails = True
    decisions += pushed(guard, audio, 1600)
    assert [each.reason for each in decisions if each.is_final] == [
        "more_than_one_voice",
        "inference_failed",
    ]
    assert not any(each.outcome is voiceguard.Outcome.ACCEPTED for each in decisions)


async def test_a_coroutine_pushes_too_and_calls_take_turns(guard: Guard) -> None:
    async with guard.stream_async("hall") as stream:
        pieces = np.split(spoken(ANNA_HZ), 5)
        answers = await asyncio.gather(*(stream.feed(each, 16_000) for each in pieces))
        decisions = [each for answer in answers for each in answer] + await stream.finish()
    assert decisions[-1].speaker == "anna"
    assert decisions[-1].judgement == pushed(guard, spoken(ANNA_HZ), 1600)[-1].judgement


async def test_a_call_that_is_cancelled_ends_before_the_next_and_loses_nothing(
    guard: Guard,
) -> None:
    stream = guard.stream_async("hall")
    feeding = asyncio.create_task(stream.feed(spoken(ANNA_HZ), 16_000))
    await asyncio.sleep(0)
    feeding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await feeding
    decisions = await stream.finish()
    assert decisions[-1].speaker == "anna"
    assert decisions[-1].judgement == pushed(guard, spoken(ANNA_HZ), 1600)[-1].judgement


@pytest.mark.parametrize(
    ("samples", "rate", "says"),
    [
        (np.zeros((2, 2, 2)), 16_000, r"shape \(2, 2, 2\)"),
        (np.zeros((100, 0)), 16_000, r"shape \(100, 0\)"),
        ([[1.0], [1.0, 2.0]], 16_000, "no array"),
        (np.zeros(100, np.int64), 16_000, "int64"),
        (np.array(["a"]), 16_000, "can't be heard"),
        (np.zeros(100, np.float32), 0, "0 Hz"),
        (np.zeros(100, np.float32), 1_000_000, "1000000 Hz"),
    ],
)
def test_what_is_no_audio_is_named_and_the_stream_goes_on(
    guard: Guard, samples: NDArray[Any], rate: int, says: str
) -> None:
    stream = guard.stream()
    with pytest.raises(AudioError, match=says):
        stream.feed(samples, rate)
    assert stream.feed(spoken(ANNA_HZ), SAMPLE_RATE_HZ)[-1].speaker == "anna"


def test_a_stream_that_is_finished_takes_nothing_more(guard: Guard) -> None:
    with guard.stream("hall") as stream:
        stream.feed(spoken(ANNA_HZ), 16_000)
    with pytest.raises(UsageError, match="'hall' is finished"):
        stream.feed(quiet(1.0), 16_000)
    assert stream.finish() == []


def test_people_s_rules_hold_for_the_stream_of_that_name(guard: Guard, tmp_path: Path) -> None:
    people = PeopleConfig(rules={"hall": Rule(who=("anna",), streams=("hall",))})
    ruled = fake_guard(tmp_path, people=people)
    assert ruled.stream("hall").feed(spoken(ANNA_HZ), 16_000)[-1].speaker == "anna"
    refused = ruled.stream("den").feed(spoken(ANNA_HZ), 16_000)[-1]
    assert (refused.outcome, refused.speaker, refused.rule) == ("rejected", None, "hall")
    guard.remove("anna")
    with pytest.raises(ConfigError, match="'anna' is not enrolled"):
        ruled.stream("hall")
