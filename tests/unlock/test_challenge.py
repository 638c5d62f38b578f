"""Digits: the right voice must say the right ones, once, in time."""

from __future__ import annotations

import asyncio
import random
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.services import free_port, require_program
from tests.unlock.sphinx import sphinx_server
from tests.unlock.test_desk import STRANGER, House
from tests.wyoming.peers import SpeechToText, serving
from voiceguard.audio.files import load_audio
from voiceguard.errors import AudioError
from voiceguard.types import AudioChunk
from voiceguard.unlock import hearing as hearing_module
from voiceguard.unlock.challenge import digits_in, draw_digits
from voiceguard.unlock.config import UnlockAction, UnlockConfig
from voiceguard.unlock.hearing import Hearing, transcribe
from voiceguard.wyoming.config import Address

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = UnlockConfig(
    speech_to_text="tcp://127.0.0.1:10300",
    actions={"front-door": UnlockAction(speakers=("anna",), level="challenge")},
)
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
NUM_STRINGS = 10


class Ears(Hearing):
    """Hears what it is told."""

    def __init__(self) -> None:
        super().__init__(Address("127.0.0.1", 1), "en", "downmix")
        self.text: str | Exception = ""
        self.num_asked = 0

    async def text_of(self, stream: str, start_s: float, end_s: float) -> str:  # noqa: ARG002
        self.num_asked += 1
        if isinstance(self.text, Exception):
            raise self.text
        return self.text


@pytest.fixture
async def house(tmp_path: Path) -> Any:  # noqa: ANN401
    async with House(tmp_path, CONFIG, Ears()).running() as made:
        yield made


async def challenged(house: House) -> str:
    await house.ask()
    notice = house.notices()[-1]
    assert (notice["state"], notice["seconds"]) == ("opened", 10)
    house.clock.now_s += 4
    return str(notice["digits"])


def ears(house: House) -> Ears:
    assert isinstance(house.desk.hearing, Ears)
    return house.desk.hearing


async def test_the_right_digits_in_the_right_voice_open(house: House) -> None:
    digits = await challenged(house)
    ears(house).text = " ".join(WORDS[int(each)] for each in digits)
    await house.say()
    assert house.opened().policy == "challenge"


@pytest.mark.parametrize("change", ["", "1{0}", "{0}1", "{1}", "nothing of the kind"])
async def test_other_digits_fewer_or_more_are_a_failure(house: House, change: str) -> None:
    digits = await challenged(house)
    ears(house).text = change.format(digits, digits[:-1])
    await house.say()
    assert not house.envelopes()
    assert house.notices()[-1]["failures"] == 1


async def test_the_answer_to_an_earlier_challenge_fails(house: House) -> None:
    ears(house).text = await challenged(house)
    await house.say()
    assert house.opened()
    await challenged(house)
    await house.say()
    assert len(house.envelopes()) == 1
    assert house.notices()[-1]["state"] == "failed"


async def test_another_voice_is_a_failure_whatever_it_says_and_nobody_transcribes_it(
    house: House,
) -> None:
    ears(house).text = await challenged(house)
    await house.say(**STRANGER)
    assert not house.envelopes()
    assert ears(house).num_asked == 0


async def test_after_ten_seconds_it_is_too_late(house: House) -> None:
    ears(house).text = await challenged(house)
    house.clock.now_s += 7
    await house.say(began_ago_s=5, ended_ago_s=0.9)
    assert not house.envelopes()


@pytest.mark.parametrize("fault", [AudioError("gone"), RuntimeError("a bug of theirs")])
async def test_without_a_transcript_nothing_opens_and_nothing_is_counted(
    house: House, fault: Exception
) -> None:
    await challenged(house)
    ears(house).text = fault
    await house.say()
    assert not house.envelopes()
    assert house.notices()[-1]["reason"] == "speech_to_text"
    await challenged(house)
    assert house.records.counters.read().of("front-door").num_failures == 0


def test_digits_are_drawn_evenly_and_never_the_same() -> None:
    drawn = [draw_digits(6) for _ in range(2000)]
    assert len(set(drawn)) > 1950
    counts = [sum(each.count(str(digit)) for each in drawn) for digit in range(10)]
    assert min(counts) > 1000


@pytest.mark.parametrize(
    ("language", "text", "digits"),
    [
        ("en", "Four, seven one. Nine!", "4719"),
        ("en", "4 7-19", "4719"),
        ("en", "oh two, for you", "02"),
        ("de", "Vier zwo fünf", "425"),
        ("fr", "quatre, zéro; huit", "408"),
        ("es", "", ""),
    ],
)
def test_digits_are_read_as_words_and_as_figures(language: Any, text: str, digits: str) -> None:  # noqa: ANN401
    assert digits_in(text, language) == digits


def test_what_a_stream_heard_is_cut_out_to_the_sample() -> None:
    ears = Hearing(Address("127.0.0.1", 1), "en", "downmix")
    samples = np.arange(16_000 * 25, dtype=np.float32) / 1e6
    for first in range(0, len(samples), 1000):
        block = samples[first : first + 1000, None]
        chunk = AudioChunk(
            samples=block, rate_hz=16_000, first_sample=first, delivered_at_s=first / 16_000
        )
        ears.heard("hall", chunk, is_speech=True)
    assert np.array_equal(ears.cut("hall", 10.01, 12.5), samples[160_160:200_000])
    for stream, start_s, end_s in (("hall", 1, 3), ("hall", 24, 26), ("attic", 10, 12)):
        with pytest.raises(AudioError, match="not there as a whole"):
            ears.cut(stream, start_s, end_s)


@pytest.mark.parametrize(
    "of",
    [
        SpeechToText(fault="dies"),
        SpeechToText(fault="stalls"),
        SpeechToText(garbage=b"no protocol\n"),
    ],
    ids=["dies", "stalls", "garbage"],
)
async def test_a_speech_to_text_that_fails_is_an_error_by_name(
    of: SpeechToText, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing_module, "ANSWER_TIMEOUT_S", 1.0)
    async with serving(of):
        with pytest.raises(AudioError, match="speech-to-text"):
            await transcribe(Address("127.0.0.1", of.port), np.zeros(16_000, np.float32), "en")
    with pytest.raises(AudioError, match="can't be reached"):
        await transcribe(Address("127.0.0.1", free_port()), np.zeros(1, np.float32), "en")


@pytest.mark.parametrize("program", ["flite", "espeak-ng"])
async def test_a_real_speech_to_text_reads_nine_of_ten(tmp_path: Path, program: str) -> None:
    rng = random.Random(15)
    num_right = 0
    async with sphinx_server(tmp_path) as address:
        for _ in range(NUM_STRINGS):
            digits = "".join(str(rng.randrange(10)) for _ in range(6))
            recording = await asyncio.to_thread(spoken, tmp_path / "spoken.wav", program, digits)
            text = await transcribe(address, load_audio(recording), "en")
            num_right += digits_in(text, "en") == digits
    assert num_right >= 0.9 * NUM_STRINGS, num_right


def spoken(path: Path, program: str, digits: str) -> Path:
    """A WAV of digits by a synthetic voice."""
    text = " ".join(WORDS[int(each)] for each in digits)
    options = {
        "flite": ["-voice", "slt", "--setf", "duration_stretch=1.2", "-t", text, "-o", str(path)],
        "espeak-ng": ["-v", "en-us+f2", "-s", "110", "-w", str(path), text],
    }
    subprocess.run([require_program(program), *options[program]], check=True)
    return path
