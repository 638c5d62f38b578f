"""``voiceguard voiceprints export`` and ``import``, from one state directory to another."""

from __future__ import annotations

import json
import os
import pty
import select
import stat
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard
from tests.voiceprints.people import assert_same, make_audio, make_person
from voiceguard.encoder.library import stated_encoder_id
from voiceguard.voiceprints import VoiceprintStore

if TYPE_CHECKING:
    from pathlib import Path

PASSPHRASE = "korrekte batterie heftklammer"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Anna, whose audio was kept, and Bob; enrolled with the encoder in use."""
    state = tmp_path / "here"
    store = VoiceprintStore(state, environ={})
    encoder_id = stated_encoder_id("default") or ""
    anna = replace(make_person("anna"), encoder_id=encoder_id)
    store.save(anna, audio=make_audio(anna))
    store.save(replace(make_person("bob", seed=2), encoder_id=encoder_id))
    (tmp_path / "passphrase").write_text(PASSPHRASE + "\n")
    return state


def test_there_and_back_again(tmp_path: Path, here: Path) -> None:
    there, file = tmp_path / "there", tmp_path / "people.voiceguard"
    secret = ("--passphrase-file", tmp_path / "passphrase")
    sent = voiceguard(
        "voiceprints", "export", "anna", "bob", "--out", file, "-y", *secret, state=here
    )
    assert sent.returncode == 0, sent.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = voiceguard("voiceprints", "export", "anna", "--out", file, "-y", *secret, state=here)
    assert (again.returncode, "is there already" in again.stderr) == (2, True)

    arrived = voiceguard("voiceprints", "import", file, *secret, "--json", state=there)
    assert arrived.returncode == 0, arrived.stderr
    rows = [json.loads(line) for line in arrived.stdout.splitlines()]
    assert [(row["speaker"], row["has_audio"]) for row in rows] == [("anna", False), ("bob", False)]
    mine, other = (VoiceprintStore(state, environ={}) for state in (here, there))
    assert_same(other.load("anna"), mine.load("anna"))
    assert other.audio_bytes("anna") is None, "nobody asked for the audio"

    twice = voiceguard("voiceprints", "import", file, "anna", *secret, state=there)
    assert (twice.returncode, "'anna' is enrolled here already" in twice.stderr) == (1, True)
    (tmp_path / "passphrase").write_text("eine andere als vorhin\n")
    wrong = voiceguard("voiceprints", "import", file, *secret, state=there)
    assert (wrong.returncode, "the passphrase is not the one" in wrong.stderr) == (1, True)


def test_audio_goes_along_when_asked_for(tmp_path: Path, here: Path) -> None:
    there, file = tmp_path / "there", tmp_path / "anna.voiceguard"
    secret = ("--passphrase-file", tmp_path / "passphrase")
    sent = voiceguard(
        *("voiceprints", "export", "anna", "bob", "--with-audio", "--out", file, "-y"),
        *secret,
        state=here,
    )
    assert "exported anna, with 3.0 s of audio" in sent.stdout
    assert "no audio of bob is kept" in sent.stderr
    voiceguard("voiceprints", "import", file, "anna", "--as", "anna-2", *secret, state=there)
    store = VoiceprintStore(there, environ={})
    assert store.names() == ("anna-2",)
    assert store.load_audio(store.load("anna-2")) is not None


def test_without_a_terminal_nothing_is_assumed(tmp_path: Path, here: Path) -> None:
    file = tmp_path / "anna.voiceguard"
    consent = voiceguard("voiceprints", "export", "anna", "--out", file, state=here)
    assert (consent.returncode, "--yes" in consent.stderr) == (2, True)
    secret = voiceguard("voiceprints", "export", "anna", "--out", file, "-y", state=here)
    assert (secret.returncode, "--passphrase-file" in secret.stderr) == (2, True)
    assert not file.exists()


def test_a_passphrase_is_typed_unseen(tmp_path: Path, here: Path) -> None:
    """On a terminal of its own, as a person would."""
    file = tmp_path / "anna.voiceguard"
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "voiceguard", "voiceprints", "export", "anna", "--out", str(file)],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,  # no terminal but this one
        env={**os.environ, "VOICEGUARD_STATE_DIR": str(here)},
    )
    os.close(follower)
    shown = _read_until(leader, "agree?")
    for prompt, answer in (
        ("Passphrase", "y"),
        ("Once more", PASSPHRASE),
        ("delete it", PASSPHRASE),
    ):
        os.write(leader, answer.encode() + b"\n")
        shown += _read_until(leader, prompt)
    assert process.wait(timeout=60) == 0
    os.close(leader)
    assert "exported anna" in shown
    assert PASSPHRASE not in shown


def _read_until(terminal: int, words: str) -> str:
    """What appears, up to these words at least."""
    shown = ""
    while words not in shown:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, shown
        shown += os.read(terminal, 4096).decode()
    return shown
