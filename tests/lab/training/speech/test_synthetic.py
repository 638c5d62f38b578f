"""Synthetic speakers, by the real synthesisers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.services import require_program
from voiceguard.audio.files import load_audio
from voiceguard.errors import UsageError
from voiceguard.lab.corpora.corpus import read_corpus
from voiceguard.lab.training.speech.synthetic import FLITE_VOICES, make_voices, write_voices

if TYPE_CHECKING:
    from pathlib import Path


def test_each_voice_gets_a_folder_that_a_corpus_is_read_from(tmp_path: Path) -> None:
    require_program("flite")

    num_voices = write_voices(tmp_path, 3, seed=0)

    corpus = read_corpus(tmp_path)
    assert num_voices == len(corpus.by_speaker()) == 3
    assert all(len(recordings) == 2 for recordings in corpus.by_speaker().values())
    samples = load_audio(corpus.recordings[0].path)
    assert len(samples) > 3 * 16_000


def test_the_same_seed_gives_the_same_voices() -> None:
    require_program("flite")

    assert make_voices(4, seed=1) == make_voices(4, seed=1)
    assert len({voice.name for voice in make_voices(len(FLITE_VOICES), seed=1)}) == 4


def test_without_a_synthesiser_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(UsageError, match="espeak-ng nor flite") as caught:
        make_voices(3, seed=0)
    assert "apt install" in caught.value.hint
