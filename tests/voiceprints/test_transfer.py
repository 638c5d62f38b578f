"""An export arrives as it was, or says in what way it did not."""

from __future__ import annotations

import hashlib
import json
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.voiceprints.people import assert_same, make_audio, make_person
from voiceguard.errors import UsageError, VoiceprintError
from voiceguard.voiceprints import transfer
from voiceguard.voiceprints.transfer import Parcel, seal, unseal

PASSPHRASE = "korrekte batterie heftklammer"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The derivation is as dear as it is for guessers; nothing here guesses."""
    monkeypatch.setattr(transfer, "_SCRYPT_N", 1 << 4)


@pytest.fixture
def export() -> bytes:
    anna = make_person("anna")
    bob = make_person("bob", seed=2)
    return seal(
        [Parcel(voiceprint=anna, audio=make_audio(anna)), Parcel(voiceprint=bob)], PASSPHRASE
    )


def test_what_was_exported_arrives(export: bytes) -> None:
    anna, bob = unseal(export, PASSPHRASE)
    assert_same(anna.voiceprint, make_person("anna"))
    assert_same(bob.voiceprint, make_person("bob", seed=2))
    assert bob.audio is None
    assert anna.audio is not None
    kept = make_audio(make_person("anna"))
    for mine, other in zip(anna.audio.takes, kept.takes, strict=True):
        assert (mine.recorded_at, mine.consent_at) == (other.recorded_at, other.consent_at)
        np.testing.assert_allclose(mine.samples, other.samples, atol=1 / 32767)


def test_nobody_is_named_and_no_two_exports_are_alike(export: bytes) -> None:
    assert b"anna" not in export
    anna = make_person("anna")
    again = seal([Parcel(voiceprint=anna)], PASSPHRASE)
    assert seal([Parcel(voiceprint=anna)], PASSPHRASE) != again


def test_another_keyboards_accents_are_the_same_passphrase() -> None:
    content = seal([Parcel(voiceprint=make_person())], "Gem\u00fcse im Garten")
    assert unseal(content, "Gemu\u0308se im Garten")


def test_a_wrong_passphrase_is_told_as_such(export: bytes) -> None:
    with pytest.raises(VoiceprintError, match="the passphrase is not the one"):
        unseal(export, "falsche batterie heftklammer")


def test_a_short_passphrase_seals_nothing() -> None:
    with pytest.raises(UsageError, match="at least 10 characters; this one has 8"):
        seal([Parcel(voiceprint=make_person())], "12345678")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(length=st.integers(0, 10**6))
def test_a_truncated_export_is_told_as_such(export: bytes, length: int) -> None:
    part = export[: length % len(export)]
    with pytest.raises(VoiceprintError, match=r"is truncated|is no export"):
        unseal(part, PASSPHRASE)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bit=st.integers(0, 10**9))
def test_any_flipped_bit_is_told_as_damage(export: bytes, bit: int) -> None:
    """In the format's number it looks like another version, in the length like truncation."""
    damaged = bytearray(export)
    damaged[(bit // 8) % len(export)] ^= 1 << bit % 8
    told = "damaged on the way|is truncated|has format|is no export"
    with pytest.raises(VoiceprintError, match=told):
        unseal(bytes(damaged), PASSPHRASE)


def _with_header(export: bytes, **changed: object) -> bytes:
    """The file with another header, and everything that needs no secret made to fit."""
    length = struct.unpack(">I", export[8:12])[0]
    header = json.loads(export[12 : 12 + length]) | changed
    text = json.dumps(header).encode().ljust(length)[:length]
    content = export[:12] + text + export[12 + length : -32]
    return content + hashlib.sha256(content).digest()


def test_a_newer_format_asks_for_a_newer_voiceguard(export: bytes) -> None:
    with pytest.raises(VoiceprintError, match="has format 2; this voiceguard reads") as raised:
        unseal(_with_header(export, format=2), PASSPHRASE)
    assert "upgrade" in raised.value.hint


def test_one_that_was_changed_by_somebody_is_told_as_such(export: bytes) -> None:
    """Its digest fits again, as anybody could arrange; the cipher notices."""
    changed = bytearray(export[:-32])
    changed[-1] ^= 1
    with pytest.raises(VoiceprintError, match="was tampered with"):
        unseal(bytes(changed) + hashlib.sha256(changed).digest(), PASSPHRASE)


def test_a_derivation_that_would_take_the_machines_memory_is_refused(export: bytes) -> None:
    length = struct.unpack(">I", export[8:12])[0]
    kdf = json.loads(export[12 : 12 + length])["kdf"]
    hostile = _with_header(export, kdf={**kdf, "n": 1 << 9, "r": 99})
    with pytest.raises(VoiceprintError, match="header that is not understood"):
        unseal(hostile, PASSPHRASE)


def test_something_else_is_no_export() -> None:
    with pytest.raises(VoiceprintError, match=r"holiday\.jpg is no export"):
        unseal(b"\xff\xd8\xff\xe0" * 100, PASSPHRASE, source="holiday.jpg")


def test_a_name_can_be_changed_on_the_way(export: bytes) -> None:
    renamed = unseal(export, PASSPHRASE)[0].named("anna-maria")
    assert renamed.voiceprint.speaker == "anna-maria"
    assert renamed.audio is not None
    renamed.audio.check(renamed.voiceprint)
    assert renamed.named("Anna Maria").voiceprint.speaker == "anna-maria"
    with pytest.raises(UsageError):
        renamed.named("anna/maria")
