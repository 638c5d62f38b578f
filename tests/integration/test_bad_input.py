"""What a careless or unlucky user meets, end to end: a clear error, its exit code, nothing lost.

The cases that the parts' own tests prove (each kind of broken file, voiceprint, key, card, name and
setting) are not repeated; here the whole program meets them.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soxr

from tests.audio.sound_files import write_audio
from tests.cli.command import voiceguard
from tests.integration.daemon import running_daemon
from tests.integration.mosquitto import mosquitto, until
from tests.integration.pulse import PulseServer
from tests.recordings import TAKES
from tests.services import free_port, require_program
from voiceguard.audio.files import load_audio
from voiceguard.decisions.history import History
from voiceguard.encoder.library import find_model
from voiceguard.voiceprints.store import VoiceprintStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from voiceguard.types import Samples

STOPS_WITHIN_S = 2.0


@pytest.fixture(scope="module")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory in which anna is enrolled; copy it."""
    state = tmp_path_factory.mktemp("enrolled")
    finished = voiceguard("enroll", "anna", "--from", *TAKES, "--yes", state=state)
    assert finished.returncode == 0, finished.stderr
    return state


@pytest.fixture
def state(tmp_path: Path, enrolled: Path) -> Path:
    return shutil.copytree(enrolled, tmp_path / "state")


@pytest.fixture(scope="module")
def speech() -> Samples:
    """A sentence in a quiet room, with silence before and behind it."""
    room = np.random.default_rng(0).normal(0, 5e-4, 16_000).astype(np.float32)
    return np.concatenate([room, load_audio(TAKES[0]), room])


def wav(path: Path, samples: Samples, rate_hz: int = 16_000, *, is_float: bool = False) -> Path:
    codec, sample_format = ("pcm_f32le", "flt") if is_float else ("pcm_s16le", "s16")
    columns = samples.reshape(len(samples), -1)
    return write_audio(path, columns, rate_hz, codec=codec, sample_format=sample_format)


def decisions(state: Path) -> list[dict[str, Any]]:
    history = History(state / "history.sqlite3")
    try:
        return history.recent(100)
    finally:
        history.close()


def check_refused(
    finished: subprocess.CompletedProcess[str], code: int, *words: str, may_print: bool = False
) -> None:
    """One error in words, with what to do, under the documented exit code."""
    assert finished.returncode == code, finished.stderr
    assert "Traceback" not in finished.stderr
    assert "error: " in finished.stderr
    assert "hint: " in finished.stderr
    for word in words:
        assert word in finished.stderr
    assert may_print or finished.stdout == ""


# --- audio ----------------------------------------------------------------------------------


