"""Models that were brought here: whole or not at all, checked whenever they are loaded."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tests.encoder.conftest import synthetic_voice
from tests.encoder.foreign.made import make_speechbrain, make_taoruijie
from voiceguard.encoder import golden, installed, installing, library
from voiceguard.encoder.foreign import detecting
from voiceguard.encoder.library import DEFAULT_MODEL, cohort_path, find_model, stated_encoder_id
from voiceguard.encoder.loading import load_encoder
from voiceguard.errors import EncoderError, StateError, UsageError
from voiceguard.paths import models_dir
from voiceguard.types import Window

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.encoder.foreign.imported import Imported


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Where models are installed; not there yet."""
    return models_dir(tmp_path / "state")


@pytest.fixture
def imported(tmp_path: Path) -> Imported:
    """A tiny checkpoint in SpeechBrain's layout, read."""
    return detecting.read(make_speechbrain(tmp_path / "theirs"))


def test_an_installed_model_is_loaded_by_its_name(models: Path, imported: Imported) -> None:
    card = installing.install(imported, "tiny", models)
    assert installed.installed_models(models) == ["tiny"]
    encoder = load_encoder("tiny", device="cpu", models_dir=models)
    assert encoder.info.encoder_id == card.encoder_id == stated_encoder_id("tiny", models)
    assert (encoder.info.name, encoder.info.embedding_dim) == ("tiny", 8)
    assert encoder.info.num_parameters == card.num_parameters
    assert cohort_path("tiny", models) == models / "tiny" / "model.cohort.safetensors"
    assert card.golden is not None
    assert golden.deviation(encoder, card.golden) < 1e-6


def test_its_directory_holds_nothing_of_the_foreign_format(
    models: Path, imported: Imported
) -> None:
    installing.install(imported, "tiny", models)
    assert {path.name for path in models.rglob("*")} == {"tiny", "model.json", "model.safetensors"}


@pytest.mark.parametrize("kind", ["speechbrain", "taoruijie"])
def test_a_stream_of_an_imported_encoder_gives_what_whole_windows_give(
    tmp_path: Path, models: Path, kind: str
) -> None:
    theirs = tmp_path / "theirs.pt"
    path = make_taoruijie(theirs) if kind == "taoruijie" else make_speechbrain(theirs)
    installing.install(detecting.read(path), kind, models)
    encoder = load_encoder(kind, device="cpu", models_dir=models)
    stream, voice = encoder.open_stream(), synthetic_voice(5.0)
    for first, end in ((0, 16_000), (0, 24_000), (8000, 56_000), (16_000, 64_000), (1600, 33_000)):
        window = Window(
            segment=0,
            first_sample=first,
            samples=voice[first:end],
            net_speech_s=1.0,
            segment_speech_s=1.0,
            snr_db=20.0,
        )
        difference = stream.embed(window) - encoder.embed(window.samples)
        assert np.abs(difference).max() < 1e-4


def test_a_name_is_taken_only_once_and_never_from_voiceguard(
    models: Path, imported: Imported
) -> None:
    installing.install(imported, "tiny", models)
    with pytest.raises(UsageError, match="'tiny' is installed already") as caught:
        installing.install(imported, "tiny", models)
    assert "--name" in caught.value.hint
    for name in (DEFAULT_MODEL, "default", "resemblyzer", "in-use"):
        with pytest.raises(UsageError, match="belongs to voiceguard"):
            library.check_name(name)
    for name in ("", "../x", "a/b", "A", ".x", "x.safetensors", "x.onnx", "a" * 65, "a\n"):
        with pytest.raises(UsageError, match="cannot be called"):
            library.check_name(name)


def test_a_directory_of_a_shipped_name_does_not_shadow_it(models: Path, imported: Imported) -> None:
    installing.install(imported, "tiny", models)
    (models / "tiny").rename(models / DEFAULT_MODEL)
    assert models not in find_model(DEFAULT_MODEL, models).parents


def test_a_model_that_does_not_fit_leaves_nothing_behind(models: Path, imported: Imported) -> None:
    with pytest.raises(EncoderError, match="min_window_s must be at least"):
        installing.install(replace(imported, min_window_s=0.001), "tiny", models)
    assert list(models.iterdir()) == []
    assert imported.network is not None
    for parameter in imported.network.parameters():
        parameter.data.fill_(torch.nan)
    with pytest.raises(EncoderError, match="no usable numbers"):
        installing.install(imported, "tiny", models)
    assert list(models.iterdir()) == []


