"""Labels that lie are named where two witnesses agree, and only there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fakes import PitchEncoder
from tests.lab.evaluation.voices import Written, make_kit, write_corpus
from voiceguard.errors import UsageError
from voiceguard.lab.corpora.corpus import Corpus, read_corpus
from voiceguard.lab.evaluation.encoders.doubtful import Doubts, find_doubtful

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.protocols import Encoder
    from voiceguard.types import Embedding, Samples

HZ = {f"s{n}": 400.0 + 350.0 * n for n in range(6)}


class Named(PitchEncoder):
    """A witness with a name of its own."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.info = replace(self.info, name=name)


class Confused(Named):
    """Hears no difference between low tones."""

    def embed(self, samples: Samples) -> Embedding:
        bands = super().embed(samples).copy()
        bands[:8] = np.linalg.norm(bands[:8]) / np.sqrt(8)
        return bands


def spoken(label: str, session: str, hz: float, count: int = 3) -> list[Written]:
    return [Written(label, session, hz + 3.0 * n, seconds=2.5) for n in range(count)]


def corpus_of(tmp_path: Path, *, second_session_of_s5: float = HZ["s5"]) -> Corpus:
    """Six people, of whom the first has two labels; everybody was there twice."""
    rows = [row for label, hz in HZ.items() for row in spoken(label, "monday", hz)]
    rows += [
        row for label, hz in HZ.items() if label != "s5" for row in spoken(label, "friday", hz)
    ]
    rows += spoken("s5", "friday", second_session_of_s5)
    for session in ("monday", "friday"):
        rows += spoken("again", session, HZ["s0"])
    return read_corpus(write_corpus(tmp_path, rows))


def found_by(corpus: Corpus, *witnesses: Named) -> Doubts:
    named: dict[str, Encoder] = {each.info.name: each for each in witnesses}
    return find_doubtful(make_kit(), named, corpus)


def test_two_labels_of_one_person_are_named(tmp_path: Path) -> None:
    found = found_by(corpus_of(tmp_path), Named("one"), Named("other"))
    assert [(each.first, each.second) for each in found.one_person] == [("tones/again", "tones/s0")]
    assert set(found.one_person[0].cosines) == {"one", "other"}
    assert found.several_people == ()
    assert (found.num_labels, found.num_pairs) == (7, 21)


def test_two_people_under_one_label_are_named(tmp_path: Path) -> None:
    found = found_by(corpus_of(tmp_path, second_session_of_s5=3300.0), Named("one"), Named("other"))
    assert [(each.first, each.second) for each in found.several_people] == [
        ("tones/s5, monday", "tones/s5, friday")
    ]


def test_what_one_encoder_confuses_is_not_doubted_on_its_word_alone(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path)
    alone = found_by(corpus, Confused("a"), Confused("b"))
    assert ("tones/s0", "tones/s1") in {(each.first, each.second) for each in alone.one_person}
    both = found_by(corpus, Confused("a"), Named("b"))
    assert [(each.first, each.second) for each in both.one_person] == [("tones/again", "tones/s0")]


def test_labels_are_compared_within_a_corpus(tmp_path: Path) -> None:
    rows = [row for label, hz in HZ.items() for row in spoken(label, "monday", hz)]
    elsewhere = [replace(row, corpus="elsewhere") for row in rows]
    found = found_by(read_corpus(write_corpus(tmp_path, rows + elsewhere)), Named("a"), Named("b"))
    assert found.one_person == ()
    assert {each.corpus for each in found.witnesses} == {"tones", "elsewhere"}
    assert found.num_pairs == 2 * 15


def test_one_witness_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 encoders must agree"):
        found_by(corpus_of(tmp_path), Named("one"))


def test_too_little_speech_is_refused(tmp_path: Path) -> None:
    rows = [row for label, hz in HZ.items() for row in spoken(label, "", hz, count=1)]
    with pytest.raises(UsageError, match="no corpus here has three labels"):
        found_by(read_corpus(write_corpus(tmp_path, rows)), Named("one"), Named("other"))