def test_odd_files_are_embedded_alike_and_bad_ones_named(
    tmp_path: Path, state: Path, speech: Samples
) -> None:
    """8 kHz, 96 kHz, stereo and cut-off files pass; empty ones and other things don't."""
    good = [
        wav(tmp_path / "plain.wav", speech),
        wav(tmp_path / "8k.wav", soxr.resample(speech, 16_000, 8_000), 8_000),
        wav(tmp_path / "96k.wav", soxr.resample(speech, 16_000, 96_000), 96_000),
        wav(tmp_path / "stereo.wav", np.stack([speech, speech], axis=1)),
        tmp_path / "cut_off.wav",
    ]
    whole = good[0].read_bytes()
    good[-1].write_bytes(whole[: len(whole) * 3 // 4])
    bad = [tmp_path / name for name in ("empty.wav", "text.wav", "header.wav", "missing.wav")]
    for path, content in zip(bad, (b"", b"not audio" * 99, whole[:44]), strict=False):
        path.write_bytes(content)
    bad += [tmp_path, tmp_path / ("long" * 99 + ".wav")]
    finished = voiceguard("embed", "--json", *good, *bad, state=state)
    check_refused(finished, 1, *map(str, bad), "cut_off.wav", may_print=True)
    results = [json.loads(line) for line in finished.stdout.splitlines()]
    assert [result["file"] for result in results] == [str(path) for path in good]
    embeddings = np.array([result["embedding"] for result in results])
    cosines = embeddings @ embeddings[0]
    assert cosines[2:4].min() > 0.98, "96 kHz and stereo are the same sound"
    assert cosines.min() > 0.5


def test_one_bad_source_ends_the_run_but_what_was_decided_is_kept(
    tmp_path: Path, state: Path, speech: Samples
) -> None:
    pause = np.zeros(32_000, dtype=np.float32)  # in which the speech before it is decided
    broken = np.concatenate([speech, pause, np.full(16_000, np.nan, dtype=np.float32)])
    finished = voiceguard(
        "run",
        *("--source", f"file:{wav(tmp_path / 'broken.wav', broken, is_float=True)}"),
        *("--source", f"quiet=file:{wav(tmp_path / 'quiet.wav', speech[:16_000])}"),
        *("--fast", "--broker", "none"),
        state=state,
    )
    check_refused(finished, 1, "broken.wav", "not finite", may_print=True)
    assert [decision["stream"] for decision in decisions(state)] == ["broken"]


def test_no_such_microphone(state: Path) -> None:
    for command in (("run", "--broker", "none"), ("enroll", "bob", "--yes")):
        finished = voiceguard(*command, "--source", "device:no such thing", state=state)
        check_refused(finished, 5, "voiceguard devices")
    assert VoiceprintStore(state).names() == ("anna",)


@pytest.mark.parametrize("trouble", ["ctrl-c", "the audio server dies"])
def test_an_enrollment_that_is_broken_off_stores_nothing(state: Path, trouble: str) -> None:
    with PulseServer() as pulse:
        process = subprocess.Popen(
            [sys.executable, "-m", "voiceguard", "enroll", "bob", "--yes", "-s", "device:pulse"],
            env={**pulse.env, "VOICEGUARD_STATE_DIR": str(state)},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        said = ""
        while "and read." not in said:
            said = process.stderr.readline()
            assert said, "it ended early"
        time.sleep(0.5)
        if trouble == "ctrl-c":
            process.send_signal(signal.SIGINT)
        else:
            pulse.kill()
        _, rest = process.communicate(timeout=60)
    assert process.returncode == (130 if trouble == "ctrl-c" else 5)
    assert ("error: interrupted" if trouble == "ctrl-c" else "error: the microphone") in rest
    assert "Traceback" not in rest
    assert VoiceprintStore(state).names() == ("anna",)


# --- broker ---------------------------------------------------------------------------------


def test_files_without_a_broker_end_by_themselves_and_stay_in_the_history(
    tmp_path: Path, state: Path, speech: Samples
) -> None:
    """When the decisions have expired; even where the history had to be begun anew."""
    (state / "history.sqlite3").write_bytes(b"damaged" * 999)
    finished = voiceguard(
        "run",
        *("--source", f"file:{wav(tmp_path / 'a.wav', speech)}", "--fast"),
        *("--broker", f"mqtt://127.0.0.1:{free_port()}"),
        state=state,
        environment={"VOICEGUARD_POLICY__EXPIRY_S": "1"},
    )
    check_refused(
        finished,
        6,
        "decision(s) did not reach",
        "connection_refused",
        "history_set_aside",
        may_print=True,
    )
    assert len(decisions(state)) == 1


async def test_a_wrong_password_is_told_and_not_shown(
    tmp_path: Path, state: Path, speech: Samples
) -> None:
    password = tmp_path / "password"
    password.write_text("not the right one")
    password.chmod(0o600)
    source = wav(tmp_path / "a.wav", speech)
    async with mosquitto(tmp_path / "broker", users={"guard": "the right one"}) as broker:
        finished = await asyncio.to_thread(
            lambda: voiceguard(
                *("run", "--source", f"file:{source}", "--fast"),
                *("--broker", f"mqtt://guard@127.0.0.1:{broker.port}"),
                state=state,
                environment={
                    "VOICEGUARD_MQTT__PASSWORD_FILE": str(password),
                    "VOICEGUARD_POLICY__EXPIRY_S": "1",
                },
            )
        )
    check_refused(finished, 6, "not_authorised", "mqtt.password_file", may_print=True)
    assert "the right one" not in finished.stderr


async def test_a_silent_broker_does_not_keep_it_from_stopping(
    tmp_path: Path, state: Path, speech: Samples
) -> None:
    """Neither while it listens nor while it still tries to deliver what its files gave."""
    source = wav(tmp_path / "a.wav", speech)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        broker = f"mqtt://127.0.0.1:{silent.getsockname()[1]}"
        arguments = ("--source", f"file:{source}", "--broker", broker)
        async with running_daemon(tmp_path, *arguments) as daemon:
            assert await daemon.stop() < STOPS_WITHIN_S
            assert daemon.process.returncode == 0
        (tmp_path / "notify").unlink()
        async with running_daemon(tmp_path, *arguments, "--fast") as daemon:
            await until(lambda: '"ended"' in daemon.log and bool(decisions(state)))
            assert await daemon.stop() < STOPS_WITHIN_S
            assert daemon.process.returncode == 6, "something was not delivered"
        assert "Traceback" not in daemon.log


# --- what is stored -------------------------------------------------------------------------


async def test_while_it_runs_a_second_one_is_refused_and_damage_makes_it_unavailable(
    tmp_path: Path, state: Path
) -> None:
    """It says so once, recovers when the voiceprint is restored, and stops on Ctrl-C."""
    room = np.random.default_rng(1).normal(0, 5e-4, 16_000 * 90).astype(np.float32)
    source = f"file:{wav(tmp_path / 'room.wav', room)}"
    voiceprint = state / "voiceprints" / "anna.voiceprint"
    content = voiceprint.read_bytes()
    async with running_daemon(tmp_path, "--source", source, "--broker", "none") as daemon:
        second = await asyncio.to_thread(
            lambda: voiceguard("run", "--source", source, "--broker", "none", state=state)
        )
        check_refused(second, 1, f"process {daemon.process.pid}", "--state-dir")
        voiceprint.write_bytes(content[: len(content) // 2])
        await until(lambda: '"unavailable"' in daemon.log)
        await asyncio.sleep(2.5)
        assert daemon.log.count("voiceprint_refused") <= 2, "once, or once more in mid-write"
        voiceprint.write_bytes(content)
        await until(lambda: daemon.log.count('"state": "listening", "reason"') == 2)
        assert await daemon.stop(signal.SIGINT) < STOPS_WITHIN_S
    assert daemon.process.returncode == 0
    assert "Traceback" not in daemon.log


def test_a_full_disk_costs_neither_decisions_nor_voiceprints(
    tmp_path: Path, state: Path, speech: Samples
) -> None:
    """No file can grow by a byte; forgetting somebody is completed when there is space again."""
    full = (require_program("prlimit"), "--fsize=0")
    source = ("--source", f"file:{wav(tmp_path / 'a.wav', speech)}")
    voiceprint = state / "voiceprints" / "anna.voiceprint"
    content = voiceprint.read_bytes()
    enrolling = ("enroll", "anna", "--force", "--yes", "--from", *TAKES[:2])
    check_refused(voiceguard(*enrolling, state=state, prefix=full), 1, "anna.voiceprint", "space")
    assert voiceprint.read_bytes() == content
    running = ("run", *source, "--fast", "--broker", "none", "--json")
    ran = voiceguard(*running, state=state, prefix=full)
    assert ran.returncode == 0, ran.stderr
    assert "history_not_written" in ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1])["is_final"] is True
    voiceguard(*running, state=state)
    assert decisions(state)[0]["scores"][0]["speaker"] == "anna"
    removing = ("voiceprints", "remove", "anna", "--yes")
    check_refused(voiceguard(*removing, state=state, prefix=full), 1, "'anna'", "again")
    assert voiceguard(*removing, state=state).returncode == 0
    assert "anna" not in json.dumps(decisions(state))


def test_a_state_directory_that_may_not_be_used(tmp_path: Path, state: Path) -> None:
    """Neither written to nor looked into, each command says which directory."""
    powerless = (require_program("setpriv"), "--bounding-set=-dac_override,-dac_read_search")
    prefix = powerless if os.geteuid() == 0 else ()
    source = ("--source", f"file:{tmp_path / 'a.wav'}", "--broker", "none")
    elsewhere = {"XDG_CONFIG_HOME": str(tmp_path)}
    run = ("run", *source)
    try:
        for mode, command in (
            (0o500, run), (0, run), (0, ("history",)), (0, ("voiceprints", "list"))
        ):  # fmt: skip
            state.chmod(mode)
            finished = voiceguard(*command, state=state, prefix=prefix, environment=elsewhere)
            check_refused(finished, 1, str(state))
    finally:
        state.chmod(0o700)


def test_a_foreign_key_seals_and_opens_nothing(tmp_path: Path, state: Path) -> None:
    (state / "voiceguard.key").write_text("07" * 32)
    source = wav(tmp_path / "a.wav", np.zeros(16_000, dtype=np.float32))
    for command in (
        ("voiceprints", "list"),
        ("enroll", "bob", "--yes", "--from", str(source)),
        ("enroll", "anna", "--force", "--yes", "--from", str(source)),
    ):
        check_refused(voiceguard(*command, state=state), 1, "voiceguard.key", "right key")
    ran = voiceguard("run", "-s", f"file:{source}", "--fast", "--broker", "none", state=state)
    assert '"unavailable"' in ran.stderr
    assert VoiceprintStore(state).names() == ("anna",)


# --- names, settings, weights ---------------------------------------------------------------


def test_names_settings_and_weights_that_cannot_be(tmp_path: Path, state: Path) -> None:
    for name in ("a/b", "a+b", "a#b", "x" * 200):
        finished = voiceguard("enroll", "--yes", "--from", TAKES[0], "--", name, state=state)
        check_refused(finished, 2, name[:32], "1 to 32 of a-z")
    settings = tmp_path / "voiceguard.toml"
    for content, words in ((b"[policy]\np_fq = 1\n", "p_fa"), (b"\xff\xfe", "not valid TOML")):
        settings.write_bytes(content)
        check_refused(voiceguard("run", "--config", settings, state=state), 2, words, str(settings))
    weights = tmp_path / "model.safetensors"
    shutil.copy(find_model("default").with_suffix(".json"), weights.with_suffix(".json"))
    weights.write_bytes(find_model("default").read_bytes()[:-1])
    for model in (weights, tmp_path / "missing.safetensors"):
        finished = voiceguard("identify", "--model", model, TAKES[0], state=state)
        check_refused(finished, 1, str(model))
    assert VoiceprintStore(state).names() == ("anna",)


@pytest.fixture(scope="module", autouse=True)
def _no_settings_of_the_users() -> Iterator[None]:
    """Daemons started here find no configuration file of the account that runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", "/nonexistent")
        yield
