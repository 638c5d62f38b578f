"""An encoder that remembers never embeds the same audio twice, nor returns what isn't its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fakes import PitchEncoder, make_window, tone
from voiceguard.lab.corpora.embedding_cache import RememberingEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voiceguard.types import Embedding, Samples


def test_embeddings_are_remembered_over_runs(tmp_path: Path) -> None:
    with RememberingEncoder(PitchEncoder(), tmp_path / "cache") as encoder:
        first = encoder.embed(tone(440, 1))
    again = PitchEncoder()
    again.fails = True
    with RememberingEncoder(again, tmp_path / "cache") as encoder:
        np.testing.assert_array_equal(encoder.embed(tone(440, 1)), first)
        assert encoder.num_computed == 0
        with pytest.raises(RuntimeError):
            encoder.embed(tone(441, 1))


def test_streams_remember_as_well(tmp_path: Path) -> None:
    inner = PitchEncoder()
    with RememberingEncoder(inner, tmp_path) as encoder:
        window = make_window(seconds=1)
        window.samples[:] = tone(500, 1)
        first = encoder.open_stream().embed(window)
        np.testing.assert_array_equal(encoder.open_stream().embed(window), first)
        np.testing.assert_array_equal(encoder.embed(window.samples), first)
    assert inner.num_calls == 1


def test_two_encoders_share_nothing(tmp_path: Path) -> None:
    for encoder_id in ("0" * 16, "1" * 16):
        with RememberingEncoder(PitchEncoder(encoder_id), tmp_path) as encoder:
            encoder.embed(tone(440, 1))
            assert encoder.num_computed == 1
    assert len(list(tmp_path.glob("*.sqlite3"))) == 2


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    with RememberingEncoder(PitchEncoder(), tmp_path / "cache"):
        assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    with RememberingEncoder(PitchEncoder(), tmp_path) as encoder:
        encoder.embed(tone(440, 1))
    path = next(tmp_path.glob("*.sqlite3"))
    path.write_bytes(b"not a database" * 100)
    with RememberingEncoder(PitchEncoder(), tmp_path) as encoder:
        encoder.embed(tone(440, 1))
        assert encoder.num_computed == 1


def test_a_place_that_cannot_be_used_costs_time_and_not_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with RememberingEncoder(PitchEncoder(), tmp_path / "file") as encoder:
        assert encoder.embed(tone(440, 1)).shape == (32,)


def test_two_runs_at_once_do_not_stop_each_other(tmp_path: Path) -> None:
    with (
        RememberingEncoder(PitchEncoder(), tmp_path) as one,
        RememberingEncoder(PitchEncoder(), tmp_path) as other,
    ):
        first = one.embed(tone(440, 1))  # not committed yet: the file is locked for writing
        np.testing.assert_array_equal(other.embed(tone(440, 1)), first)
        other.embed(tone(500, 1))
    with RememberingEncoder(PitchEncoder(), tmp_path) as encoder:
        encoder.embed(tone(440, 1))
        assert encoder.num_computed == 0


class BatchEncoder(PitchEncoder):
    """Counts how many recordings come together."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def embed_many(self, recordings: Sequence[Samples]) -> list[Embedding]:
        self.batches.append(len(recordings))
        return [self.embed(samples) for samples in recordings]


def test_of_several_only_those_not_known_are_computed_and_all_at_once(tmp_path: Path) -> None:
    inner = BatchEncoder()
    recordings = [tone(hz, 1) for hz in (400, 500, 600, 400)]
    with RememberingEncoder(inner, tmp_path) as encoder:
        second = encoder.embed(recordings[1])
        together = encoder.embed_many(recordings)
        assert inner.batches == [3]
        encoder.embed_many(recordings)
        assert inner.batches == [3]
    np.testing.assert_array_equal(together[1], second)
    for samples, embedding in zip(recordings, together, strict=True):
        np.testing.assert_array_equal(embedding, PitchEncoder().embed(samples))


def test_encoders_that_know_no_batches_are_asked_one_by_one(tmp_path: Path) -> None:
    with RememberingEncoder(PitchEncoder(), tmp_path) as encoder:
        assert len(encoder.embed_many([tone(400, 1), tone(500, 1)])) == 2
        assert encoder.num_computed == 2
