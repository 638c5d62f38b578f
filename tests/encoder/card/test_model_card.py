"""Model cards: everything is written and read again; what is not understood is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.encoder.conftest import tiny_config
from voiceguard.encoder.card.identity import encoder_id
from voiceguard.encoder.card.model_card import DataSource, Figure, ModelCard, Teacher
from voiceguard.encoder.frontends.log_mel_config import LogMelConfig


def full_card(**changes: Any) -> ModelCard:  # noqa: ANN401 - any field
    """A card with something in every field."""
    values: dict[str, Any] = {
        "name": "tiny",
        "architecture": tiny_config(),
        "features": LogMelConfig(num_mels=12),
        "min_window_s": 0.3,
        "licence": "Apache-2.0",
        "trained_on": "Two corpora.",
        "figures": (Figure(what="EER, 3 s", value="2.0 %", command="voiceguard evaluate DIR"),),
        "data": (
            DataSource(corpus="A", num_speakers=20, hours=1.5, licence="CC0", note="English"),
            DataSource(corpus="B", num_speakers=3, hours=0.25, licence="CC BY 4.0"),
        ),
        "recipe": {"steps": 1000, "loss": {"margin": 0.2, "weights": [4, 2]}, "amp": True},
        "teacher": Teacher(name="T", licence="Apache-2.0", trained_on="LibriSpeech"),
        "limits": ("Children: not measured.", "Whisper: EER doubles."),
        "compute": "one GPU, 3 h",
        "num_parameters": 1234,
        "weights_sha256": "ab" * 32,
        "source": "hub/tiny@0123",
        "origin_format": "SpeechBrain",
        "commercial_use": False,
        "published": "EER 0.9 % (publisher)",
        "is_trusted": True,
        "golden": (0.5, -0.5, 0.5, -0.5, 0.0, 0.0, 0.0, 0.0),
    }
    return ModelCard(**{**values, **changes})


def test_everything_on_a_card_survives_json() -> None:
    card = full_card()
    assert ModelCard.from_json(json.loads(json.dumps(card.to_json()))) == card


def test_tuples_in_a_recipe_are_lists_from_the_start() -> None:
    """Else a card would differ from itself after it was read."""
    assert full_card(recipe={"speeds": (0.9, 1.1)}).recipe == {"speeds": [0.9, 1.1]}


def test_what_only_imports_have_is_not_on_a_card_of_our_own() -> None:
    """Cards that were written before are written the same again."""
    plain = full_card(
        source="",
        origin_format="",
        commercial_use=None,
        published="",
        is_trusted=False,
        golden=None,
    )
    fields = {"source", "origin_format", "commercial_use", "published", "is_trusted", "golden"}
    assert not fields & set(plain.to_json())
    assert fields <= set(full_card().to_json())
    assert plain.encoder_id == full_card().encoder_id


def test_a_golden_embedding_has_the_models_dimensions() -> None:
    with pytest.raises(ValueError, match="golden has 2 numbers, the embedding 8"):
        full_card(golden=(0.6, 0.8))


def test_a_programs_id_depends_on_what_is_asked_of_it() -> None:
    """Its file can't hold which of its outputs counts, as our weights hold their sizes."""
    card, digest = full_card().to_json(), "ab" * 32
    for kind, is_part in (("onnx", True), ("torchscript", True), ("ecapa_tdnn", False)):
        ids = {
            encoder_id(digest, card["features"]["version"], {"type": kind, "output": output})
            for output in ("a", "b")
        }
        assert len(ids) == (2 if is_part else 1)


def test_a_card_without_the_newer_fields_still_loads() -> None:
    values = full_card().to_json()
    for name in ("data", "recipe", "teacher", "limits", "compute", "num_parameters"):
        del values[name]
    values["figures"] = ["EER 2 % at 3 s"]
    card = ModelCard.from_json(values)
    assert card.figures == (Figure(what="EER 2 % at 3 s"),)
    assert (card.data, card.teacher, card.limits, card.num_parameters) == ((), None, (), None)
    assert card.encoder_id == full_card().encoder_id


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"licences": "CC0"}, "licences is unknown; known are name"),
        ({"embedding_dim": 9}, "embedding_dim is 9, not 8"),
        ({"data": [{"corpus": "A", "speakers": 3}]}, r"data\.0\.speakers is unknown"),
        ({"teacher": {"name": "T", "url": "x"}}, r"teacher\.url is unknown"),
        ({"figures": [{"eer": 1}]}, r"figures\.0\.eer is unknown"),
        ({"data": [{**full_card().to_json()["data"][0], "num_speakers": 0}]}, "must be positive"),
    ],
)
def test_what_is_not_understood_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelCard.from_json({**full_card().to_json(), **changes})


@pytest.mark.parametrize("name", ["format", "name", "architecture", "weights_sha256", "licence"])
def test_a_missing_field_is_named(name: str) -> None:
    values = full_card().to_json()
    del values[name]
    with pytest.raises(ValueError, match=rf"{name} is (missing|None)"):
        ModelCard.from_json(values)


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}])
def test_a_recipe_of_other_than_plain_values_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="plain values"):
        full_card(recipe={"value": value})
