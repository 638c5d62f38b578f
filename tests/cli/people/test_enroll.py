"""``voiceguard enroll``: from files as a user does it, and from a microphone that is a fake."""

from __future__ import annotations

import json
import re
import wave
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.cli.command import voiceguard
from tests.enrollment.speaking import no_takes
from tests.fakes import FakeSource, chunks, hears_tones, quiet, tone
from tests.recordings import STRANGERS, TAKES
from tests.voiceprints.people import make_voiceprint
from voiceguard.audio.files import load_audio
from voiceguard.cli.people.microphone import Studio
from voiceguard.cli.people.sentences import SENTENCES
from voiceguard.enrollment import Problem, TakeReport
from voiceguard.errors import DeviceError, ExitCode
from voiceguard.settings import Settings
from voiceguard.types import Samples, SourceState, SourceStatus
from voiceguard.voiceprints import VoiceprintStore

if TYPE_CHECKING:
    from pathlib import Path

STRANGER = STRANGERS[0]


# --- from files -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory in which robin is enrolled."""
    state = tmp_path_factory.mktemp("state")
    result = voiceguard(
        "enroll", "robin", "--from", *TAKES[:2], "--yes", "--display-name", "Robin Ø", state=state
    )
    assert result.returncode == 0, result.stderr
    assert "enrolled Robin Ø (as robin): 2 take(s)" in result.stdout
    assert "expected: of Robin Ø's utterances with 3 s of speech" in result.stdout
    assert "voiceguard run" in result.stdout
    assert "before you enroll" in result.stderr
    return state


def test_files_become_a_voiceprint_with_consent_and_display_name(enrolled: Path) -> None:
    voiceprint = VoiceprintStore(enrolled, environ={}).load("robin")
    assert voiceprint.display_name == "Robin Ø"
    assert len(voiceprint.templates) == 2
    assert abs((datetime.now(UTC) - voiceprint.consent_at).total_seconds()) < 600


def test_an_enrolled_speaker_is_neither_overwritten_nor_asked_to_read(enrolled: Path) -> None:
    before = VoiceprintStore(enrolled, environ={}).generation()
    result = voiceguard("enroll", "robin", "--from", *TAKES[:2], "--yes", state=enrolled)
    assert result.returncode == 1
    assert "already enrolled" in result.stderr
    assert "--force" in result.stderr
    assert VoiceprintStore(enrolled, environ={}).generation() == before


def test_add_takes_another_room_in_and_reports_as_json(enrolled: Path) -> None:
    result = voiceguard(
        "enroll", "robin", "--from", TAKES[2], "--add", "--label", "car", "--json", state=enrolled
    )
    assert result.returncode == 0, result.stderr
    assert "before you enroll" not in result.stderr
    answer = json.loads(result.stdout)
    assert answer["num_templates"] == 3
    ranges = {
        (each["occasion"], each["speech_s"]): each for each in answer["prediction"]["accepted"]
    }
    assert set(ranges) >= {("same session", length_s) for length_s in (2.0, 3.0, 5.0)}
    assert all(0 <= each["low"] <= each["high"] <= 1 for each in ranges.values())
    (take,) = answer["takes"]
    assert (take["file"], take["usable"], take["problems"]) == (str(TAKES[2]), True, [])
    assert VoiceprintStore(enrolled, environ={}).load("robin").templates[-1].label == "car"


def test_a_voice_under_another_name_is_refused_unless_it_is_another_persons(enrolled: Path) -> None:
    arguments = ("enroll", "twin", "--from", *TAKES[:2], "--yes")
    refused = voiceguard(*arguments, state=enrolled)
    assert refused.returncode == 1
    assert "this sounds like 'robin'" in refused.stderr
    assert "voiceguard enroll robin --add" in refused.stderr
    assert "twin" not in VoiceprintStore(enrolled, environ={}).names()
    stranger = voiceguard("enroll", "ben", "--from", STRANGER, "--yes", state=enrolled)
    assert stranger.returncode == 0, stranger.stderr
    done = voiceguard(*arguments, "--another-person", state=enrolled)
    assert done.returncode == 0, done.stderr
    for name in ("twin", "ben"):
        VoiceprintStore(enrolled, environ={}).remove(name)


