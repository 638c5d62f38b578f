"""Rows that are left out by what a manifest says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes import quiet
from tests.lab.evaluation.voices import write_wav
from voiceguard.errors import UsageError
from voiceguard.lab.corpora.corpus import read_corpus
from voiceguard.lab.corpora.exclusion import Exclusion, without

LISTED = """path,speaker,split,licence,source
anna.wav,anna,train,CC0-1.0,
bert.wav,bert,train,GPL-3.0,
cleo.wav,unk-1,train,CC-BY-4.0,
dora.wav,dora,train,CC-BY-4.0,radio
emil.wav,emil,eval,CC-BY-SA-4.0,
fred.wav,fred,train,"free, so they say",
"""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("listed")
    for row in LISTED.splitlines()[1:]:
        write_wav(folder / row.split(",")[0], quiet(0.1))
    (folder / "manifest.csv").write_text(LISTED)
    return folder / "manifest.csv"


def excluding(manifest: Path, *said: str, split: str | None = "train") -> list[str]:
    exclude = [Exclusion.parse(each) for each in said]
    corpus = read_corpus(manifest, split=split, exclude=exclude, min_speakers=1)
    return [each.path.stem for each in corpus.recordings]


def test_rows_that_any_pattern_matches_are_left_out(manifest: Path) -> None:
    assert excluding(manifest) == ["anna", "bert", "cleo", "dora", "fred"]
    assert excluding(manifest, "licence=*GPL*", "speaker=unk-*") == ["anna", "dora", "fred"]
    assert excluding(manifest, "path=[ab]*.wav", "licence=*, so*") == ["cleo", "dora"]


@pytest.mark.parametrize("said", ["licence=*gpl*", "licence=GPL", "licence=*-SA-*"])
def test_a_pattern_that_excludes_nothing_is_refused(manifest: Path, said: str) -> None:
    """Another case, no wildcard, another split: each would have let in what was to stay out."""
    with pytest.raises(UsageError, match="excludes nothing in"):
        excluding(manifest, said)


def test_a_column_that_is_not_there_is_refused_by_name(manifest: Path) -> None:
    with pytest.raises(UsageError, match="has no column license") as refused:
        excluding(manifest, "license=*GPL*")
    assert refused.value.hint == "its columns are path, speaker, split, licence, source"


def test_folders_without_a_manifest_have_no_columns(tmp_path: Path) -> None:
    for speaker in ("anna", "bert"):
        write_wav(tmp_path / speaker / "1.wav", quiet(0.1))
    with pytest.raises(UsageError, match="has no manifest"):
        excluding(tmp_path, "speaker=anna", split=None)


@pytest.mark.parametrize("said", ["licence", "=x", "licence=", ""])
def test_what_is_no_exclusion_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="must be COLUMN=PATTERN"):
        Exclusion.parse(said)


def test_what_is_left_keeps_its_order() -> None:
    rows = [{"speaker": name} for name in "cab"]
    assert without([Exclusion("speaker", "a")], rows, Path("x.csv")) == [rows[0], rows[2]]
