"""The better encoder is offered once, in a line that can be copied, to whom it concerns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.lab.evaluation.voices import make_kit
from voiceguard.cli.people.better_encoder import offer_better_encoder
from voiceguard.encoder.library import DEFAULT_MODEL

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from voiceguard.service.kit import Kit

COMMAND = "`voiceguard models pull campplus && voiceguard models use campplus`"


def kit_of(name: str, state: Path) -> Kit:
    kit = make_kit()
    kit.encoder.info = replace(kit.encoder.info, name=name)
    return replace(kit, settings=kit.settings.model_copy(update={"state_dir": state}))


def test_it_is_offered_with_the_default_where_it_is_not_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kit = kit_of(DEFAULT_MODEL, tmp_path)
    offer_better_encoder(kit)
    assert COMMAND in capsys.readouterr().err
    card = tmp_path / "models" / "campplus" / "model.json"
    card.parent.mkdir(parents=True)
    card.write_text("{}")
    offer_better_encoder(kit)
    assert capsys.readouterr().err == ""


def test_whoever_chose_an_encoder_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    offer_better_encoder(kit_of("mine", tmp_path))
    assert capsys.readouterr().err == ""