def test_the_word_comes_first_and_strict_tells_a_weak_one_by_its_exit_code(tmp_path: Path) -> None:
    settings = tmp_path / "strict.toml"
    settings.write_text("[policy]\np_fa = 1e-9\n")  # hardly anybody would be accepted
    arguments = ("--from", *TAKES[:2], "--yes", "--config", settings)
    done = voiceguard("enroll", "anna", *arguments, state=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("weak: ")
    again = ("--force", "--strict", "--json")
    strict = voiceguard("enroll", "anna", *arguments, *again, state=tmp_path)
    assert strict.returncode == ExitCode.WEAK
    assert json.loads(strict.stdout)["quality"] == "weak"
    assert VoiceprintStore(tmp_path, environ={}).names() == ("anna",)


def test_a_strangers_file_among_them_is_left_out_by_name(tmp_path: Path) -> None:
    result = voiceguard(
        "enroll", "robin", "--from", *TAKES[:2], STRANGER, "--yes", "--json", state=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert f"no {STRANGER}: Doesn't match the other takes" in result.stderr
    assert [take["problems"] for take in json.loads(result.stdout)["takes"]] == [
        [],
        [],
        ["does_not_match"],
    ]
    assert len(VoiceprintStore(tmp_path, environ={}).load("robin").templates) == 2


def test_silence_is_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "silence.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16_000 * 8))
    state = tmp_path / "state"
    result = voiceguard("enroll", "anna", "--from", tmp_path / "silence.wav", "-y", state=state)
    assert result.returncode == 1
    assert "No speech was heard" in result.stderr
    assert VoiceprintStore(state, environ={}).names() == ()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["Anna/1", "--yes"], 2, "must not contain '/'"),
        (["Nobody", "--yes"], 2, "nobody can be called 'nobody'"),
        (["anna", "--display-name", "Unavailable", "--yes"], 2, "'unavailable'"),
        (["a" * 200, "--yes"], 2, "200 characters"),
        (["anna", "--from", TAKES[0]], 2, "--yes"),
        (["anna", "--from", TAKES[0], "--add", "--force"], 2, "exclude each other"),
        (["anna", "--from", TAKES[0], "--source", "device"], 2, "exclude each other"),
        (["anna", TAKES[0]], 2, "--from"),
        (["anna", "--source", "stdin", "--yes"], 2, "no microphone"),
        (["anna", "--from", TAKES[0], "--add"], 1, "no voiceprint of 'anna'"),
        (["anna", "--from", "/nowhere.wav", "--yes"], 1, "/nowhere.wav"),
        (["anna", "--from", __file__, "--yes"], 1, "test_enroll.py"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(
    arguments: list[str], exit_code: int, message: str, tmp_path: Path
) -> None:
    result = voiceguard("enroll", *arguments, state=tmp_path)
    assert result.returncode == exit_code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.rglob("*.voiceprint"))


# --- keeping the audio ----------------------------------------------------------------------


def test_audio_is_not_kept_unless_it_is_asked_for(enrolled: Path) -> None:
    """--yes speaks for the voiceprint only."""
    store = VoiceprintStore(enrolled, environ={})
    assert store.load_audio(store.load("robin")) is None


def test_audio_is_kept_with_its_consent_and_added_to(tmp_path: Path) -> None:
    first = voiceguard("enroll", "robin", "--from", TAKES[0], "-y", "--keep-audio", state=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "s of audio are kept beside it, encrypted" in first.stdout
    added = voiceguard(
        *("enroll", "robin", "--from", TAKES[1], "--add", "--keep-audio", "--json"), state=tmp_path
    )
    assert added.returncode == 0, added.stderr
    store = VoiceprintStore(tmp_path, environ={})
    voiceprint = store.load("robin")
    audio = store.load_audio(voiceprint)
    assert audio is not None
    assert json.loads(added.stdout)["audio_kept_s"] == pytest.approx(audio.seconds, abs=0.01)
    for template, file in zip(voiceprint.templates, TAKES, strict=False):
        kept = audio.samples_of(template)
        assert kept is not None
        np.testing.assert_allclose(kept, load_audio(file), atol=1 / 32767)
    assert all(take.consent_at < take.recorded_at for take in audio.takes)


def test_takes_of_another_encoder_are_refused_before_anybody_reads(tmp_path: Path) -> None:
    """``--add`` to a voiceprint that the encoder in use can't be compared with."""
    VoiceprintStore(tmp_path, environ={}).save(make_voiceprint("anna"))
    result = voiceguard("enroll", "anna", "--from", TAKES[0], "--add", state=tmp_path)
    assert result.returncode == 1
    assert "the voiceprint of 'anna' was made by encoder" in result.stderr
    assert "ok " not in result.stderr, "no take was embedded"


# --- from a microphone ----------------------------------------------------------------------


def sentence(hz: float = 500.0, seconds: float = 4.0) -> Samples:
    return np.concatenate((quiet(0.5), tone(hz, seconds), quiet(3.0, seed=2)))


class Reader:
    """A person at a microphone, who says these things one after the other."""

    def __init__(self, *takes: Samples | SourceStatus) -> None:
        self.sources = [
            FakeSource(chunks(take) if isinstance(take, np.ndarray) else [take], hold=True)
            for take in takes
        ]
        self.num_opened = 0
        self.num_asked = 0
        self.told: list[TakeReport] = []
        self.numbered: list[str] = []
        self.takes = no_takes()

    def read(self) -> None:
        Studio(
            open_source=self._open,
            make_vad=hears_tones,
            settings=Settings(),
            wait_for_reader=self._ask,
        ).fill(self.takes, "kitchen", tell=self._tell)

    def _tell(self, what: str, report: TakeReport) -> None:
        self.told.append(report)
        self.numbered.append(what)

    def _ask(self) -> None:
        self.num_asked += 1

    def _open(self) -> FakeSource:
        self.num_opened += 1
        return self.sources[self.num_opened - 1]


def test_three_good_sentences_are_enough(capsys: pytest.CaptureFixture[str]) -> None:
    reader = Reader(*(sentence(seconds=5.0) for _ in range(5)))
    reader.read()
    assert reader.num_opened == reader.num_asked == 3
    assert all(report.is_usable for report in reader.told)
    assert reader.takes.usable_speech_s <= 30
    now = datetime.now(UTC)
    voiceprint = reader.takes.voiceprint("anna", consent_at=now, now=now)
    assert [template.label for template in voiceprint.templates] == ["kitchen"] * 3
    shown = capsys.readouterr().err
    assert re.findall(r"about \d+ s of speech to go|\d more takes? to go", shown)
    assert "of 12 s" not in shown
    assert [prompt in shown for prompt in SENTENCES["en"]] == [True, True, True, False, False]


def test_a_bad_take_is_explained_and_its_sentence_read_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    takes = [sentence(), quiet(12.0), sentence(1500.0), *(sentence() for _ in range(5))]
    reader = Reader(*takes)
    reader.read()
    problems = [report.problems for report in reader.told]
    assert problems[0] == ()
    assert problems[1] == (Problem.SILENCE,)
    assert problems[2] == (Problem.DOES_NOT_MATCH,)
    assert all(problem == () for problem in problems[3:])
    assert reader.numbered[:4] == ["take 1", "take 2", "take 2", "take 2"]
    assert capsys.readouterr().err.count(SENTENCES["en"][1]) == 3


def test_after_ten_takes_it_gives_up() -> None:
    reader = Reader(*(quiet(9.0) for _ in range(12)))
    reader.read()
    assert reader.num_opened == 10


def test_a_microphone_that_goes_away_ends_it_and_is_closed() -> None:
    reader = Reader(sentence(), SourceStatus(state=SourceState.LOST, detail="unplugged"))
    with pytest.raises(DeviceError, match="unplugged"):
        reader.read()
    assert reader.sources[1].closed.is_set()


def test_ctrl_c_in_mid_take_closes_the_microphone() -> None:
    reader = Reader()
    interrupted = FakeSource([*chunks(sentence())[:5], _interrupt])
    reader.sources.append(interrupted)
    with pytest.raises(KeyboardInterrupt):
        reader.read()
    assert reader.takes.reports == ()


def _interrupt() -> None:
    raise KeyboardInterrupt
