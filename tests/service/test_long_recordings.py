"""Memory that doesn't grow with a recording, and what is said of one that is long or damaged."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.audio.sound_files import write_audio
from tests.fakes import PitchEncoder, quiet, tone
from voiceguard.service.whole import embed_whole
from voiceguard.types import MonoBlock

if TYPE_CHECKING:
    from pathlib import Path

MAX_GROWTH_MB = 50
MAX_MB = 500


@pytest.fixture(scope="module")
def minute(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Somebody talks now and then; ADTS can be written one after another."""
    phrase = np.concatenate([tone(500.0, 2.2, level=0.2), quiet(0.8)])
    samples = np.concatenate([np.tile(phrase, 4), quiet(48.0)])[:, None]
    path = tmp_path_factory.mktemp("minute") / "a.aac"
    return write_audio(path, samples, 16_000, codec="aac", sample_format="fltp").read_bytes()


def test_an_hour_takes_hardly_more_memory_than_five_minutes(minute: bytes, tmp_path: Path) -> None:
    """Verified, enrolled, embedded and read for an evaluation, each in full."""
    taken_mb = {}
    for minutes in (5, 60):
        path = tmp_path / f"{minutes}.aac"
        path.write_bytes(minute * minutes)
        command = (sys.executable, "-m", "tests.service.memory", str(path))
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        assert finished.returncode == 0, finished.stderr
        taken_mb[minutes] = int(finished.stdout.splitlines()[-1])
    assert taken_mb[60] - taken_mb[5] < MAX_GROWTH_MB, taken_mb
    assert taken_mb[60] < MAX_MB, taken_mb


def test_a_recording_is_embedded_in_one_piece_until_it_is_long() -> None:
    encoder = PitchEncoder()
    short = tone(500.0, 44.0)
    np.testing.assert_array_equal(embed_whole(encoder, short).vectors["embedding"],
                                  encoder.embed(short))  # fmt: skip
    long = np.concatenate([tone(500.0, 30.0), tone(1500.0, 30.0)])
    whole = embed_whole(encoder, long)
    assert (whole.num_pieces, whole.num_samples) == (2, len(long))
    mean = encoder.embed(long[: 30 * 16_000]) + encoder.embed(long[30 * 16_000 :])
    np.testing.assert_allclose(whole.vectors["embedding"], mean / np.linalg.norm(mean), atol=1e-6)


def test_no_piece_spans_what_is_missing() -> None:
    """And a scrap between two damaged places is left out."""
    encoder = PitchEncoder()
    first, scrap, second = tone(500.0, 10.0), tone(3000.0, 1.0), tone(500.0, 20.0, seed=1)
    blocks = [MonoBlock(first), MonoBlock(scrap, after_gap=True), MonoBlock(second, after_gap=True)]
    whole = embed_whole(encoder, blocks)
    assert whole.num_pieces == 2
    mean = (10 * encoder.embed(first) + 20 * encoder.embed(second)) / 30
    np.testing.assert_allclose(whole.vectors["embedding"], mean / np.linalg.norm(mean), atol=1e-6)
