"""``verify``, ``identify``, ``embed``, ``run``, ``config`` from outside: output, exit codes."""

from __future__ import annotations

import json
import os
import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.audio.sound_files import write_audio
from tests.cli.command import voiceguard
from tests.recordings import STRANGERS, TAKES
from voiceguard.audio.files import load_audio

if TYPE_CHECKING:
    from pathlib import Path

STRANGER = STRANGERS[0]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory in which robin is enrolled."""
    state = tmp_path_factory.mktemp("state")
    finished = voiceguard("enroll", "robin", "--from", *TAKES[:3], "--yes", state=state)
    assert finished.returncode == 0, finished.stderr
    return state


def test_verify_accepts_and_rejects_by_exit_code(state: Path) -> None:
    accepted = voiceguard("verify", "robin", TAKES[3], "--json", state=state)
    assert accepted.returncode == 0, accepted.stderr
    result = json.loads(accepted.stdout)
    assert (result["outcome"], result["speaker"]) == ("accepted", "robin")
    assert result["scores"][0]["llr"] > result["accept_llr"]
    assert voiceguard("verify", "robin", STRANGER, state=state).returncode in {3, 4}


def test_identify_names_the_speaker_or_nobody(state: Path) -> None:
    assert "robin" in voiceguard("identify", TAKES[3], state=state).stdout
    stranger = voiceguard("identify", STRANGER, "--json", state=state)
    assert json.loads(stranger.stdout)["speaker"] is None
    assert stranger.returncode in {3, 4}


def test_too_little_speech_is_told_with_what_to_do(state: Path, tmp_path: Path) -> None:
    recording = write_audio(tmp_path / "a.wav", np.zeros((16_000, 1), np.float32), 16_000)
    told = voiceguard("verify", "robin", recording, state=state)
    assert told.returncode == 4
    assert "Only 0.0 s of speech: speak for 2 s or longer." in told.stdout


def test_run_decides_a_file_and_ends(state: Path) -> None:
    """Lines of JSON on standard output, nothing else there; exit code 0."""
    source = f"hall=file:{TAKES[3]}"
    finished = voiceguard(
        *("run", "--source", source, "--broker", "none", "--fast", "--json"), state=state
    )
    assert finished.returncode == 0, finished.stderr
    decisions = [json.loads(line) for line in finished.stdout.splitlines()]
    finals = [decision for decision in decisions if decision["is_final"]]
    assert {decision["stream"] for decision in finals} == {"hall"}
    assert {decision["speaker"] for decision in finals} == {"robin"}


def test_run_decides_raw_audio_on_standard_input(state: Path) -> None:
    pcm = (load_audio(TAKES[3]) * 32767).astype("<i2").tobytes()
    finished = voiceguard(
        *("run", "--source", "stdin", "--broker", "none", "--json"), state=state, stdin=pcm
    )
    assert finished.returncode == 0, finished.stderr
    finals = [json.loads(line) for line in finished.stdout.splitlines()]
    assert [d["speaker"] for d in finals if d["is_final"]] == ["robin"]


def test_embed_prints_one_object_per_file_and_names_the_one_it_cannot_read(
    state: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"this is not audio")
    finished = voiceguard("embed", "--json", TAKES[0], broken, STRANGER, state=state)
    assert finished.returncode == 1
    results = [json.loads(line) for line in finished.stdout.splitlines()]
    assert [result["file"] for result in results] == [str(TAKES[0]), str(STRANGER)]
    assert set(results[0]) == {"file", "encoder", "seconds", "embedding"}
    assert np.linalg.norm(results[0]["embedding"]) == pytest.approx(1.0, abs=1e-5)
    assert "broken.wav" in finished.stderr


def test_embed_is_of_the_whole_file_and_of_speech_only_with_vad(
    state: Path, tmp_path: Path
) -> None:
    """The silence around the words changes the embedding of the file, not that of its speech."""
    room = np.random.default_rng(0).normal(0, 1e-3, 48_000).astype(np.float32)
    samples = np.concatenate([room, load_audio(TAKES[0]), room])
    padded = tmp_path / "padded.wav"
    with wave.open(str(padded), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    whole, speech = (
        json.loads(voiceguard("embed", "--json", *options, padded, state=state).stdout)
        for options in ((), ("--vad",))
    )
    assert whole["seconds"] == pytest.approx(len(samples) / 16_000, abs=0.01)
    assert np.dot(whole["embedding"], speech["embedding"]) < 0.99


def test_damage_is_told_to_machines_and_people(state: Path, tmp_path: Path) -> None:
    path = write_audio(
        tmp_path / "a.mp3", load_audio(TAKES[3])[:, None], 16_000,
        codec="libmp3lame", sample_format="fltp",
    )  # fmt: skip
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = np.random.default_rng(3).bytes(300)
    path.write_bytes(content)
    finished = voiceguard("verify", "robin", path, "--json", state=state)
    faults = json.loads(finished.stdout)["audio_faults"]
    assert faults["damaged_packets"] >= 1
    assert set(faults) == {"damaged_packets", "lost_s", "truncated", "channels_cancel"}
    assert "file_damaged" in finished.stderr
    assert "audio_faults" in json.loads(voiceguard("embed", path, "--json", state=state).stdout)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("verify", "nobody", str(TAKES[0])), 1, "no voiceprint of 'nobody'"),
        (("verify", "a/b", str(TAKES[0])), 2, "a/b"),
        (("identify", "/nowhere.wav"), 1, "/nowhere.wav"),
        (("identify", "/"), 1, "directory"),
        (("run", "--source", "nonsense"), 2, "not an audio source"),
        (("run", "--source", "stdin", "--p-fa", "0.5"), 2, "p_fa"),
        (("run", "--source", "stdin", "--broker", "http://x"), 2, "broker"),
        (("run", "--no-such-option"), 2, "no-such-option"),
        (("embed", "--model", "missing.safetensors", str(TAKES[0])), 1, "missing.safetensors"),
        (("config", "check", "/nowhere.toml"), 2, "/nowhere.toml"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else None,
)
def test_mistakes_get_one_clear_error_and_their_exit_code(
    state: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    finished = voiceguard(*arguments, state=state)
    assert finished.returncode == code, finished.stderr
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""


def test_what_this_user_may_not_read_is_told_with_what_to_do(state: Path, tmp_path: Path) -> None:
    recording = tmp_path / "a.wav"
    recording.write_bytes(b"RIFF")
    recording.chmod(0)
    is_root = os.geteuid() == 0  # who reads everything, unless that is taken away
    if is_root:
        os.chown(recording, 65534, 65534)
    told = voiceguard(
        *("identify", recording),
        state=state,
        prefix=("setpriv", "--bounding-set=-dac_override,-dac_read_search") if is_root else (),
    )
    assert told.returncode == 1
    assert f"'{recording}' is not readable" in told.stderr
    assert "mend its permissions, or run this as the user whose it is" in told.stderr


def test_config_show_and_check(state: Path, tmp_path: Path) -> None:
    shown = voiceguard(
        "config", "show", state=state, environment={"VOICEGUARD_POLICY__P_FA": "0.002"}
    )
    assert "p_fa = 0.002" in shown.stdout
    copied = tmp_path / "voiceguard.toml"
    copied.write_text(shown.stdout)
    assert voiceguard("config", "check", copied, state=state).returncode == 0
    copied.write_text("[policy]\np_fq = 1\n")
    checked = voiceguard("config", "check", copied, state=state)
    assert checked.returncode == 2
    assert "p_fa" in checked.stderr


def test_help_names_every_command_and_the_exit_codes(state: Path) -> None:
    shown = voiceguard("--help", state=state).stdout
    for command in ("enroll", "run", "verify", "identify", "embed", "voiceprints", "history",
                    "devices", "doctor", "config", "bench", "demo", "evaluate"):  # fmt: skip
        assert command in shown
    assert "4 inconclusive" in " ".join(shown.split())
