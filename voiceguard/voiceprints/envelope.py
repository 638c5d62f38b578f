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
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from voiceguard.errors import StoreKeyError, VoiceprintError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voiceguard.voiceprints.key import StoreKey

LENGTH = struct.Struct(">I")
_NONCE_BYTES = 12
_MAX_HEADER_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of file."""

    magic: bytes
    """8 bytes."""
    version: int
    name: str
    """What people call it: "voiceprint"."""
    remedy: str
    """What to do where one is damaged."""


def seal(kind: Kind, speaker: str, fields: Mapping[str, str], body: bytes, key: StoreKey) -> bytes:
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


def read_header(kind: Kind, content: bytes, speaker: str) -> dict[str, Any]:
    """Reads the plain part of a file that should be of this kind and hold this speaker.

    To be believed only after the body was unsealed under it.

    Raises:
        VoiceprintError: Another kind, truncated, of a newer format, or another speaker's.
    """
    return _split(kind, content, speaker)[0]


def unseal(kind: Kind, content: bytes, speaker: str, key: StoreKey) -> tuple[dict[str, Any], bytes]:
    """Header and decrypted body of the file that should hold this speaker.

    Raises:
        VoiceprintError: As ``read_header``, or tampered with.
        StoreKeyError: Sealed with another key.
    """
    header, associated, rest = _split(kind, content, speaker)
    if header["key_id"] != key.key_id:
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


def not_understood(kind: Kind, speaker: str, error: Exception) -> VoiceprintError:
    """For a body that was unsealed and is not what it should be."""
    return VoiceprintError(
        f"the {kind.name} of {speaker!r} is intact but not understood: {error}",
        hint="it was written by another version of voiceguard; enroll again with this one",
    )


def _split(kind: Kind, content: bytes, speaker: str) -> tuple[dict[str, Any], bytes, bytes]:
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
        header: dict[str, Any] = json.loads(content[start:end])
        version, owner = int(header["format"]), str(header["speaker"])
        str(header["key_id"])
    except (KeyError, TypeError, ValueError) as error:
        raise VoiceprintError(
            f"the {kind.name} of {speaker!r} has a damaged header", hint=kind.remedy
        ) from error
    if version != kind.version:
        raise VoiceprintError(
            f"the {kind.name} of {speaker!r} has format {version}; "
            f"this voiceguard reads format {kind.version}",
            hint="upgrade voiceguard, or enroll again with this version",
        )
    if owner != speaker:
        raise VoiceprintError(
            f"the file of {speaker!r} holds the {kind.name} of {owner!r}",
            hint=f"give it back its own name; a {kind.name} can't be renamed",
        )
    return header, content[:end], content[end:]
