r"""What the store's encrypted files have in common: a readable header and a sealed body.

::

    magic       8 bytes, says what kind of file it is
    length      4 bytes, big endian: how long the header is
    header      JSON, readable by anybody: format, speaker, key_id, and what the kind adds
    nonce       12 bytes, new for every save
    sealed      AES-256-GCM of the body, 16 bytes longer than it

Everything before the nonce is the associated data. So a header that was edited, a file that was
renamed to another speaker, a body moved under another header and one kind of file passed off as
the other are all refused. What this does not see is an older file of the same speaker put back in
place.

Nonces are random: the 2^32 saves per key after which that is a worry are out of reach here.
"""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from voiceguard.errors import StoreKeyError, VoiceprintError
from voiceguard.validation.parsing import parse_json_object
from voiceguard.validation.reading import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voiceguard.voiceprints.key import StoreKey

LENGTH = struct.Struct(">I")
_NONCE_BYTES = 12
_MAX_HEADER_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class Header:
    """The readable part of a file. To be believed only after the body was unsealed under it."""

    format: int
    speaker: str
    key_id: str


_Header = TypeVar("_Header", bound=Header)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[_Header]):
    """One kind of file."""

    magic: bytes
    """8 bytes."""
    version: int
    header: type[_Header]
    """With what the kind adds."""
    name: str
    """What people call it: "voiceprint"."""
    remedy: str
    """What to do where one is damaged."""


def seal(
    kind: Kind[_Header], speaker: str, fields: Mapping[str, str], body: bytes, key: StoreKey
) -> bytes:
    """Encrypts a body under a fresh nonce.

    Args:
        kind: Of file.
        speaker: Whose.
        fields: What the header says besides format, speaker and key.
        body: What only the key's owner may read.
        key: The store's.
    """
    header = json.dumps(
        {"format": kind.version, "speaker": speaker, **fields, "key_id": key.key_id}
    ).encode()
    associated = kind.magic + LENGTH.pack(len(header)) + header
    nonce = os.urandom(_NONCE_BYTES)
    return associated + nonce + AESGCM(key.secret).encrypt(nonce, body, associated)


def read_header(kind: Kind[_Header], content: bytes, speaker: str) -> _Header:
    """Reads the plain part of a file that should be of this kind and hold this speaker.

    Raises:
        VoiceprintError: Another kind, truncated, of a newer format, or another speaker's.
    """
    return _split(kind, content, speaker)[0]


def unseal(
    kind: Kind[_Header], content: bytes, speaker: str, key: StoreKey
) -> tuple[_Header, bytes]:
    """Header and decrypted body of the file that should hold this speaker.

    Raises:
        VoiceprintError: As ``read_header``, or tampered with.
        StoreKeyError: Sealed with another key.
    """
    header, associated, rest = _split(kind, content, speaker)
    if header.key_id != key.key_id:
        raise StoreKeyError(
            f"the {kind.name} of {speaker!r} was sealed with another key than {key.source}",
            hint="bring back the key that it was enrolled with, or remove it and enroll again",
        )
    nonce, sealed = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
    try:
        return header, AESGCM(key.secret).decrypt(nonce, sealed, associated)
    except (InvalidTag, ValueError) as error:
        raise VoiceprintError(
            f"the {kind.name} of {speaker!r} is damaged or was tampered with", hint=kind.remedy
        ) from error


def not_understood(kind: Kind[_Header], speaker: str, error: Exception) -> VoiceprintError:
    """For a body that was unsealed and is not what it should be."""
    return VoiceprintError(
        f"the {kind.name} of {speaker!r} is intact but not understood: {error}",
        hint="it was written by another version of voiceguard; enroll again with this one",
    )


def _split(kind: Kind[_Header], content: bytes, speaker: str) -> tuple[_Header, bytes, bytes]:
    """Header, associated data, and what follows it."""
    magic = kind.magic
    start = len(magic) + LENGTH.size
    if content[: len(magic)] != magic[: len(content)] or not content:
        raise VoiceprintError(f"the file of {speaker!r} is no {kind.name}", hint=kind.remedy)
    length = LENGTH.unpack(content[len(magic) : start])[0] if len(content) >= start else 0
    end = start + min(length, _MAX_HEADER_BYTES)
    if length == 0 or len(content) <= end + _NONCE_BYTES:
        raise VoiceprintError(f"the {kind.name} of {speaker!r} is truncated", hint=kind.remedy)
    try:
        values = parse_json_object(content[start:end])
        version = values.get("format")
        if isinstance(version, int) and version != kind.version:
            raise VoiceprintError(
                f"the {kind.name} of {speaker!r} has format {version}; "
                f"this voiceguard reads format {kind.version}",
                hint="upgrade voiceguard, or enroll again with this version",
            )
        header = read(kind.header, values)
    except ValueError as error:
        raise VoiceprintError(
            f"the {kind.name} of {speaker!r} has a damaged header", hint=kind.remedy
        ) from error
    if header.speaker != speaker:
        raise VoiceprintError(
            f"the file of {speaker!r} holds the {kind.name} of {header.speaker!r}",
            hint=f"give it back its own name; a {kind.name} can't be renamed",
        )
    return header, content[:end], content[end:]
