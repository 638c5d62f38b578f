"""``voiceguard setup`` with a microphone: somebody talks to it, and is known in the end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from tests.cli.terminal import Terminal
from tests.integration.pulse import PulseServer
from tests.pinned.sounds import write_wav
from tests.recordings import TAKES
from voiceguard.audio.files import load_audio
from voiceguard.voiceprints import VoiceprintStore

if TYPE_CHECKING:
    from pathlib import Path


def test_a_person_answers_reads_and_is_enrolled(tmp_path: Path) -> None:
    """In a window of 60 columns: the default microphone by Enter, then three sentences."""
    wavs = [
        write_wav(tmp_path / f"{number}.wav", load_audio(take).astype(np.float64))
        for number, take in enumerate(TAKES[:4])
    ]
    config, state = tmp_path / "voiceguard.toml", tmp_path / "state"
    arguments = ("setup", "--broker", "none", "--encoder", "default", "--service", "none")
    with (
        PulseServer() as pulse,
        Terminal(
            *(*arguments, "--config", config),
            state=state,
            columns=60,
            environment={**pulse.env, "LANG": "de_DE.UTF-8"},
        ) as terminal,
    ):
        terminal.wait_for("Which one [")
        terminal.answer("")
        terminal.wait_for("the bar follows you")
        pulse.play(wavs[0])
        terminal.wait_for("s of speech")
        terminal.answer("")
        terminal.wait_for("Enter for nobody now")
        terminal.answer("Änna")
        terminal.wait_for("Does Änna agree? [y/n]")
        terminal.answer("")  # an accident
        terminal.wait_for("Does Änna agree? [y/n]")
        terminal.answer("y")
        terminal.wait_for("agree to that as well?")
        terminal.answer("")
        for number, wav in enumerate([*wavs[1:], *wavs]):
            terminal.wait_for("Press Enter and read.")
            if number == 0:
                assert "Zwölf Boxkämpfer" in terminal.said
            terminal.answer("")
            terminal.wait_for("listening")
            playing = threading.Thread(target=pulse.play, args=(wav,))
            playing.start()
            terminal.wait_for("dB over the noise")
            playing.join()
            if "to go" not in _until_next(terminal):
                break
        assert terminal.finish() == 0, terminal.said
        assert "enrolled Änna" in terminal.said
    assert VoiceprintStore(state, environ={}).load("anna").display_name == "Änna"
    assert "sources" in config.read_text()


def _until_next(terminal: Terminal) -> str:
    terminal.read_until(lambda: "to go" in terminal.said or "enrolled Änna" in terminal.said)
    return terminal.said
