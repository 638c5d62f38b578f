"""Manifests and folders: what is read, what is skipped by name, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes import quiet
from tests.lab.evaluation.voices import Written, write_corpus, write_wav
from voiceguard.errors import UsageError
from voiceguard.lab.corpora.corpus import read_corpus, read_noise, refuse_held_back, together

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [
    Written(speaker="anna", session="mon", hz=400, seconds=0.2, half="a"),
    Written(speaker="anna", session="tue", hz=400, seconds=0.2, half="a"),
    Written(speaker="bert", session="mon", hz=800, seconds=0.2, half="b"),
    Written(speaker="cleo", session="mon", hz=800, seconds=0.2, split="train"),
]


def test_a_manifest_is_read_from_the_file_or_from_its_folder(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path, ROWS)
    corpus = read_corpus(manifest, split="eval")
    assert corpus == read_corpus(tmp_path, split="eval")
    assert list(corpus.by_speaker()) == ["tones/anna", "tones/bert"]
    first = corpus.recordings[0]
    assert (first.session, first.half, first.licence) == ("mon", "a", "CC0-1.0")
    assert first.path.is_file()
    assert corpus.corpora == ("tones",)


def test_a_folder_takes_its_rows_of_the_manifest_above_it(tmp_path: Path) -> None:
    write_corpus(
        tmp_path,
        [
            *(Written(speaker=s, session="", hz=400, seconds=0.2, corpus="x") for s in "ab"),
            *(Written(speaker=s, session="", hz=400, seconds=0.2, corpus="y") for s in "cd"),
        ],
    )
    assert list(read_corpus(tmp_path / "y").by_speaker()) == ["y/c", "y/d"]
    (tmp_path / "z" / "anna").mkdir(parents=True)
    (tmp_path / "z" / "bert").mkdir(parents=True)
    write_wav(tmp_path / "z" / "anna" / "1.wav", quiet(0.1))
    write_wav(tmp_path / "z" / "bert" / "1.wav", quiet(0.1))
    assert list(read_corpus(tmp_path / "z").by_speaker()) == ["z/anna", "z/bert"]  # not listed


def test_paths_may_name_the_manifests_own_folder_first(tmp_path: Path) -> None:
    (tmp_path / "noise").mkdir()
    write_wav(tmp_path / "noise" / "fan.wav", quiet(0.1))
    (tmp_path / "noise" / "manifest.csv").write_text("path,split\nnoise/fan.wav,train\n")
    assert read_noise(tmp_path / "noise", split="train") == (tmp_path / "noise" / "fan.wav",)
    with pytest.raises(UsageError, match="no rows of split 'eval'"):
        read_noise(tmp_path / "noise", split="eval")


def test_a_folder_per_speaker_may_have_a_folder_per_session(tmp_path: Path) -> None:
    for path in ("anna/mon/1.wav", "anna/tue/1.wav", "bert/1.wav", "bert/notes.txt"):
        write_wav(tmp_path / path, quiet(0.1))
    corpus = read_corpus(tmp_path)
    sessions = [(r.speaker.split("/")[1], r.session) for r in corpus.recordings]
    assert sessions == [("anna", "mon"), ("anna", "tue"), ("bert", "")]
    assert {r.half for r in corpus.recordings} == {"a", "b"}


def test_speakers_without_a_half_get_one_and_keep_it_over_sessions(tmp_path: Path) -> None:
    rows = [Written(speaker=f"s{i % 6}", session=str(i), hz=400, seconds=0.1) for i in range(18)]
    corpus = read_corpus(write_corpus(tmp_path, rows))
    halves = {s: {r.half for r in rs} for s, rs in corpus.by_speaker().items()}
    assert sorted(len(half) for half in halves.values()) == [1] * 6
    assert sorted("".join(half) for half in halves.values()) == ["a"] * 3 + ["b"] * 3


def test_missing_files_and_bad_halves_are_named_and_left_out(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path, [*ROWS, Written("dora", "mon", 500, 0.1, half="c")])
    (tmp_path / "tones" / "anna" / "1.wav").unlink()
    corpus = read_corpus(manifest)
    assert [(skip.path.name, skip.reason) for skip in corpus.skips] == [
        ("1.wav", "missing"),
        ("4.wav", "half must be a or b, not 'c'"),
    ]
    assert len(corpus.recordings) == 3


def test_one_speaker_is_not_a_corpus(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path, ROWS[:2])
    with pytest.raises(UsageError, match="1 usable speakers where 2 are needed"):
        read_corpus(manifest)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,who\na.wav,anna\n", "no column speaker"),
        ("path,speaker\n", "has no rows"),
        ("path,speaker\na.wav,anna\nb.wav,bert\n", "0 usable speakers .*2 files are missing"),
    ],
)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    manifest = tmp_path / "list.csv"
    manifest.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_corpus(manifest)


def test_a_split_needs_its_column(tmp_path: Path) -> None:
    manifest = tmp_path / "list.csv"
    manifest.write_text("path,speaker\na.wav,anna\n")
    with pytest.raises(UsageError, match="no column split"):
        read_corpus(manifest, split="eval")


def test_neither_folder_nor_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not there"):
        read_corpus(tmp_path / "nowhere")
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(UsageError, match="neither a folder nor a manifest"):
        read_corpus(tmp_path / "a.wav")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no noise files"):
        read_noise(tmp_path / "empty")


def test_nobody_is_learnt_whom_the_manifest_keeps_for_measuring(tmp_path: Path) -> None:
    again = Written(speaker="anna", session="wed", hz=400, seconds=0.2, split="train")
    manifest = write_corpus(tmp_path, [*ROWS, again])

    for split in ("train", None):
        corpus = read_corpus(manifest, split=split)
        with pytest.raises(UsageError, match=r"tones/anna.* stand in the split eval or test of"):
            refuse_held_back(tmp_path, corpus)


def test_nobody_is_learnt_from_another_folder_either(tmp_path: Path) -> None:
    for name in ("divided", "other"):
        (tmp_path / name).mkdir()
    divided = write_corpus(tmp_path / "divided", ROWS)
    again = Written(speaker="anna", session="wed", hz=400, seconds=0.2, split="train")
    other = write_corpus(tmp_path / "other", [again])
    corpora = [read_corpus(each, split="train", min_speakers=1) for each in (divided, other)]

    with pytest.raises(UsageError, match="tones/anna stand in the split"):
        refuse_held_back(divided, together(corpora))


def test_train_speakers_of_their_own_and_corpora_without_splits_are_learnt(tmp_path: Path) -> None:
    for name in ("divided", "undivided"):
        (tmp_path / name).mkdir()
    manifest = write_corpus(tmp_path / "divided", ROWS)
    refuse_held_back(manifest, read_corpus(manifest, split="train", min_speakers=1))
    undivided = write_corpus(tmp_path / "undivided", ROWS[:3])
    refuse_held_back(undivided, read_corpus(undivided))
    for speaker in ("dora", "emil"):
        write_wav(tmp_path / "folders" / speaker / "a.wav", quiet(0.2))
    refuse_held_back(tmp_path / "folders", read_corpus(tmp_path / "folders"))
