"""The catalogue is data that people rely on: its entries are whole and pinned by what is pinned."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from voiceguard.encoder.foreign.catalogue import (
    CATALOGUE,
    KnownEncoder,
    find_known,
    of_hub_id,
    of_sha256,
)
from voiceguard.encoder.library import check_name


@pytest.mark.parametrize("known", CATALOGUE, ids=lambda known: known.name)
def test_every_entry_can_be_installed_under_its_name(known: KnownEncoder) -> None:
    assert check_name(known.name) == known.name
    assert find_known(known.name) is known
    assert known.revision is None or re.fullmatch("[0-9a-f]{40}", known.revision)
    for file in known.files:
        assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
    if known.revision is not None:
        assert all(file.sha256 for file in known.files), "a pinned commit has pinned files"


def test_names_are_unique() -> None:
    assert len({known.name for known in CATALOGUE}) == len(CATALOGUE)


def test_only_a_licence_that_allows_everybodys_use_needs_no_consent() -> None:
    ecapa2 = find_known("ecapa2")
    assert ecapa2 is not None
    assert (ecapa2.licence, ecapa2.commercial_use) == ("CC-BY-NC-4.0", False)
    assert ecapa2.asks_for_consent
    assert of_hub_id("someone/something").asks_for_consent, "nobody knows its licence"
    titanet = find_known("titanet-large")
    assert titanet is not None
    assert not titanet.asks_for_consent


def test_a_repository_somebody_names_is_taken_for_speechbrains_layout() -> None:
    named = of_hub_id("Someone/My-ECAPA")
    assert (named.name, named.hub) == ("my-ecapa", "Someone/My-ECAPA")
    assert [file.name for file in named.files] == ["embedding_model.ckpt", "hyperparams.yaml"]


def test_an_entry_is_on_the_hub_or_in_a_wheel_or_elsewhere() -> None:
    with pytest.raises(ValueError, match="hub repository with files, or a wheel, or elsewhere"):
        KnownEncoder(name="x", family="y")
    campplus = find_known("campplus-zh-en")
    assert campplus is not None
    with pytest.raises(ValueError, match="or a wheel, or elsewhere"):
        replace(campplus, elsewhere="the moon")


def test_one_file_may_be_two_encoders_as_published_and_tuned() -> None:
    published, tuned = find_known("campplus-zh-en"), find_known("campplus")
    assert published is not None
    assert tuned is not None
    assert published.wheel is not None
    assert tuned.wheel == published.wheel
    assert tuned.tuning is not None
    assert tuned.encoder_id != published.encoder_id
    assert "changed by voiceguard" in tuned.attribution, "Apache-2.0, section 4 (b)"
    assert of_sha256(published.wheel.sha256) is published, "a file is what was published"
    assert of_sha256("0" * 64) is None
