"""``voiceguard embed --features``: statistics of inner layers, of encoders that have them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard
from tests.encoder.made_programs import Ecapa2Like, save_script
from tests.recordings import TAKES
from voiceguard.cli.measuring import embed
from voiceguard.encoder import installing
from voiceguard.encoder.foreign.programs import ecapa2
from voiceguard.encoder.loading import load_encoder
from voiceguard.errors import EncoderError, UsageError
from voiceguard.paths import models_dir
from voiceguard.service.kit import Kit
from voiceguard.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.protocols import Encoder


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with an encoder of ECAPA2's interface."""
    state = tmp_path_factory.mktemp("state")
    program = save_script(tmp_path_factory.mktemp("made") / "ecapa2.pt", Ecapa2Like())
    installing.install(ecapa2.read(program), "mine", models_dir(state), trust=True)
    return state


def test_features_come_by_label(state: Path) -> None:
    labels = "pool|gfe_1|embedding"
    arguments = ("embed", TAKES[0], "--model", "mine", "--features", labels)
    finished = voiceguard(*arguments, "--json", state=state)
    assert finished.returncode == 0, finished.stderr
    told = json.loads(finished.stdout)
    assert "embedding" not in told
    lengths = [(label, len(numbers)) for label, numbers in told["features"].items()]
    assert lengths == [("pool", 3072), ("gfe_1", 2048), ("embedding", 192)]
    shown = voiceguard(*arguments, state=state).stdout
    assert f"{TAKES[0]}: gfe_1: 2048 numbers:" in shown


def kit_of(encoder: Encoder) -> Kit:
    """The encoder alone."""
    return Kit(settings=load_settings(), encoder=encoder, cohort=None, calibration=None)


def test_an_unknown_label_is_a_wrong_usage(state: Path) -> None:
    encoder = load_encoder("mine", device="cpu", models_dir=models_dir(state))
    with pytest.raises(UsageError, match="no features 'gfe_9'; it has gfe_1, gfe_2, pool"):
        embed._features_of(kit_of(encoder), "pool|gfe_9")


def test_an_encoder_without_such_layers_says_so() -> None:
    encoder = load_encoder("default", device="cpu")
    with pytest.raises(EncoderError, match="has no features of inner layers: only ECAPA2"):
        embed._features_of(kit_of(encoder), "pool")