def test_one_flipped_bit_is_noticed_at_the_next_load(models: Path, imported: Imported) -> None:
    installing.install(imported, "tiny", models)
    path = find_model("tiny", models)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(EncoderError, match="damaged or was replaced") as caught:
        load_encoder("tiny", device="cpu", models_dir=models)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_told_by_its_path(models: Path, imported: Imported) -> None:
    installing.install(imported, "tiny", models)
    find_model("tiny", models).unlink()
    with pytest.raises(EncoderError, match=r"tiny/model\.safetensors cannot be read"):
        load_encoder("tiny", device="cpu", models_dir=models)


def test_default_is_the_one_that_was_chosen(models: Path, imported: Imported) -> None:
    shipped = find_model("default", models)
    installing.install(imported, "tiny", models)
    assert find_model("default", models) == shipped
    library.use("tiny", models)
    assert installed.in_use(models) == "tiny"
    assert find_model("default", models) == models / "tiny" / "model.safetensors"
    library.use("default", models)
    assert find_model("default", models) == shipped
    with pytest.raises(UsageError, match=f"no model 'other' to use: .*{DEFAULT_MODEL}, tiny"):
        library.use("other", models)


def test_a_choice_that_nobody_writes_holds_nobody(models: Path) -> None:
    """A FIFO in its place would hold the daemon at its start, for ever."""
    models.mkdir(parents=True)
    os.mkfifo(models / "in-use")
    with pytest.raises(StateError, match="cannot read which encoder is in use"):
        find_model("default", models)


def test_a_choice_that_is_gone_is_told_with_a_way_out(models: Path) -> None:
    models.mkdir(parents=True)
    (models / "in-use").write_text("gone\n")
    with pytest.raises(EncoderError, match="no encoder 'gone'") as caught:
        find_model("default", models)
    assert "models use" in caught.value.hint


def test_removing_needs_a_model_that_is_not_in_use(models: Path, imported: Imported) -> None:
    installing.install(imported, "tiny", models)
    with pytest.raises(EncoderError, match=f"no encoder 'other': .*{DEFAULT_MODEL}, tiny"):
        find_model("other", models)
    library.use("tiny", models)
    with pytest.raises(UsageError, match="in use"):
        installed.remove("tiny", models)
    library.use("default", models)
    installed.remove("tiny", models)
    assert list(models.iterdir()) == []
    with pytest.raises(UsageError, match="'tiny' is not installed here; installed: none"):
        installed.remove("tiny", models)
    with pytest.raises(EncoderError, match="no encoder 'tiny'"):
        find_model("tiny", models)


def test_a_model_that_lost_its_card_can_be_removed(models: Path, imported: Imported) -> None:
    installing.install(imported, "tiny", models)
    (models / "tiny" / installed.CARD_NAME).unlink()
    with pytest.raises(UsageError, match="installed already") as caught:
        installing.install(imported, "tiny", models)
    assert "models remove tiny" in caught.value.hint
    installed.remove("tiny", models)
    installing.install(imported, "tiny", models)
    with pytest.raises(UsageError, match=r"'\.\.' is not installed"):
        installed.remove("..", models)


def test_what_a_killed_import_left_behind_is_deleted_by_the_next(
    models: Path, imported: Imported
) -> None:
    leftover = models / ".importing-abc"
    leftover.mkdir(parents=True)
    (leftover / "model.safetensors").write_bytes(bytes(1000))
    installing.install(imported, "tiny", models)
    assert [path.name for path in models.iterdir()] == ["tiny"]
    leftover.mkdir()
    installed.remove("tiny", models)
    assert list(models.iterdir()) == []


def test_an_import_waits_for_another_and_does_not_delete_its_files(
    models: Path, imported: Imported
) -> None:
    with installed.aside(models) as partial:
        second = threading.Thread(
            target=installing.install, args=(imported, "tiny", models), daemon=True
        )
        second.start()
        second.join(0.3)
        assert second.is_alive()
        assert [path.name for path in models.iterdir()] == [partial.name]
    second.join(30)
    assert [path.name for path in models.iterdir()] == ["tiny"]


def test_what_is_half_imported_is_no_model(models: Path, imported: Imported) -> None:
    """As a power cut leaves it."""
    installing.install(imported, "tiny", models)
    (models / "tiny").rename(models / ".importing-x")
    assert installed.installed_models(models) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, imported: Imported) -> None:
    models = tmp_path / "file"
    models.touch()
    with pytest.raises(StateError, match="not a directory"):
        installing.install(imported, "tiny", models)


def test_the_card_says_where_it_came_from(models: Path, imported: Imported) -> None:
    told = replace(imported, source="hub/it@123", commercial_use=False, published="EER 0.9 %")
    installing.install(told, "tiny", models)
    values = json.loads((models / "tiny" / "model.json").read_bytes())
    assert values["source"] == "hub/it@123"
    assert values["commercial_use"] is False
    assert values["published"] == "EER 0.9 %"
    assert values["origin_format"] == "SpeechBrain"
    assert len(values["golden"]) == 8
    assert "is_trusted" not in values
