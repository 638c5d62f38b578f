"""Names that fit topics and file names, and what is said about those that don't."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceguard.errors import ExitCode, UsageError
from voiceguard.voiceprints.names import (
    check_speaker_name,
    new_speaker_id,
    speaker_id,
    written_name,
)


@pytest.mark.parametrize("name", ["anna", "a", "0", "mr_x-2", "a" * 32])
def test_right_names_pass(name: str) -> None:
    assert check_speaker_name(name) == name


@pytest.mark.parametrize(
    ("name", "culprit", "suggestion"),
    [
        ("a/b", "'/'", "'a-b'"),
        ("anna+", "'+'", "'anna'"),
        ("anna#1", "'#'", "'anna-1'"),
        ("Anna", "'A'", "'anna'"),
        ("jörg b.", "'ö'", "'jorg-b'"),
        ("../../etc/passwd", "'.'", "'etc-passwd'"),
        ("anna\n", r"'\\n'", "'anna'"),
        ("a\0b", r"'\\x00'", "'a-b'"),
        ("--help", "hyphen", "'help'"),
        ("-", "hyphen", "1 to 32 of a-z"),
    ],
)
def test_the_wrong_character_is_named_and_a_right_name_suggested(
    name: str, culprit: str, suggestion: str
) -> None:
    with pytest.raises(UsageError, match=culprit.replace("+", r"\+")) as caught:
        check_speaker_name(name)
    assert suggestion in caught.value.hint
    assert caught.value.exit_code is ExitCode.USAGE


def test_too_long_and_empty_names_are_refused() -> None:
    with pytest.raises(UsageError, match="200 characters") as caught:
        check_speaker_name("a" * 200)
    assert len(str(caught.value)) < 160
    with pytest.raises(UsageError, match="empty"):
        check_speaker_name("")


@given(st.text(max_size=60))
def test_exactly_the_documented_names_pass_and_every_suggestion_is_one(name: str) -> None:
    if re.fullmatch(r"[a-z0-9_][a-z0-9_-]{0,31}", name):
        check_speaker_name(name)
        return
    with pytest.raises(UsageError) as caught:
        check_speaker_name(name)
    if suggested := re.match(r"for example '([^']*)'", caught.value.hint):
        check_speaker_name(suggested[1])


@pytest.mark.parametrize(
    ("written", "identity"),
    [
        ("anna", "anna"),
        ("Anna", "anna"),
        ("Zoë", "zoe"),
        ("Zoe\u0308", "zoe"),
        ("Max Mustermann", "max-mustermann"),
        ("Jean-Luc d'Arc", "jean-luc-darc"),
        ("Bjørn", "bjorn"),
        ("Jürgen Weiß", "jurgen-weiss"),
        ("J. R.", "j-r"),
        ("Анна", "anna"),
        ("さくら", "sakura"),
        ("bo-b_", "bo-b_"),
    ],
)
def test_a_name_as_people_write_it_makes_its_own_id(written: str, identity: str) -> None:
    assert speaker_id(written) == new_speaker_id(written, written) == identity
    assert written_name(f"  {written} ") == unicodedata.normalize("NFC", written)


@pytest.mark.parametrize(
    "name", ["Anna/1", "Anna+", "Zoë#", "Anna\n", "A\0", "-Anna", "Ж" * 65, "😀", " ", "...", ""]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        speaker_id(name)


@pytest.mark.parametrize(
    ("name", "display_name"),
    [
        ("unknown", ""),
        ("Unavailable", ""),
        ("NOBODY", ""),
        ("Nōbody", ""),
        ("x", "Unknown speaker"),
    ],
)
def test_nobody_is_called_as_the_absence_of_a_speaker_is(name: str, display_name: str) -> None:
    """Somebody who was, before there was this rule, is still found by it."""
    with pytest.raises(UsageError, match="nobody can be called"):
        new_speaker_id(name, display_name)
    assert speaker_id(name)


@given(st.text(max_size=80))
def test_whatever_is_written_is_an_id_or_refused(name: str) -> None:
    try:
        identity = speaker_id(name)
    except UsageError:
        return
    assert re.fullmatch(r"[a-z0-9_][a-z0-9_-]{0,31}", identity)
    assert speaker_id(identity) == identity


def test_a_name_for_people_has_single_blanks() -> None:
    assert written_name("  Max   Mustermann ") == "Max Mustermann"
