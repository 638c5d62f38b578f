"""``cohort``, ``calibrate`` and ``evaluate`` as a user types them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard
from tests.evaluation.voices import people, write_corpus
from voiceguard.encoder.registry import find_model
from voiceguard.scoring.snorm import load_cohort

if TYPE_CHECKING:
    from pathlib import Path


def test_a_cohort_is_made_where_it_is_wanted(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write_corpus(corpus, people(10, utterances=1, second_session=0))
    out = tmp_path / "cohort.safetensors"
    done = voiceguard(
        "cohort", corpus, "--out", out, "--min-seconds", "2", "--top-k", "4", "--json",
        state=tmp_path, environment={"XDG_CACHE_HOME": str(tmp_path / "cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["num_speakers"], said["top_k"], said["path"]) == (10, 4, str(out))
    made = load_cohort(out, encoder_id=said["encoder_id"])
    assert made.cohort_id == said["cohort_id"]
    assert len(list((tmp_path / "cache" / "voiceguard" / "evaluation").iterdir())) == 1


def test_a_calibration_needs_ten_speakers(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write_corpus(corpus, people(9, utterances=1, second_session=0))
    weights = find_model("default").parent
    before = {path: path.stat().st_mtime for path in weights.iterdir()}
    done = voiceguard("calibrate", corpus, state=tmp_path)
    assert done.returncode == 2
    assert "9 usable speakers where 10 are needed" in done.stderr
    assert {path: path.stat().st_mtime for path in weights.iterdir()} == before


@pytest.mark.parametrize("command", ["cohort", "calibrate", "evaluate"])
def test_a_place_without_recordings_is_a_usage_error(command: str, tmp_path: Path) -> None:
    done = voiceguard(command, tmp_path / "nowhere", state=tmp_path)
    assert done.returncode == 2
    assert "is not there" in done.stderr
    assert "Traceback" not in done.stderr
