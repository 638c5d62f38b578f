"""What a file that is no good is called, and what to do: for every place where it can be cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voiceguard.errors import StoreKeyError, VoiceprintError
from voiceguard.voiceprints.envelope import (
    LENGTH,
    Header,
    Kind,
    not_understood,
    read_header,
    seal,
    unseal,
)
from voiceguard.voiceprints.key import StoreKey

if TYPE_CHECKING:
    from pathlib import Path

KIND = Kind(magic=b"\x00LETTER\n", version=3, header=Header, name="letter", remedy="ask for it")
SECRET = bytes(range(32))


@pytest.fixture
def key(tmp_path: Path) -> StoreKey:
    return StoreKey(tmp_path / "key", SECRET)


def told(content: bytes, key: StoreKey) -> tuple[str, str]:
    with pytest.raises(VoiceprintError) as refused:
        unseal(KIND, content, "anna", key)
    return str(refused.value), refused.value.hint


def test_what_was_sealed_is_unsealed(key: StoreKey) -> None:
    header, body = unseal(KIND, seal(KIND, "anna", {}, b"hello", key), "anna", key)
    assert (header.format, header.speaker, body) == (3, "anna", b"hello")


def test_every_cut_up_to_the_sealed_part_is_called_one(key: StoreKey) -> None:
    """Behind it a cut can't be told from any other damage."""
    content = seal(KIND, "anna", {}, b"hello", key)
    num_sealed = len(b"hello") + 16
    for length in range(1, len(content) - num_sealed + 1):
        assert told(content[:length], key) == ("the letter of 'anna' is truncated", "ask for it")
    for length in range(len(content) - num_sealed + 1, len(content)):
        message, hint = told(content[:length], key)
        assert message == "the letter of 'anna' is damaged or was tampered with"
        assert hint == "ask for it"


def test_a_header_of_no_length_is_a_cut(key: StoreKey) -> None:
    content = seal(KIND, "anna", {}, b"hello", key)
    without = KIND.magic + LENGTH.pack(0) + content[len(KIND.magic) + LENGTH.size :]
    assert told(without, key) == ("the letter of 'anna' is truncated", "ask for it")


def test_a_damaged_header_is_named_with_the_remedy(key: StoreKey) -> None:
    content = bytearray(seal(KIND, "anna", {}, b"hello", key))
    content[len(KIND.magic) + LENGTH.size] = ord("[")
    assert told(bytes(content), key) == ("the letter of 'anna' has a damaged header", "ask for it")
    assert told(b"something else", key) == ("the file of 'anna' is no letter", "ask for it")


def test_another_format_asks_for_an_upgrade(key: StoreKey) -> None:
    newer = Kind(magic=KIND.magic, version=4, header=Header, name="letter", remedy="")
    message, hint = told(seal(newer, "anna", {}, b"hello", key), key)
    assert message.startswith("the letter of 'anna' has format 4; this voiceguard reads format 3")
    assert hint.startswith("upgrade voiceguard")


def test_another_key_and_another_speaker_are_named(key: StoreKey, tmp_path: Path) -> None:
    content = seal(KIND, "anna", {}, b"hello", key)
    other = StoreKey(tmp_path / "other", bytes(32))
    with pytest.raises(StoreKeyError, match=r"'anna' was sealed with .* than .*other") as e:
        unseal(KIND, content, "anna", other)
    assert e.value.hint.startswith("bring back the key")
    with pytest.raises(VoiceprintError, match="file of 'bob' holds the letter of 'anna'"):
        read_header(KIND, content, "bob")


def test_a_body_that_nobody_understands_says_whose_and_why() -> None:
    error = not_understood(KIND, "anna", ValueError("no words"))
    assert str(error) == "the letter of 'anna' is intact but not understood: no words"
    assert error.hint.startswith("it was written by another version")
