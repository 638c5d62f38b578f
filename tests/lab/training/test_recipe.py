"""Recipes: the defaults, and what may be set from the command line."""

from __future__ import annotations

import json

import pytest

from voiceguard.errors import ConfigError
from voiceguard.lab.training.config import TrainingConfig, TuningConfig
from voiceguard.lab.training.recipe import recipe


def test_nothing_set_is_the_default_recipe() -> None:
    assert recipe([]) == TrainingConfig()


def test_values_are_set_by_name_and_keep_their_kind() -> None:
    changed = recipe(
        [
            *("aam_weight=0.5", "crop_s=[1, 3]", "teacher=none", "voices=rounds"),
            *("augment.p_room=0.25", "aam_weight=1", "matching.corruption.p_room=0.1"),
        ],
        num_steps=7,
    )

    assert changed.aam_weight == 1.0
    assert isinstance(changed.aam_weight, float)
    assert changed.crop_s == (1.0, 3.0)
    assert changed.teacher == "none"
    assert changed.augment.p_room == 0.25
    assert changed.num_steps == 7
    assert changed.matching.corruption.p_room == 0.1
    assert changed.augment.p_noise == TrainingConfig().augment.p_noise


@pytest.mark.parametrize(
    ("assignment", "named"),
    [
        ("aam_weight", "NAME=VALUE"),
        ("loudness=3", "loudness"),
        ("augment.loudness=3", "augment.loudness"),
        ("augment=3", "augment"),
        ("noise.p_room=3", "noise.p_room"),
        ("augment.p_room.high=3", "augment.p_room.high"),
        ("matching.corruption=3", "matching.corruption"),
        ("matching.alike_joined_share=0.8", "must not exceed 1"),
        ("num_steps=many", "num_steps"),
        ("num_steps=1.5", "num_steps"),
        ("num_steps=true", "num_steps"),
        ("aam_scale=NaN", "aam_scale"),
        ("crop_s=[1, 2, 3]", "crop_s"),
        ("crop_s=2", "crop_s"),
        ("crop_s=[3, 1]", "crop_s"),
        ("num_steps=0", "num_steps"),
        ("channels=12", "channels"),
        ("whitening=1.5", "whitening"),
        ("voices=sung", "voices must be 'drawn' or 'rounds'"),
        ("aam_weight=1", "set voices=rounds"),
        ("window_s=3", "window_s must be between the longest of crop_s, 4, and 20"),
        ("own_share=2", "own_share"),
        ("augment.p_room=2", "p_room"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(assignment: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named.replace("[", r"\[")):
        recipe([assignment])


def test_a_tuning_has_a_recipe_of_its_own_with_settings_of_its_own() -> None:
    changed = recipe(["tuning.share=0.5", 'tuning.learns=["norm"]'], tuned="campplus-zh-en")

    assert changed.teacher == "campplus-zh-en"
    assert changed.tuning == TuningConfig(share=0.5, learns=("norm",))
    assert changed.learning_rate < TrainingConfig().learning_rate


@pytest.mark.parametrize(
    ("assignment", "tuned", "named"),
    [
        ("tuning.share=0.5", None, "tuning.share"),
        ("tuning={}", None, "tuning"),
        ("tuning.share=1.5", "campplus", "share must be between 0 and 1"),
        ("tuning.learns=[]", "campplus", "learns must name something"),
        ("channels=256", "campplus", "channels is not chosen with --tune"),
        ("teacher=default", "campplus", "is its own teacher"),
        ("whitening=0.5", "campplus", "whitening must be 0"),
        ("similarity_weight=1", "campplus", "similarity_weight must be 0"),
        ("voices=rounds", "campplus", "by voices=drawn, not rounds"),
    ],
)
def test_what_a_tuning_does_not_have_is_refused_by_name(
    assignment: str, tuned: str | None, named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        recipe([assignment], tuned=tuned)


def test_a_recipe_with_nothing_to_learn_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing to learn"):
        recipe(["teacher=none", "aam_weight=0"])


def test_the_recipe_is_plain_values() -> None:
    values = recipe([]).to_json()

    assert json.loads(json.dumps(values)) == values
    assert values["augment"]["snr_db"] == [0.0, 20.0]
