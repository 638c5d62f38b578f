"""``voiceguard embed`` with encoders that were imported, by name and as the default."""

from __future__ import annotations

import json
import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.cli.command import voiceguard
from tests.encoder.conftest import synthetic_voice
from tests.encoder.foreign.made import make_speechbrain, make_taoruijie
from voiceguard.encoder import installing, library
from voiceguard.encoder.foreign import detecting
from voiceguard.encoder.library import stated_encoder_id
from voiceguard.encoder.loading import load_encoder
from voiceguard.paths import models_dir

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with two imported encoders."""
    state = tmp_path / "state"
    for name, path in (
        ("speech", make_speechbrain(tmp_path / "theirs")),
        ("tao", make_taoruijie(tmp_path / "theirs.model")),
    ):
        installing.install(detecting.read(path), name, models_dir(state))
    return state


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    path = tmp_path / "voice.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((synthetic_voice(2.0) * 32767).astype("<i2").tobytes())
    return path


def test_encoders_are_switched_by_name(state: Path, voice: Path) -> None:
    said = {}
    for name in ("speech", "tao"):
        result = voiceguard("embed", voice, "--model", name, "--json", state=state)
        assert result.returncode == 0, result.stderr
        said[name] = json.loads(result.stdout)
        assert said[name]["encoder"] == stated_encoder_id(name, models_dir(state))
        assert np.linalg.norm(said[name]["embedding"]) == pytest.approx(1.0, abs=1e-5)
    assert said["speech"]["encoder"] != said["tao"]["encoder"]
    encoder = load_encoder("tao", device="cpu", models_dir=models_dir(state))
    with wave.open(str(voice)) as file:
        pcm = np.frombuffer(file.readframes(32_000), "<i2")
    expected = encoder.embed(pcm.astype(np.float32) / np.float32(32768))
    assert np.abs(np.array(said["tao"]["embedding"]) - expected).max() < 1e-4


def test_the_state_directory_of_the_configuration_counts(
    state: Path, voice: Path, tmp_path: Path
) -> None:
    """And the one in use there is the default."""
    library.use("tao", models_dir(state))
    config = tmp_path / "voiceguard.toml"
    config.write_text(f'state_dir = "{state}"\n')
    result = voiceguard(
        *("embed", voice, "--config", config, "--json"),
        state=tmp_path / "elsewhere",
        prefix=("env", "-u", "VOICEGUARD_STATE_DIR"),
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["encoder"] == stated_encoder_id("tao", models_dir(state))


def test_damage_is_told(state: Path, voice: Path) -> None:
    weights = models_dir(state) / "speech" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    result = voiceguard("embed", voice, "--model", "speech", state=state)
    assert result.returncode == 1
    assert "damaged or was replaced" in result.stderr
