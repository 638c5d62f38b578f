"""``calibrate`` as a user types it: where the result goes, and what it is fitted with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.cli.command import voiceguard
from tests.lab.evaluation.voices import people, write_corpus
from voiceguard.lab.evaluation.daemon.calibration import PRIOR_SPEAKERS
from voiceguard.paths import own_calibration_file
from voiceguard.scoring.calibration import load_calibration
from voiceguard.service.kit import calibration_in_force
from voiceguard.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path


def test_a_calibration_for_this_machine_is_in_force_from_then_on(tmp_path: Path) -> None:
    """Ten voices; written to the state directory, shrunk towards the shipped one."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write_corpus(corpus, people(10, utterances=4, second_session=0), spoken=True)
    state = tmp_path / "state"
    done = voiceguard(
        "calibrate", corpus, "--json",
        state=state, environment={"XDG_CACHE_HOME": str(tmp_path / "cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    own = own_calibration_file(state, said["encoder_id"])
    assert said["path"] == str(own)
    assert said["prior_speakers"] == PRIOR_SPEAKERS
    found = calibration_in_force(load_settings(state_dir=str(state)), said["encoder_id"])
    assert found == own
    made = load_calibration(own, encoder_id=said["encoder_id"], cohort_id=said["cohort_id"])
    assert made.provenance.corpora == ("tones",)
    assert {tail.condition for tail in made.nontarget_tails} >= {"clean"}


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write_corpus(corpus, people(10, utterances=1, second_session=0))
    out = tmp_path / "nowhere" / "room.json"
    done = voiceguard("calibrate", corpus, "--out", out, state=tmp_path)
    assert done.returncode == 2
    assert "nowhere is no directory that one may write into" in done.stderr
