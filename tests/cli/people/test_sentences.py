"""The sentences are those of the reader's language, as far as there are any."""

from __future__ import annotations

import pytest

from voiceguard.cli.people.microphone import TARGET_TAKES
from voiceguard.cli.people.sentences import SENTENCES, sentences
from voiceguard.errors import UsageError


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "C"}, "en"),
        ({"LANG": "nonsense.UTF-8"}, "en"),
        ({"LANG": "de_AT.UTF-8"}, "de"),
        ({"LANG": "de_DE", "LC_ALL": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "es", "LC_ALL": ""}, "es"),
    ],
)
def test_the_environment_says_which(environ: dict[str, str], language: str) -> None:
    assert sentences(None, environ) == SENTENCES[language]


def test_the_option_comes_first_and_a_language_without_sentences_is_told() -> None:
    assert sentences("de-CH", {"LANG": "fr"}) == SENTENCES["de"]
    with pytest.raises(UsageError, match="no sentences in 'tlh'") as caught:
        sentences("tlh", {})
    assert "en, de, fr, es" in caught.value.hint


@pytest.mark.parametrize("language", SENTENCES)
def test_each_language_has_enough_and_each_fits_a_narrow_terminal(language: str) -> None:
    found = SENTENCES[language]
    assert len(set(found)) == len(found) >= TARGET_TAKES + 2
    assert all(40 < len(sentence) <= 78 for sentence in found)
