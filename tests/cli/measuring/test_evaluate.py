"""``cohort``, ``calibrate`` and ``evaluate`` as a user types them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard
from tests.fakes import quiet
from tests.lab.evaluation.voices import people, write_corpus, write_wav
from voiceguard.encoder.library import DEFAULT_MODEL, find_model
from voiceguard.scoring.snorm import load_cohort

if TYPE_CHECKING:
    from pathlib import Path


def test_a_cohort_is_made_where_it_is_wanted(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write_corpus(corpus, people(11, utterances=1, second_session=0))
    out = tmp_path / "cohort.safetensors"
    done = voiceguard(
        "cohort", corpus, "--out", out, "--min-seconds", "2", "--top-k", "4", "--json",
        "--exclude", "speaker=s1*",
        state=tmp_path, environment={
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "VOICEGUARD_VAD__BACKEND": "energy",  # the corpus is no speech to a speech model
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["num_speakers"], said["top_k"], said["path"]) == (20, 4, str(out))
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


def test_an_evaluation_can_be_read_by_machines_and_looked_at(tmp_path: Path) -> None:
    corpus, page = tmp_path / "corpus", tmp_path / "page.html"
    corpus.mkdir()
    write_corpus(corpus, people(3, utterances=5, second_session=1), spoken=True)
    write_wav(corpus / "tones" / "s00" / "0.wav", quiet(0.2))
    (corpus / "tones" / "s01" / "5.wav").unlink(missing_ok=True)
    (corpus / "tones" / "s01" / "6.wav").write_bytes(b"not audio")
    done = voiceguard(
        "evaluate", corpus, "--conditions", "clean", "--report", page, "--json",
        state=tmp_path, environment={"XDG_CACHE_HOME": str(tmp_path / "cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["num_speakers"] == 3
    assert {row["condition"] for row in said["figures"]} == {"clean"}
    assert said["daemon"]["calibration"] == "shipped"  # it knows nobody here
    assert {row["p_fa"] for row in said["daemon"]["claims"]} == {0.01, 0.001}
    for name in ("0.wav", "6.wav"):
        assert f"{name}: " in done.stderr
    assert "Detection error trade-off" in page.read_text()
    assert "voiceguard evaluate" in page.read_text()


def test_the_summary_has_eight_figures_per_corpus_and_encoder(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    # Sessions of one and two utterances: nobody has one of more than three.
    write_corpus(corpus, people(3, utterances=2, second_session=1), spoken=True)
    noise = tmp_path / "noise"
    write_wav(noise / "fan.wav", quiet(1, level=0.1))
    done = voiceguard(
        "evaluate", corpus, "--summary", "--noise", noise, "--json",
        state=tmp_path, environment={"XDG_CACHE_HOME": str(tmp_path / "cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["num_enrolled"] == 3
    assert [row["corpus"] for row in said["summary"]] == ["tones", "mean"]
    columns = said["summary"][0]["figures"]
    assert [*columns] == [
        *("1 s", "2 s", "3 s", "5 s", "3 s, 5 dB", "3 s, rooms", "2 s, 10 dB + rooms"),
        "minDCF(0.01) 3 s",
    ]
    absent = {name for name, figure in columns.items() if figure is None}
    assert absent >= {"5 s", "3 s, rooms", "2 s, 10 dB + rooms"}  # too short, and no rooms
    assert columns["1 s"]["num_target"] == 3
    assert said["summary"][1]["figures"] == columns
    tested = {(row["condition"], row["length"]) for row in said["figures"]}
    assert ("5 dB", "1 s") not in tested


def test_the_summary_is_not_mixed_with_what_it_decides(tmp_path: Path) -> None:
    done = voiceguard("evaluate", tmp_path, "--summary", "--conditions", "clean", state=tmp_path)
    assert done.returncode == 2
    assert "none of --trials, --conditions and --report" in done.stderr


def test_decisions_alone_cost_no_scores(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write_corpus(corpus, people(3, utterances=4, second_session=1), spoken=True)
    done = voiceguard(
        "evaluate", corpus, "--no-scores", "--conditions", "clean", "--json",
        state=tmp_path, environment={"XDG_CACHE_HOME": str(tmp_path / "cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["figures"] == []
    assert {row["corpus"] for row in said["daemon"]["by_corpus"]} == {"tones"}
    done = voiceguard("evaluate", corpus, "--no-scores", "--no-decisions", state=tmp_path)
    assert done.returncode == 2
    assert "none of --no-decisions" in done.stderr


def test_a_list_of_trials_gives_scores_only(tmp_path: Path) -> None:
    write_corpus(tmp_path, people(2, utterances=2, second_session=0))
    listed = tmp_path / "trials.txt"
    a, b = "tones/s00/0.wav tones/s00/1.wav", "tones/s00/0.wav tones/s01/2.wav"
    listed.write_text(f"1 {a}\n0 {b}\n")
    done = voiceguard(
        "evaluate", tmp_path, "--trials", listed, "--conditions", "clean", "--json",
        state=tmp_path, environment={"XDG_CACHE_HOME": str(tmp_path / "cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["daemon"] is None
    assert {(row["num_target"], row["num_nontarget"]) for row in said["figures"]} == {(1, 1)}
    assert "no decisions" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--calibration", "best"), "must be crossed or shipped, not 'best'"),
        (("--conditions", "clean,10 dB"), "there is no condition '10 dB'"),
        (("--conditions", "telephone"), "clean speech is always measured"),
        (("--report", "nowhere/page.html"), "nowhere/page.html cannot be written"),
        (("--trials", "trials.txt"), "names 1 files that are not in"),
        (("--noise", "nowhere"), "nowhere is not there"),
        (("--split", "test"), "has no rows of split 'test'"),
        (("--model", "unheard-of"), "there is no encoder 'unheard-of'"),
    ],
)
def test_what_cannot_be_evaluated_is_told_at_once(
    arguments: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path, people(2, utterances=1, second_session=0))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trials.txt").write_text(
        "1 tones/s00/0.wav tones/s00/0.wav\n0 tones/s00/0.wav tones/s07/9.wav\n"
    )
    done = voiceguard("evaluate", tmp_path, *arguments, state=tmp_path)
    assert done.returncode != 0
    assert told in done.stderr
    assert "hint:" in done.stderr or "--split" in arguments
    assert "Traceback" not in done.stderr


def test_one_encoder_under_two_names_is_told(tmp_path: Path) -> None:
    write_corpus(tmp_path, people(2, utterances=1, second_session=0))
    both = ("--model", DEFAULT_MODEL, "--model", "default")
    done = voiceguard("evaluate", tmp_path, *both, "--no-decisions", state=tmp_path)
    assert done.returncode == 2
    assert f"--model {DEFAULT_MODEL} and --model default are one encoder" in done.stderr


def test_one_speaker_or_missing_files_are_refused(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path, people(2, utterances=1, second_session=0))
    (tmp_path / "tones" / "s01" / "1.wav").unlink()
    done = voiceguard("evaluate", manifest, state=tmp_path)
    assert done.returncode == 2
    assert "1 usable speakers where 2 are needed; 1 files are missing" in done.stderr
