"""Tensors of ours over a published encoder's: only those, only if they fit, nothing damaged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.encoder.foreign.made_campplus import make_campplus
from tests.encoder.foreign.made_tuning import FACTS, write_tuning
from voiceguard.encoder.foreign.catalogue import CATALOGUE
from voiceguard.encoder.foreign.threed_speaker import read
from voiceguard.encoder.foreign.tuning import TUNING_DIR, tuned
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.encoder.foreign.imported import Imported

NAME = "projection.weight"


@pytest.fixture
def published(tmp_path: Path) -> Imported:
    return read(make_campplus(tmp_path / "theirs.pt", block_layers=(1, 1, 1)))


def test_only_its_own_tensors_are_replaced(published: Imported, tmp_path: Path) -> None:
    assert published.arrays is not None
    ours = np.full_like(published.arrays[NAME], 0.25, dtype=np.float16)
    changed = tuned(published, write_tuning(tmp_path / "t.safetensors", {NAME: ours}), tmp_path)
    assert changed.arrays is not None
    assert changed.arrays.keys() == published.arrays.keys()
    for name, array in changed.arrays.items():
        assert array.dtype == published.arrays[name].dtype
        if name == NAME:
            assert (array == 0.25).all()
        else:
            assert array is published.arrays[name]
    assert changed.trained_on.endswith("; then tuned on a test's voices")


@pytest.mark.parametrize(
    ("name", "shape"), [(NAME, (1, 1)), ("no.such.tensor", (2,))], ids=["shape", "name"]
)
def test_one_of_another_network_is_refused(
    published: Imported, tmp_path: Path, name: str, shape: tuple[int, ...]
) -> None:
    other = write_tuning(tmp_path / "t.safetensors", {name: np.zeros(shape, np.float16)})
    with pytest.raises(EncoderError, match="is of another network"):
        tuned(published, other, tmp_path)


@pytest.mark.parametrize("facts", [{}, FACTS | {"format": "x"}, FACTS | {"trained_on": 3}])
def test_a_file_that_is_no_tuning_is_refused(
    published: Imported, tmp_path: Path, facts: dict[str, object]
) -> None:
    other = write_tuning(tmp_path / "t.safetensors", {NAME: np.zeros(1, np.float16)}, facts)
    with pytest.raises(EncoderError, match="is no tuning"):
        tuned(published, other, tmp_path)


def test_a_file_that_is_missing_is_named(published: Imported, tmp_path: Path) -> None:
    tuning = write_tuning(tmp_path / "t.safetensors", {})
    with pytest.raises(EncoderError, match=r"gone.safetensors cannot be read") as raised:
        tuned(published, replace(tuning, file_name="gone.safetensors"), tmp_path)
    assert raised.value.hint == "Reinstall voiceguard."


@pytest.mark.parametrize(
    "tuning", [known.tuning for known in CATALOGUE if known.tuning], ids=lambda each: each.file_name
)
def test_what_is_shipped_has_the_hash_that_the_catalogue_says(
    published: Imported, tuning: object
) -> None:
    with pytest.raises(EncoderError, match="is of another network"):  # read whole, hash and all
        tuned(published, tuning, TUNING_DIR)  # type: ignore[arg-type]
