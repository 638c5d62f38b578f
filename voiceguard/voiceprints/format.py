r"""One voiceprint as the bytes of one file.

::

    magic       8 bytes, b"VGPRINT\n"
    length      4 bytes, big endian: how long the header is
    header      JSON, readable by anybody: format, speaker, encoder_id, key_id
    nonce       12 bytes, new for every save
    sealed      AES-256-GCM of the body, 16 bytes longer than it

    body        4 bytes length + JSON (names, times, figures of the takes)
                + embeddings, float32 little endian, (num_templates, embedding_dim)

Everything before the nonce is the associated data. So a header that was edited, a file that was
renamed to another speaker and a body moved under another header are all refused. What this does
not see is an older file of the same speaker put back in place.

Nonces are random: the 2^32 saves per key after which that is a worry are out of reach here.
"""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from voiceguard.errors import StoreKeyError, VoiceprintError
from voiceguard.types import Template, Voiceprint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.voiceprints.key import StoreKey

FORMAT_VERSION = 1
MAX_FILE_BYTES = 4 << 20
"""Far above any voiceprint (a template has 768 bytes); a larger file is not one."""

_MAGIC = b"VGPRINT\n"
_LENGTH = struct.Struct(">I")
_NONCE_BYTES = 12
_MAX_HEADER_BYTES = 4096
_RE_ENROLL = "restore the file from a backup, or remove the voiceprint and enroll again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The readable part of a file. To be believed only after the body was unsealed under it."""

    speaker: str
    encoder_id: str
    key_id: str


def seal(voiceprint: Voiceprint, key: StoreKey) -> bytes:
    """Encrypts a voiceprint under a fresh nonce."""
    header = json.dumps(
        {
            "format": FORMAT_VERSION,
            "speaker": voiceprint.speaker,
            "encoder_id": voiceprint.encoder_id,
            "key_id": key.key_id,
        }
    ).encode()
    associated = _MAGIC + _LENGTH.pack(len(header)) + header
    nonce = os.urandom(_NONCE_BYTES)
    return associated + nonce + AESGCM(key.secret).encrypt(nonce, _pack(voiceprint), associated)


def read_header(content: bytes, speaker: str) -> Header:
    """Reads the plain part of a file that should hold this speaker.

    Raises:
        VoiceprintError: Not a voiceprint, truncated, of a newer format, or another speaker's.
    """
    return _split(content, speaker)[0]


def unseal(content: bytes, speaker: str, key: StoreKey) -> Voiceprint:
    """Decrypts and checks the file that should hold this speaker.

    Raises:
        VoiceprintError: As ``read_header``, or tampered with.
        StoreKeyError: Sealed with another key.
    """
    header, associated, rest = _split(content, speaker)
    if header.key_id != key.key_id:
        raise StoreKeyError(
            f"the voiceprint of {speaker!r} was sealed with another key than {key.source}",
            hint="bring back the key that it was enrolled with, or remove it and enroll again",
        )
    nonce, sealed = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
    try:
        body = AESGCM(key.secret).decrypt(nonce, sealed, associated)
    except (InvalidTag, ValueError) as error:
        raise VoiceprintError(
            f"the voiceprint of {speaker!r} is damaged or was tampered with",
            hint=_RE_ENROLL,
        ) from error
    try:
        return _unpack(body, header)
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise VoiceprintError(
            f"the voiceprint of {speaker!r} is intact but not understood: {error}",
            hint="it was written by another version of voiceguard; enroll again with this one",
        ) from error


def _split(content: bytes, speaker: str) -> tuple[Header, bytes, bytes]:
    """Header, associated data, and what follows it."""
    start = len(_MAGIC) + _LENGTH.size
    if content[: len(_MAGIC)] != _MAGIC[: len(content)] or not content:
        raise VoiceprintError(f"the file of {speaker!r} is not a voiceprint", hint=_RE_ENROLL)
    length = _LENGTH.unpack(content[len(_MAGIC) : start])[0] if len(content) >= start else 0
    end = start + min(length, _MAX_HEADER_BYTES)
    if length == 0 or len(content) <= end + _NONCE_BYTES:
        raise VoiceprintError(f"the voiceprint of {speaker!r} is truncated", hint=_RE_ENROLL)
    try:
        fields = json.loads(content[start:end])
        version = int(fields["format"])
        header = Header(
            speaker=str(fields["speaker"]),
            encoder_id=str(fields["encoder_id"]),
            key_id=str(fields["key_id"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise VoiceprintError(
            f"the voiceprint of {speaker!r} has a damaged header", hint=_RE_ENROLL
        ) from error
    if version != FORMAT_VERSION:
        raise VoiceprintError(
            f"the voiceprint of {speaker!r} has format {version}; "
            f"this voiceguard reads format {FORMAT_VERSION}",
            hint="upgrade voiceguard, or enroll again with this version",
        )
    if header.speaker != speaker:
        raise VoiceprintError(
            f"the file of {speaker!r} holds the voiceprint of {header.speaker!r}",
            hint="give it back its own name; a voiceprint can't be renamed",
        )
    return header, content[:end], content[end:]


def _pack(voiceprint: Voiceprint) -> bytes:
    document = {
        "display_name": voiceprint.display_name,
        "consent_at": voiceprint.consent_at.isoformat(),
        "created_at": voiceprint.created_at.isoformat(),
        "updated_at": voiceprint.updated_at.isoformat(),
        "templates": [
            {
                "net_speech_s": template.net_speech_s,
                "snr_db": template.snr_db,
                "created_at": template.created_at.isoformat(),
                "label": template.label,
            }
            for template in voiceprint.templates
        ],
    }
    text = json.dumps(document, allow_nan=False).encode()
    embeddings = np.stack([template.embedding for template in voiceprint.templates])
    return _LENGTH.pack(len(text)) + text + embeddings.astype("<f4").tobytes()


def _unpack(body: bytes, header: Header) -> Voiceprint:
    end = _LENGTH.size + _LENGTH.unpack_from(body)[0]
    document: dict[str, Any] = json.loads(body[_LENGTH.size : end])
    takes: list[dict[str, Any]] = document["templates"]
    embeddings: NDArray[np.float32] = np.frombuffer(body[end:], "<f4").astype(np.float32)
    embeddings = embeddings.reshape(len(takes), -1)  # (num_templates, embedding_dim)
    norms = np.linalg.norm(embeddings, axis=1)
    if not takes or not np.allclose(norms, 1.0, atol=1e-3):
        raise ValueError("its embeddings are not unit vectors")
    templates = tuple(
        Template(
            embedding=embedding,
            net_speech_s=float(take["net_speech_s"]),
            snr_db=float(take["snr_db"]),
            created_at=datetime.fromisoformat(take["created_at"]),
            label=str(take["label"]),
        )
        for take, embedding in zip(takes, embeddings, strict=True)
    )
    return Voiceprint(
        speaker=header.speaker,
        display_name=str(document["display_name"]),
        encoder_id=header.encoder_id,
        templates=templates,
        consent_at=datetime.fromisoformat(document["consent_at"]),
        created_at=datetime.fromisoformat(document["created_at"]),
        updated_at=datetime.fromisoformat(document["updated_at"]),
    )
